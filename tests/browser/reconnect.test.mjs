// @ts-check
/** The signaling line goes away, in the middle of a negotiation and after it, and comes back. */
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
/** Ann's way to the server. */
const line = new TcpProxy(dev);
useFixtures(dev, pages, line);

/** Ann's page is behind the line, bob's is not. @returns {Promise<[Page, Page]>} */
function pair() {
  return Promise.all([pages.open('ann', line.origin), pages.open('bob')]);
}

/** @param {Page} page @returns {Promise<string[]>} */
const comings = async (page) =>
  (await log(page)).filter((entry) => /^(peer|leave|error|close)/.test(entry));

// Ann loses her line together with what was on it just then. Whichever of the two she is, and
// whatever it was, the connection comes about as soon as she is back, without the repair that would
// only begin after 6 s.
for (const { role, frame } of [
  { role: 'newcomer', frame: 'out offer' },
  { role: 'newcomer', frame: 'in answer' },
  { role: 'newcomer', frame: 'out candidate' },
  { role: 'first', frame: 'in offer' },
  { role: 'first', frame: 'out answer' },
  { role: 'first', frame: 'in candidate' },
]) {
  test(`a line cut in mid negotiation costs nothing: the ${role} loses ${frame}`, async () => {
    const [ann, bob] = await pair();
    const room = newRoom();
    const [way, kind] = /** @type {['in' | 'out', string]} */ (frame.split(' '));
    await lose(ann, way, kind);
    const [first, second] = role === 'newcomer' ? [bob, ann] : [ann, bob];
    await join(first, room, { id: first === ann ? 'ann' : 'bob' });
    await logged(first, 'state joined');
    await join(second, room, { id: second === ann ? 'ann' : 'bob' });
    await lost(ann, way, kind);
    line.cut();
    await logged(ann, 'state joined', 2);
    await connected(ann, 'bob');
    await connected(bob, 'ann');
    await talk(ann, 'ann', bob, 'bob', 'hello');
    await talk(bob, 'bob', ann, 'ann', 'hello');
    assert.deepEqual(await comings(ann), ['peer bob']);
    assert.deepEqual(await comings(bob), ['peer ann']);
  });
}

test('a connection outlives the line: messages go on, and nobody has left', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  line.down();
  await logged(ann, 'state reconnecting 1006');
  await talk(ann, 'ann', bob, 'bob', 'can you hear me');
  await talk(bob, 'bob', ann, 'ann', 'yes');
  // Signals are not kept: what was true then is no news later. Offers are made when they can be
  // sent.
  const kept = await ann.evaluate(() =>
    /** @type {any} */ (globalThis).room.signal('wave', null, 'bob'),
  );
  assert.equal(kept, false);
  await ann.evaluate(
    () =>
      void (
        /** @type {any} */ (globalThis).room.peers.get('bob').connection.addTransceiver('audio')
      ),
  );
  line.restore();
  await logged(ann, 'state joined', 2);
  await until(bob, 'the offer made meanwhile has come', () => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('ann');
    return connection.getTransceivers().length === 1 && connection.signalingState === 'stable';
  });
  await connected(ann, 'bob');
  await talk(ann, 'ann', bob, 'bob', 'back');
  assert.equal(
    (await log(bob)).some((entry) => entry.startsWith('signal')),
    false,
  );
  assert.deepEqual(await comings(ann), ['peer bob']);
  assert.deepEqual(await comings(bob), ['peer ann']);
});

test('an answer said again after a cut is not taken for the answer to a new offer', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  // Ann has answered the first offer. Bob makes another one, and it does not get out for now.
  await bob.evaluate(() => {
    const { room, wire } = /** @type {any} */ (globalThis);
    wire.holding.out = true;
    room.peers.get('ann').connection.addTransceiver('audio');
  });
  await held(bob, 'out', 1);
  line.cut();
  await logged(ann, 'state joined', 2);
  // What ann sends now comes after what she said on her return.
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.signal('mark', null, 'bob'));
  await logged(bob, 'signal ann mark');
  await release(bob);
  await until(ann, 'the new offer is taken', () => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
    return connection.getTransceivers().length === 1 && connection.signalingState === 'stable';
  });
  await connected(bob, 'ann');
  await talk(bob, 'bob', ann, 'ann', 'well');
  assert.deepEqual(await comings(bob), ['peer ann']);
});

test('an id that the server made is kept when the line comes back', async () => {
  const ann = await pages.open('ann', line.origin);
  await join(ann, newRoom());
  await logged(ann, 'state joined');
  const id = () => ann.evaluate(() => /** @type {any} */ (globalThis).room.id);
  const before = await id();
  assert.match(before, /^.{16,}$/);
  line.cut();
  await logged(ann, 'state joined', 2);
  assert.equal(await id(), before);
});

test('a line that has fallen silent is noticed by the missing pong, and not closed', async () => {
  const [ann, bob] = await pair();
  await ann.clock.install({ time: 0 });
  await ann.clock.pauseAt(1_000); // from here on time passes for ann only when we say so
  await meet(ann, bob);
  const pongs = (/** @type {number} */ count) =>
    /** @type {any} */ (globalThis).wire.passed.filter((/** @type {string} */ f) => f === 'in pong')
      .length === count;
  // As long as the pong comes, nothing happens.
  await ann.clock.fastForward(26_000);
  await until(ann, 'a pong has come', pongs, 1);
  await ann.clock.fastForward(11_000);
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.signal('mark', null, 'bob'));
  await logged(bob, 'signal ann mark');
  assert.equal((await log(ann)).filter((entry) => entry.startsWith('state')).length, 1);
  line.freeze();
  await ann.clock.fastForward(26_000);
  await ann.clock.fastForward(11_000);
  await logged(ann, 'state reconnecting 1006');
  // What was stuck comes through: the ping, and no Close frame, which would have ended ann's seat.
  line.thaw();
  await until(ann, 'the socket given up still has its pong', pongs, 2);
  await ann.clock.fastForward(1_000);
  await logged(ann, 'state joined', 2);
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.signal('again', null, 'bob'));
  await logged(bob, 'signal ann again');
  assert.deepEqual(await comings(bob), ['peer ann']);
});

test('tries come ever more slowly, and at once when the network is back', async () => {
  const ann = await pages.open('ann', line.origin);
  await ann.clock.install();
  await join(ann, newRoom());
  await logged(ann, 'state joined');
  await ann.evaluate(() => {
    /** @type {number[]} */
    const waits = [];
    Object.assign(globalThis, { waits });
    const { room } = /** @type {any} */ (globalThis);
    room.addEventListener(
      'state',
      (/** @type {any} */ { detail }) => detail.retryIn && waits.push(detail.retryIn),
    );
  });
  line.down();
  const most = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000];
  for (let tries = 1; tries <= most.length; tries += 1) {
    await logged(ann, 'state reconnecting', tries);
    await ann.clock.fastForward(30_000);
  }
  const seen = await ann.evaluate(() => /** @type {any} */ (globalThis).waits);
  most.forEach((most, i) =>
    assert(seen[i] >= most / 2 && seen[i] <= most, `${i}: ${seen[i]} of ${most}`),
  );
  await logged(ann, 'state reconnecting', most.length + 1);
  line.restore();
  await ann.evaluate(() => dispatchEvent(new Event('online')));
  await logged(ann, 'state joined', 2);
});

test('an offer that got lost on a line that stayed up is said again', async () => {
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

test('a server that starts again ends no connection, and who is gone is dropped', async () => {
  const [ann, bob] = await pair();
  const eve = await pages.open('eve');
  const room = await meet(ann, bob);
  await join(eve, room, { id: 'eve' });
  await connected(ann, 'bob', 'eve');
  await connected(bob, 'ann', 'eve');
  await dev.kill();
  line.down(); // only now: the server is not to know that ann is absent, and to keep her seat
  await logged(ann, 'state reconnecting');
  await logged(bob, 'state reconnecting');
  await talk(ann, 'ann', bob, 'bob', 'just us');
  await eve.close();
  await dev.start();
  const hurry = () => dispatchEvent(new Event('online'));
  await bob.evaluate(hurry);
  await logged(bob, 'state joined', 2);
  line.restore();
  await ann.evaluate(hurry);
  await logged(ann, 'state joined', 2);
  // Chromium takes some seconds to notice that a peer no longer answers.
  await logged(ann, 'leave eve', 1, 15_000);
  await logged(bob, 'leave eve', 1, 15_000);
  await talk(bob, 'bob', ann, 'ann', 'as before');
  assert.deepEqual(await comings(ann), ['peer bob', 'peer eve', 'leave eve']);
  // Bob was the first to come back, so now he is the polite one.
  const polite = () => [.../** @type {any} */ (globalThis).room.peers.values()][0].polite;
  assert.deepEqual([await ann.evaluate(polite), await bob.evaluate(polite)], [false, true]);
});

test('a page in the back/forward cache has left, and comes back as a newcomer', async () => {
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

test('a connection that fails is started again by itself', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  const credentials = () =>
    ann.evaluate(() => {
      const { sdp } = /** @type {any} */ (globalThis).room.peers.get('bob').connection
        .currentLocalDescription;
      return /a=ice-ufrag:(.*)/.exec(sdp)?.[1];
    });
  const before = await credentials();
  // Chromium takes half a minute to find that out; the state is all that the library goes by.
  await ann.evaluate(() => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
    Object.defineProperty(connection, 'connectionState', { value: 'failed', configurable: true });
    connection.dispatchEvent(new Event('connectionstatechange'));
    delete connection.connectionState;
  });
  await until(
    ann,
    'new ICE credentials are agreed',
    (before) => {
      const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
      const now = /a=ice-ufrag:(.*)/.exec(connection.currentLocalDescription.sdp)?.[1];
      return now !== before && connection.signalingState === 'stable';
    },
    before,
  );
  await connected(ann, 'bob');
  await talk(ann, 'ann', bob, 'bob', 'again');
});

test('candidates that come together go in one frame, and to the other one by one', async () => {
  const page = await pages.open('ann');
  const { sent, got } = await page.evaluate(async (room) => {
    const path = '/signaling.js'; // none of this file's own
    const { Signaling } = await import(path);
    const join = async (/** @type {string} */ id) => {
      const url = new URL(`/parties/main/${room}`, location.href);
      const line = new Signaling(url, { id, key: id });
      await new Promise((joined) => line.addEventListener('frame', joined, { once: true }));
      return line;
    };
    const [ann, bob] = [await join('ann'), await join('bob')];
    /** What bob gets. @type {unknown[]} */
    const got = [];
    bob.addEventListener('frame', (/** @type {any} */ { detail: { type, payload } }) =>
      got.push(payload ?? type),
    );
    const arrives = (/** @type {unknown} */ what) =>
      new Promise((resolve) =>
        bob.addEventListener('frame', () => got.at(-1) === what && resolve(undefined)),
      );
    /** How many there are in each frame that ann sends, or what else it is. @type {unknown[]} */
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
    ann.send({ type: 'answer', to: 'bob' }); // does not wait, and overtakes nothing
    find(1);
    await arrives(4);
    find(34);
    await arrives(38);
    // Nobody sees the page: its timers are late.
    Object.defineProperty(document, 'hidden', { value: true });
    find(2);
    ann.send({ type: 'done', to: 'bob' });
    await arrives('done');
    return { sent, got };
  }, newRoom());
  assert.deepEqual(sent, [3, 'answer', 'candidate', 32, 2, 'candidate', 'candidate', 'done']);
  const numbers = Array.from({ length: 40 }, (_, index) => index + 1);
  assert.deepEqual(got, [...numbers.slice(0, 3), 'answer', ...numbers.slice(3), 'done']);
});
