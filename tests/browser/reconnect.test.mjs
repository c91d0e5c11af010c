// @ts-check
/** The WebSocket is lost during a negotiation or after it, and the library reconnects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, meet, newRoom, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { held, lose, lost, release } from '../support/wire.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages(dev);
/** The network between ann and the server. */
const network = new TcpProxy(dev);
useFixtures(dev, pages, network);

/** Only ann reaches the server through `network`. @returns {Promise<[Page, Page]>} */
function pair() {
  return Promise.all([pages.open('ann', network.origin), pages.open('bob')]);
}

/** Peers that came or left, and errors. @param {Page} page @returns {Promise<string[]>} */
const arrivals = async (page) =>
  (await log(page)).filter((entry) => /^(peer|leave|error|close)/.test(entry));

// Ann loses her WebSocket together with one frame. In either role and with each frame, she is
// connected as soon as she has rejoined, without the restart that would begin after 6 s.
for (const { role, frame } of [
  { role: 'newcomer', frame: 'out offer' },
  { role: 'newcomer', frame: 'in answer' },
  { role: 'newcomer', frame: 'out candidate' },
  { role: 'first', frame: 'in offer' },
  { role: 'first', frame: 'out answer' },
  { role: 'first', frame: 'in candidate' },
]) {
  test(`a negotiation continues after a reconnect: the ${role} loses ${frame}`, async () => {
    const [ann, bob] = await pair();
    const room = newRoom();
    const [direction, type] = /** @type {['in' | 'out', string]} */ (frame.split(' '));
    await lose(ann, direction, type);
    const [first, second] = role === 'newcomer' ? [bob, ann] : [ann, bob];
    await join(first, room, { id: first === ann ? 'ann' : 'bob' });
    await logged(first, 'state joined');
    await join(second, room, { id: second === ann ? 'ann' : 'bob' });
    await lost(ann, direction, type);
    network.cut();
    await logged(ann, 'state joined', 2);
    await connected(ann, 'bob');
    await connected(bob, 'ann');
    await talk(ann, 'ann', bob, 'bob', 'hello');
    await talk(bob, 'bob', ann, 'ann', 'hello');
    assert.deepEqual(await arrivals(ann), ['peer bob']);
    assert.deepEqual(await arrivals(bob), ['peer ann']);
  });
}

test('a connection stays open while the WebSocket is down, and no peer leaves', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  network.down();
  await logged(ann, 'state reconnecting 1006');
  await talk(ann, 'ann', bob, 'bob', 'can you hear me');
  await talk(bob, 'bob', ann, 'ann', 'yes');
  // Signals are not queued, because they would be outdated. An offer is made when it can be sent.
  const sent = await ann.evaluate(() =>
    /** @type {any} */ (globalThis).room.signal('wave', null, 'bob'),
  );
  assert.equal(sent, false);
  await ann.evaluate(
    () =>
      void (
        /** @type {any} */ (globalThis).room.peers.get('bob').connection.addTransceiver('audio')
      ),
  );
  network.restore();
  await logged(ann, 'state joined', 2);
  await until(bob, 'the offer made meanwhile has arrived', () => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('ann');
    return connection.getTransceivers().length === 1 && connection.signalingState === 'stable';
  });
  await connected(ann, 'bob');
  await talk(ann, 'ann', bob, 'bob', 'back');
  assert.equal(
    (await log(bob)).some((entry) => entry.startsWith('signal')),
    false,
  );
  assert.deepEqual(await arrivals(ann), ['peer bob']);
  assert.deepEqual(await arrivals(bob), ['peer ann']);
});

test('a repeated answer is not taken for the answer to a new offer', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  // Ann has answered the first offer. Bob makes a second one, which is held back.
  await bob.evaluate(() => {
    const { room, wire } = /** @type {any} */ (globalThis);
    wire.holding.out = true;
    room.peers.get('ann').connection.addTransceiver('audio');
  });
  await held(bob, 'out', 1);
  network.cut();
  await logged(ann, 'state joined', 2);
  // This signal arrives after the answer that ann repeated when she rejoined.
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.signal('mark', null, 'bob'));
  await logged(bob, 'signal ann mark');
  await release(bob);
  await until(ann, 'the new offer is answered', () => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
    return connection.getTransceivers().length === 1 && connection.signalingState === 'stable';
  });
  await connected(bob, 'ann');
  await talk(bob, 'bob', ann, 'ann', 'well');
  assert.deepEqual(await arrivals(bob), ['peer ann']);
});

test('an id that the server made stays the same after a reconnect', async () => {
  const ann = await pages.open('ann', network.origin);
  await join(ann, newRoom());
  await logged(ann, 'state joined');
  const id = () => ann.evaluate(() => /** @type {any} */ (globalThis).room.id);
  const first = await id();
  assert.match(first, /^.{16,}$/);
  network.cut();
  await logged(ann, 'state joined', 2);
  assert.equal(await id(), first);
});

test('an unresponsive WebSocket is replaced after a missing pong, and not closed', async () => {
  const [ann, bob] = await pair();
  await ann.clock.install({ time: 0 });
  await ann.clock.pauseAt(1_000); // from here on ann's clock only moves when the test moves it
  await meet(ann, bob);
  const pongs = (/** @type {number} */ count) =>
    /** @type {any} */ (globalThis).wire.passed.filter((/** @type {string} */ f) => f === 'in pong')
      .length === count;
  // While pongs arrive, nothing happens.
  await ann.clock.fastForward(26_000);
  await until(ann, 'a pong has arrived', pongs, 1);
  await ann.clock.fastForward(11_000);
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.signal('mark', null, 'bob'));
  await logged(bob, 'signal ann mark');
  assert.equal((await log(ann)).filter((entry) => entry.startsWith('state')).length, 1);
  network.freeze();
  await ann.clock.fastForward(26_000);
  await ann.clock.fastForward(11_000);
  await logged(ann, 'state reconnecting 1006');
  // The frozen ping gets through. A Close frame would end ann's seat, so there must be none.
  network.thaw();
  await until(ann, 'the old socket still receives its pong', pongs, 2);
  await ann.clock.fastForward(1_000);
  await logged(ann, 'state joined', 2);
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.signal('again', null, 'bob'));
  await logged(bob, 'signal ann again');
  assert.deepEqual(await arrivals(bob), ['peer ann']);
});

test('attempts to reconnect slow down, and the event online triggers one at once', async () => {
  const ann = await pages.open('ann', network.origin);
  await ann.clock.install();
  await join(ann, newRoom());
  await logged(ann, 'state joined');
  await ann.evaluate(() => {
    /** @type {number[]} */
    const delays = [];
    Object.assign(globalThis, { delays });
    const { room } = /** @type {any} */ (globalThis);
    room.addEventListener(
      'state',
      (/** @type {any} */ { detail }) => detail.retryIn && delays.push(detail.retryIn),
    );
  });
  network.down();
  const longest = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000];
  for (let tries = 1; tries <= longest.length; tries += 1) {
    await logged(ann, 'state reconnecting', tries);
    await ann.clock.fastForward(30_000);
  }
  const seen = await ann.evaluate(() => /** @type {any} */ (globalThis).delays);
  longest.forEach((limit, i) =>
    assert(seen[i] >= limit / 2 && seen[i] <= limit, `${i}: ${seen[i]} of ${limit}`),
  );
  await logged(ann, 'state reconnecting', longest.length + 1);
  network.restore();
  await ann.evaluate(() => dispatchEvent(new Event('online')));
  await logged(ann, 'state joined', 2);
});

test('an offer that got lost is sent again, though the WebSocket stayed open', async () => {
  const [ann, bob] = await pair();
  await bob.clock.install();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await lose(ann, 'in', 'offer');
  await join(bob, room, { id: 'bob' });
  await lost(ann, 'in', 'offer');
  await bob.clock.fastForward(10_000);
  await connected(ann, 'bob');
  await talk(bob, 'bob', ann, 'ann', 'hello');
});

test('a server restart ends no connection, and a peer that left meanwhile is removed', async () => {
  const [ann, bob] = await pair();
  const eve = await pages.open('eve');
  const room = await meet(ann, bob);
  await join(eve, room, { id: 'eve' });
  await connected(ann, 'bob', 'eve');
  await connected(bob, 'ann', 'eve');
  await dev.kill();
  network.down(); // after the kill, so that the server does not keep a seat for ann
  await logged(ann, 'state reconnecting');
  await logged(bob, 'state reconnecting');
  await talk(ann, 'ann', bob, 'bob', 'just us');
  await eve.close();
  await dev.start();
  const reconnectNow = () => dispatchEvent(new Event('online'));
  await bob.evaluate(reconnectNow);
  await logged(bob, 'state joined', 2);
  network.restore();
  await ann.evaluate(reconnectNow);
  await logged(ann, 'state joined', 2);
  // Chromium needs some seconds to detect that a peer does not respond.
  await logged(ann, 'leave eve', 1, 15_000);
  await logged(bob, 'leave eve', 1, 15_000);
  await talk(bob, 'bob', ann, 'ann', 'after the restart');
  assert.deepEqual(await arrivals(ann), ['peer bob', 'peer eve', 'leave eve']);
  // Bob rejoined first, so he is polite now.
  const polite = () => [.../** @type {any} */ (globalThis).room.peers.values()][0].polite;
  assert.deepEqual([await ann.evaluate(polite), await bob.evaluate(polite)], [false, true]);
});

test('a page leaves when it enters the back/forward cache, and rejoins as a newcomer', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  await ann.evaluate(() => dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })));
  await logged(bob, 'leave ann');
  await logged(ann, 'leave bob');
  await ann.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  await talk(bob, 'bob', ann, 'ann', 'welcome back');
});

test('a failed connection is restarted', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  const credentials = () =>
    ann.evaluate(() => {
      const { sdp } = /** @type {any} */ (globalThis).room.peers.get('bob').connection
        .currentLocalDescription;
      return /a=ice-ufrag:(.*)/.exec(sdp)?.[1];
    });
  const first = await credentials();
  // Chromium needs half a minute to detect a failure, so the test sets the state itself.
  await ann.evaluate(() => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
    Object.defineProperty(connection, 'connectionState', { value: 'failed', configurable: true });
    connection.dispatchEvent(new Event('connectionstatechange'));
    delete connection.connectionState;
  });
  await until(
    ann,
    'new ICE credentials are agreed',
    (first) => {
      const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
      const now = /a=ice-ufrag:(.*)/.exec(connection.currentLocalDescription.sdp)?.[1];
      return now !== first && connection.signalingState === 'stable';
    },
    first,
  );
  await connected(ann, 'bob');
  await talk(ann, 'ann', bob, 'bob', 'again');
});

test('candidates that are found together travel in one frame and arrive one by one', async () => {
  const page = await pages.open('ann');
  const { sent, received } = await page.evaluate(async (room) => {
    const path = '/signaling.js'; // in a variable, because TypeScript would look for the file
    const { Signaling } = await import(path);
    const join = async (/** @type {string} */ id) => {
      const url = new URL(`/parties/main/${room}`, location.href);
      const signaling = new Signaling(url, { id, key: id });
      await new Promise((joined) => signaling.addEventListener('frame', joined, { once: true }));
      return signaling;
    };
    const [ann, bob] = [await join('ann'), await join('bob')];
    /** Payloads that bob receives. @type {unknown[]} */
    const received = [];
    bob.addEventListener('frame', (/** @type {any} */ { detail: { type, payload } }) =>
      received.push(payload ?? type),
    );
    const arrives = (/** @type {unknown} */ payload) =>
      new Promise((resolve) =>
        bob.addEventListener('frame', () => received.at(-1) === payload && resolve(undefined)),
      );
    /** For each frame that ann sends, the number of signals or the type. @type {unknown[]} */
    const sent = [];
    WebSocket.prototype.send = new Proxy(WebSocket.prototype.send, {
      apply(send, socket, [text]) {
        const frame = JSON.parse(text);
        sent.push(frame.length ?? frame.type);
        Reflect.apply(send, socket, [text]);
      },
    });
    let number = 0;
    const find = (/** @type {number} */ count) => {
      for (let found = 0; found < count; found += 1)
        ann.send({ type: 'candidate', to: 'bob', payload: (number += 1) });
    };
    find(3);
    ann.send({ type: 'answer', to: 'bob' }); // is sent at once, after the candidates before it
    find(1);
    await arrives(4);
    find(34);
    await arrives(38);
    // Browsers delay the timers of hidden pages, so nothing is batched.
    Object.defineProperty(document, 'hidden', { value: true });
    find(2);
    ann.send({ type: 'done', to: 'bob' });
    await arrives('done');
    return { sent, received };
  }, newRoom());
  assert.deepEqual(sent, [3, 'answer', 'candidate', 32, 2, 'candidate', 'candidate', 'done']);
  const numbers = Array.from({ length: 40 }, (_, index) => index + 1);
  assert.deepEqual(received, [...numbers.slice(0, 3), 'answer', ...numbers.slice(3), 'done']);
});
