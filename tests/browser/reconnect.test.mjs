// @ts-check
/** The library reconnects when its WebSocket is lost during or after a negotiation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { connected, join, log, logged, meet, newRoom, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Peer } from '../support/peer.mjs';
import { held, lose, lost, release } from '../support/wire.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages(dev);
/** The network between ann and the server. */
const network = new TcpProxy(dev);
useFixtures(dev, pages, network);

/**
 * Opens pages for ann and bob. Only ann reaches the server through `network`.
 * @returns {Promise<[Page, Page]>}
 */
function pair() {
  return Promise.all([pages.open('ann', network.origin), pages.open('bob')]);
}

/**
 * Returns the log entries about joined and left peers, errors and close codes.
 * @param {Page} page
 * @returns {Promise<string[]>}
 */
const arrivals = async (page) =>
  (await log(page)).filter((entry) => /^(peer|leave|error|close)/.test(entry));

// Ann loses one frame, and then her WebSocket. In either role and with each frame, the peers
// connect as soon as ann has rejoined, before the restart that would begin after 6 s.
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

test('a connection stays open while the WebSocket is disconnected, and no peer leaves', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  network.down();
  await logged(ann, 'state reconnecting 1006');
  await talk(ann, 'ann', bob, 'bob', 'can you hear me');
  await talk(bob, 'bob', ann, 'ann', 'yes');
  // The library does not queue signals, because they would be outdated after the reconnect. The
  // library creates an offer only when the offer can be sent.
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

test('an error that came before does not count as the cause of a lost connection', async () => {
  const ann = await pages.open('ann', network.origin);
  await join(ann, newRoom(), { id: 'ann' });
  await logged(ann, 'state joined');
  const message = ann.evaluate(
    () =>
      new Promise((resolve) => {
        const { room } = /** @type {any} */ (globalThis);
        const onState = (/** @type {CustomEvent} */ { detail }) => resolve(detail.message);
        room.addEventListener('state', onState, { once: true });
      }),
  );
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.signal('wave', null, 'nobody'));
  await logged(ann, 'error no-such-peer');
  network.cut();
  assert.equal(await message, '');
});

test('a repeated answer is not taken for the answer to a new offer', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  // Ann has answered the first offer. Bob makes a second offer, which the test holds back.
  await bob.evaluate(() => {
    const { room, wire } = /** @type {any} */ (globalThis);
    wire.holding.out = true;
    room.peers.get('ann').connection.addTransceiver('audio');
  });
  await held(bob, 'out', 1);
  network.cut();
  await logged(ann, 'state joined', 2);
  // This signal arrives after the answer that ann repeats when she rejoins.
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

test('an unresponsive WebSocket is replaced after a missing pong, without a Close frame', async () => {
  const [ann, bob] = await pair();
  await ann.clock.install({ time: 0 });
  // From here on, only the test advances ann's clock.
  await ann.clock.pauseAt(1_000);
  await meet(ann, bob);
  const pongs = (/** @type {number} */ count) =>
    /** @type {any} */ (globalThis).wire.passed.filter((/** @type {string} */ f) => f === 'in pong')
      .length === count;
  // While pongs arrive, the WebSocket is not replaced.
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
  // The delayed ping arrives now. Ann must send no Close frame, because the server would remove
  // her.
  network.thaw();
  await until(ann, 'the old socket still receives its pong', pongs, 2);
  await ann.clock.fastForward(1_000);
  await logged(ann, 'state joined', 2);
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.signal('again', null, 'bob'));
  await logged(bob, 'signal ann again');
  assert.deepEqual(await arrivals(bob), ['peer ann']);
});

test('the delays between reconnects grow, and the event online triggers an immediate attempt', async () => {
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

test('an offer that got lost is sent again although the WebSocket stays open', async () => {
  const [ann, bob] = await pair();
  await bob.clock.install();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await lose(ann, 'in', 'offer');
  await join(bob, room, { id: 'bob' });
  await lost(ann, 'in', 'offer');
  // On a busy machine, bob's timer for the next offer starts after the first jump. Both jumps together
  // are shorter than the interval of the heartbeat.
  const connecting = connected(ann, 'bob');
  await bob.clock.fastForward(10_000);
  await Promise.race([connecting, setTimeout(1_000)]);
  await bob.clock.fastForward(10_000);
  await connecting;
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
  // Ann is disconnected after the kill, because a running server would store a seat for ann.
  network.down();
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
  // Bob rejoined first, so bob is polite now.
  const polite = () => [.../** @type {any} */ (globalThis).room.peers.values()][0].polite;
  assert.deepEqual([await ann.evaluate(polite), await bob.evaluate(polite)], [false, true]);
});

for (const first of ['ann', 'bob']) {
  test(`a page that the server has removed connects anew when it returns, with ${first} first`, async () => {
    const [ann, bob] = await pair();
    const room = newRoom();
    const secret = { id: 'ann', key: 'secret of ann' };
    if (first === 'ann') await join(ann, room, secret);
    if (first === 'ann') await logged(ann, 'state joined');
    await join(bob, room, { id: 'bob' });
    await logged(bob, 'state joined');
    if (first === 'bob') await join(ann, room, secret);
    await connected(ann, 'bob');
    network.down();
    await logged(ann, 'state reconnecting');
    // Another client takes ann's seat and leaves, which is faster than the end of the grace period.
    const server = /** @type {any} */ ({ host: new URL(dev.origin).host });
    const other = await Peer.join(server, room, 'ann', { key: secret.key });
    await other.close(1000);
    await logged(bob, 'leave ann');
    await until(ann, 'the channel is closed', () => {
      return !(/** @type {any} */ (globalThis).room.peers.get('bob').ready);
    });
    network.restore();
    await connected(ann, 'bob');
    await connected(bob, 'ann');
    await talk(bob, 'bob', ann, 'ann', 'welcome back');
    assert.deepEqual(await arrivals(ann), ['peer bob', 'leave bob', 'peer bob']);
    assert.deepEqual(await arrivals(bob), ['peer ann', 'leave ann', 'peer ann']);
  });
}

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
  // Chromium needs half a minute to detect a failed connection, so the test sets the state itself.
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

test('candidates that are gathered together are sent in one frame and arrive separately', async () => {
  const page = await pages.open('ann');
  const { sent, received } = await page.evaluate(async (room) => {
    // The path is in a variable, because TypeScript tries to resolve a literal path.
    const path = '/signaling.js';
    const { Signaling } = await import(path);
    const join = async (/** @type {string} */ id) => {
      const url = new URL(`/parties/main/${room}`, location.href);
      const signaling = new Signaling({ url, id, key: id, meta: '', WebSocket });
      await new Promise((joined) => signaling.addEventListener('frame', joined, { once: true }));
      return signaling;
    };
    const [ann, bob] = [await join('ann'), await join('bob')];
    /** The payload or type of each frame that bob receives. @type {unknown[]} */
    const received = [];
    bob.addEventListener('frame', (/** @type {any} */ { detail: { type, payload } }) =>
      received.push(payload ?? type),
    );
    const arrives = (/** @type {unknown} */ payload) =>
      new Promise((resolve) =>
        bob.addEventListener('frame', () => received.at(-1) === payload && resolve(undefined)),
      );
    /**
     * For each frame that ann sends: the number of signals in an array, or the type.
     * @type {unknown[]}
     */
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
    // The answer is sent immediately, after the earlier candidates.
    ann.send({ type: 'answer', to: 'bob' });
    find(1);
    await arrives(4);
    find(34);
    await arrives(38);
    // Browsers delay the timers of hidden pages, so the library does not batch signals in hidden
    // pages.
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

test('after 4013, the library returns while its seat is kept, and after 4008 later', async () => {
  for (const [code, isSoon] of /** @type {const} */ ([
    [4013, true],
    [4008, false],
  ])) {
    const page = await pages.open('ann', '/health');
    await page.routeWebSocket(/parties/, (socket) => void socket.close({ code, reason: 'test' }));
    const delay = await page.evaluate(async () => {
      const { Room } = await import(/** @type {string} */ ('/room.js'));
      const room = new Room('r', { iceServers: [] });
      const { detail } = await new Promise((resolve) => room.addEventListener('state', resolve));
      room.close();
      return detail.retryIn;
    });
    assert.equal(delay < 15_000, isSoon, `${code}: ${delay}`);
  }
});
