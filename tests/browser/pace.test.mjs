// @ts-check
/**
 * Tests that the library stays below the server's rate limit in a full room, and that a page which
 * reads much is not closed as unread.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join, log, logged, newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Peer } from '../support/peer.mjs';
import { held, hold, release } from '../support/wire.mjs';
import { Deployed } from '../support/workerd.mjs';

const deployed = new Deployed();
const pages = new Pages(deployed);
useFixtures(deployed, pages);

test('a newcomer to a room of 63 is refused nothing, and everybody gets its offer and candidates', async () => {
  const room = newRoom();
  const ids = Array.from({ length: 63 }, (_, index) => `p${index}`);
  const peers = await Promise.all(ids.map((id) => Peer.join(deployed.server, room, id)));
  const page = await pages.open('ann');
  await hold(page, 'in'); // holds `welcome` back until the listener is registered
  await join(page, room, { id: 'ann' });
  await page.evaluate(() =>
    /** @type {any} */ (globalThis).room.addEventListener(
      'peer',
      (/** @type {any} */ { detail: { peer } }) => {
        // The browser gathers candidates for audio and for the data channel, as in a call.
        peer.connection.addTransceiver('audio');
      },
    ),
  );
  await release(page, 'in');
  const allGathered = () => {
    const { room } = /** @type {any} */ (globalThis);
    const connections = [...room.peers.values()].map((peer) => peer.connection);
    return (
      connections.length === 63 &&
      connections.every((connection) => connection.iceGatheringState === 'complete')
    );
  };
  await until(page, 'all candidates are gathered', allGathered, undefined, 30_000);
  /** @type {string[]} */
  const receivers = await page.evaluate(() =>
    /** @type {any} */ (globalThis).trace.flatMap((/** @type {any} */ { type, direction, peer }) =>
      type === 'candidate' && direction === 'out' ? [peer] : [],
    ),
  );
  assert.deepEqual(await troubles(page), []);
  assert.ok(receivers.length > 200, `only ${receivers.length} candidates, below the limit`);
  for (const peer of peers) {
    const expected = receivers.filter((id) => id === peer.name).length;
    /** @type {string[]} */
    const types = [];
    while (types.filter((type) => type === 'candidate').length < expected) {
      const { type, from } = JSON.parse(await peer.next());
      if (from) types.push(type);
    }
    assert.equal(types[0], 'offer', `${peer.name} gets the description before its candidates`);
  }
  assert.deepEqual(await troubles(page), []);
});

/** @param {import('playwright-core').Page} page */
const troubles = async (page) =>
  (await log(page)).filter((line) => /^(error|close|leave)|^state (?!joined)/.test(line));

/**
 * Lets ann join with the library, and bob with a plain WebSocket. Returns ann's page and bob.
 * @returns {Promise<[import('playwright-core').Page, Peer]>}
 */
async function pair() {
  const room = newRoom();
  const bob = await Peer.join(deployed.server, room, 'bob');
  const page = await pages.open('ann');
  await join(page, room, { id: 'ann', connect: 'on-request' });
  await logged(page, 'state joined');
  return [page, bob];
}

/** Sends this many signals `wave` to bob. @param {import('playwright-core').Page} page @param {number} count */
const wave = (page, count) =>
  page.evaluate((count) => {
    const { room } = /** @type {any} */ (globalThis);
    return Array.from({ length: count }, (_, index) => room.signal('wave', index, 'bob'));
  }, count);

/** Reads frames until one has this type. @param {Peer} peer @param {string} type */
async function framesUntil(peer, type) {
  const frames = [];
  do frames.push(JSON.parse(await peer.next()));
  while (frames.at(-1).type !== type);
  return frames;
}

test('leaveServer() informs the other peers at once, even if signals are queued', async () => {
  const [page, bob] = await pair();
  await wave(page, 400);
  assert.ok(await page.evaluate(() => /** @type {any} */ (globalThis).room.leaveServer()));
  const frames = await framesUntil(bob, 'peer-left');
  assert.equal(frames.at(-2).type, 'leaving');
  const waves = frames.filter(({ type }) => type === 'wave');
  assert.ok(waves.length < 400, 'signals were queued');
  assert.deepEqual(
    waves.map(({ payload }) => payload),
    waves.map((_, index) => index),
  );
});

test('signals are not kept while the WebSocket is disconnected', async () => {
  const [page, bob] = await pair();
  await wave(page, 400);
  const isSent = await page.evaluate(() => {
    dispatchEvent(new PageTransitionEvent('pagehide'));
    return /** @type {any} */ (globalThis).room.signal('wave', 400, 'bob');
  });
  assert.equal(isSent, false);
  // The new WebSocket could overtake the Close frame of the old one, and bob would not see ann leave.
  await framesUntil(bob, 'peer-left');
  await page.evaluate(() =>
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })),
  );
  await logged(page, 'state joined', 2);
  await page.evaluate(() => /** @type {any} */ (globalThis).room.signal('bell', true, 'bob'));
  const frames = await framesUntil(bob, 'bell');
  assert.deepEqual(
    frames.map(({ type }) => type),
    ['peer-joined', 'cancel', 'bell'],
  );
});

test('an offer that is still queued when the request is withdrawn is not sent', async () => {
  const [page, bob] = await pair();
  await page.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('bob').request());
  await framesUntil(bob, 'request');
  await wave(page, 300);
  bob.send({ type: 'accept', to: 'ann' });
  const hasOffer = () =>
    /** @type {any} */ (globalThis).trace.some(
      (/** @type {any} */ { type, direction }) => type === 'offer' && direction === 'out',
    );
  await until(page, 'an offer is queued', hasOffer);
  await page.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('bob').cancel());
  const frames = await framesUntil(bob, 'cancel');
  assert.equal(frames.length, 301, 'bob gets all waves, and no offer or candidate');
});

test('a signal beyond the limit of the queue is reported', async () => {
  const [page] = await pair();
  const sent = await wave(page, 5_000);
  assert.ok(sent.every((one) => one === true));
  await logged(page, 'error unsent', 500);
  await page.evaluate(() => /** @type {any} */ (globalThis).room.close());
});

test('after a stalled network made the server refuse signals, the library sends nothing for a second', async () => {
  const [page, bob] = await pair();
  await hold(page);
  await page.evaluate(() => {
    /** @type {number[]} */
    const sent = [];
    /** @type {number[]} */
    const refused = [];
    const { room, wire } = /** @type {any} */ (globalThis);
    const handle = wire.handle;
    wire.handle = (/** @type {any[]} */ ...args) => {
      if (args[0] === 'out') sent.push(performance.now());
      handle(...args);
    };
    room.addEventListener('error', () => refused.push(performance.now()));
    Object.assign(globalThis, { sent, refused });
  });
  await wave(page, 420);
  await held(page, 'out', 300);
  await release(page);
  const { first, next } = await page.evaluate(async () => {
    const { sent, refused } = /** @type {any} */ (globalThis);
    const after = () => sent.find((/** @type {number} */ time) => time > refused[0]);
    while (!after()) await new Promise((resolve) => setTimeout(resolve, 50));
    return { first: refused[0], next: after() };
  });
  assert.ok(next - first >= 1_000, `the next signal was sent after ${next - first} ms`);
  await page.evaluate(() => /** @type {any} */ (globalThis).room.signal('bell', true, 'bob'));
  const frames = await framesUntil(bob, 'bell');
  const refused = (await log(page)).filter((line) => line === 'error too-fast').length;
  assert.ok(refused > 0 && frames.filter(({ type }) => type === 'wave').length === 420 - refused);
});

test('a page that reads more than 4 MiB within a ping interval is not closed as unread', async () => {
  const [page, bob] = await pair();
  const room = new URL(bob.socket.url).pathname.split('/').at(-1) ?? '';
  for (let wave = 1; wave <= 4; wave += 1) {
    for (const name of ['eve', 'fay', 'gus']) {
      const peer = await Peer.join(deployed.server, room, `${name}${wave}`);
      for (let count = 0; count < 10; count += 1)
        peer.send({ type: 'big', to: 'ann', payload: 'x'.repeat(60_000) });
    }
    const isOver = (/** @type {number} */ expected) => {
      const { log, trace } = /** @type {any} */ (globalThis);
      const received = trace.filter((/** @type {any} */ { type }) => type === 'big').length;
      return received === expected || log.some((/** @type {string} */ line) => /4013/.test(line));
    };
    await until(page, `wave ${wave} arrives`, isOver, 30 * wave);
    assert.deepEqual(await troubles(page), []);
  }
});
