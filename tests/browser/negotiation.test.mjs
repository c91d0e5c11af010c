// @ts-check
/** Tests glare (offers that cross), early candidates and replaced pages with real connections. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, meet, newRoom, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { held, hold, release } from '../support/wire.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages(dev);
useFixtures(dev, pages);

/**
 * Appends every signaling state of the connection with a peer to the global `states`.
 * @param {Page} page
 * @param {string} id
 */
const watchStates = (page, id) =>
  page.evaluate((id) => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get(id);
    /** @type {string[]} */
    const states = [];
    Object.assign(globalThis, { states });
    connection.addEventListener('signalingstatechange', () =>
      states.push(connection.signalingState),
    );
  }, id);

/** @param {Page} page @returns {Promise<string[]>} */
const states = (page) => page.evaluate(() => /** @type {any} */ (globalThis).states.splice(0));

/**
 * Triggers an offer, and waits until the offer is the local description.
 * @param {Page} page
 * @param {string} id
 */
async function offer(page, id) {
  await page.evaluate(
    (id) => /** @type {any} */ (globalThis).room.peers.get(id).connection.addTransceiver('audio'),
    id,
  );
  const pending = (/** @type {string} */ id) =>
    /** @type {any} */ (globalThis).room.peers.get(id).connection.signalingState ===
    'have-local-offer';
  await until(page, 'an offer is pending', pending, id);
}

/**
 * Waits until `count` transceivers are negotiated and no negotiation is pending.
 * @param {Page} page
 * @param {string} id
 * @param {number} count
 */
const settled = (page, id, count) =>
  until(
    page,
    `${count} transceivers with ${id} are negotiated`,
    ([id, count]) => {
      const { connection } = /** @type {any} */ (globalThis).room.peers.get(id);
      const negotiated = connection
        .getTransceivers()
        .filter((/** @type {any} */ t) => t.currentDirection !== null);
      return connection.signalingState === 'stable' && negotiated.length === count;
    },
    /** @type {[string, number]} */ ([id, count]),
  );

test('glare is resolved by the roles in every round', async () => {
  const [ann, bob] = await pages.pair();
  await meet(ann, bob);
  await watchStates(ann, 'bob');
  await watchStates(bob, 'ann');
  for (let round = 1; round <= 8; round += 1) {
    await Promise.all([hold(ann), hold(bob)]);
    await Promise.all([offer(ann, 'bob'), offer(bob, 'ann')]);
    // Both offers exist before either offer is sent, so the offers always cross.
    await Promise.all([release(ann), release(bob)]);
    await settled(ann, 'bob', 2 * round);
    await settled(bob, 'ann', 2 * round);
    // The polite peer (ann) rolls its offer back, and the impolite peer (bob) receives an answer.
    const polite = await states(ann);
    assert.equal(
      polite.find((state) => !['have-local-offer', 'stable'].includes(state)),
      'have-remote-offer',
      `${polite}`,
    );
    assert.deepEqual((await states(bob)).slice(0, 2), ['have-local-offer', 'stable']);
  }
  await talk(ann, 'ann', bob, 'bob', 'hello bob');
  await talk(bob, 'bob', ann, 'ann', 'hello ann');
  assert.deepEqual(
    (await log(ann)).filter((line) => /^(leave|error)/.test(line)),
    [],
  );
  assert.deepEqual(
    (await log(bob)).filter((line) => /^(leave|error)/.test(line)),
    [],
  );
});

test('first offers in glare result in one connection', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await Promise.all([hold(ann), hold(bob)]);
  // The first peer makes an offer, too, as it does when the newcomer's offer does not arrive.
  await ann.evaluate(() => {
    const { room } = /** @type {any} */ (globalThis);
    room.addEventListener('peer', (/** @type {any} */ { detail }) => detail.peer.startOffer());
  });
  await join(bob, room, { id: 'bob' });
  const pending = (/** @type {string} */ id) =>
    /** @type {any} */ (globalThis).room.peers.get(id)?.connection.signalingState ===
    'have-local-offer';
  await until(ann, 'an offer is pending', pending, 'bob');
  await until(bob, 'an offer is pending', pending, 'ann');
  await Promise.all([release(ann), release(bob)]);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  await talk(ann, 'ann', bob, 'bob', 'hello');
  await talk(bob, 'bob', ann, 'ann', 'hello');
});

test('an impolite peer ignores an offer that arrives while it creates its own offer', async () => {
  const [ann, bob] = await pages.pair();
  await meet(ann, bob);
  await hold(bob, 'in');
  await ann.evaluate(
    () =>
      void (
        /** @type {any} */ (globalThis).room.peers.get('bob').connection.addTransceiver('audio')
      ),
  );
  await held(bob, 'in', 1);
  // While setLocalDescription() is pending, the signaling state is still "stable".
  const state = await bob.evaluate(
    () =>
      new Promise((resolve) => {
        const { room, wire } = /** @type {any} */ (globalThis);
        const { connection } = room.peers.get('ann');
        connection.addEventListener('negotiationneeded', () => {
          resolve(connection.signalingState);
          wire.release('in');
        });
        connection.addTransceiver('audio');
      }),
  );
  assert.equal(state, 'stable');
  await settled(ann, 'bob', 2);
  await settled(bob, 'ann', 2);
  const ignored = await bob.evaluate(() =>
    /** @type {any} */ (globalThis).trace.some(
      (/** @type {any} */ { type }) => type === 'ignore-offer',
    ),
  );
  // Without `ignore-offer`, the impolite peer would have rolled its own offer back.
  assert(ignored);
  assert.deepEqual(
    (await log(bob)).filter((line) => /^(leave|error)/.test(line)),
    [],
  );
});

test('an offer is accepted while the previous answer is still being set', async () => {
  const [ann, bob] = await pages.pair();
  await meet(ann, bob);
  await hold(bob, 'in');
  await offer(bob, 'ann');
  // Waits for ann's answer.
  await held(bob, 'in', 1);
  await ann.evaluate(
    () =>
      void (
        /** @type {any} */ (globalThis).room.peers.get('bob').connection.addTransceiver('audio')
      ),
  );
  // Waits for ann's own offer.
  await held(bob, 'in', 2);
  await release(bob, 'in');
  await settled(ann, 'bob', 2);
  await settled(bob, 'ann', 2);
});

test('candidates that arrive before their description are queued', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await hold(bob);
  await join(bob, room, { id: 'bob' });
  const allHeld = () => {
    const { room, wire } = /** @type {any} */ (globalThis);
    const { connection } = room.peers.get('ann') ?? {};
    if (connection?.iceGatheringState !== 'complete') return;
    const found = connection.localDescription.sdp.match(/^a=candidate:/gm).length;
    const frames = wire.held.out.flatMap((/** @type {any} */ { text }) => JSON.parse(text));
    // The frames are the candidates and one offer.
    return frames.length === found + 1;
  };
  await until(bob, 'all candidates are held', allHeld);
  const count = await bob.evaluate(() => {
    const { room, wire } = /** @type {any} */ (globalThis);
    // Moves the offer to the end.
    wire.held.out.push(wire.held.out.shift());
    const { sdp } = room.peers.get('ann').connection.localDescription;
    return sdp.match(/^a=candidate:/gm).length;
  });
  await release(bob);
  await connected(ann, 'bob');
  // The peers would connect even without these candidates, using peer-reflexive candidates. So
  // count the candidates in the remote description.
  const known = (/** @type {number} */ count) => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
    return connection.remoteDescription.sdp.match(/^a=candidate:/gm)?.length === count;
  };
  await until(ann, `${count} candidates are known`, known, count);
  await talk(ann, 'ann', bob, 'bob', 'hello');
});

test('a page that takes over an id gets new connections in both roles', async () => {
  for (const newcomer of ['ann', 'bob']) {
    const [ann, bob] = await pages.pair();
    const again = await pages.open(`${newcomer} again`);
    const room = await meet(ann, bob);
    const [first, other, otherId] = newcomer === 'ann' ? [ann, bob, 'bob'] : [bob, ann, 'ann'];
    await join(again, room, { id: newcomer, key: `secret of ${newcomer}` });
    await logged(first, 'close 4001');
    await connected(again, otherId);
    await connected(other, newcomer);
    await talk(other, otherId, again, newcomer, 'hello again');
    await talk(again, newcomer, other, otherId, 'hello back');
    const rejoins = (await log(other)).filter((line) => /^(peer|leave) /.test(line));
    assert.deepEqual(rejoins, [`peer ${newcomer}`, `leave ${newcomer}`, `peer ${newcomer}`]);
    await Promise.all([ann, bob, again].map((page) => page.close()));
  }
});

test('a page that takes over an id connects while the impolite peer has a pending offer', async () => {
  const [ann, bob] = await pages.pair();
  const again = await pages.open('ann again');
  const room = await meet(ann, bob);
  await hold(bob);
  // This offer is for the old page, but collides with the first offer of the new page.
  await offer(bob, 'ann');
  await join(again, room, { id: 'ann', key: 'secret of ann' });
  await until(again, 'its own offer is made', () => {
    const peer = /** @type {any} */ (globalThis).room.peers.get('bob');
    return peer?.connection.signalingState === 'have-local-offer';
  });
  await release(bob);
  await connected(again, 'bob');
  await connected(bob, 'ann');
  await talk(bob, 'bob', again, 'ann', 'hello');
});
