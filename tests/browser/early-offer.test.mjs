// @ts-check
/** The offer that travels with the join: it connects as other offers do, and no connection is left over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, logged, newRoom, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { DeployedWithTurn } from '../support/turn.mjs';
import { lose, passed } from '../support/wire.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('../../public/room.js').Trace} Trace */

const deployed = new DeployedWithTurn();
const pages = new Pages(deployed);
const firefox = new Pages(deployed, 'Firefox');
useFixtures(deployed, pages, firefox);

/** Collects all connections of a page in `connections`. @param {Page} page */
const count = (page) =>
  page.evaluate(() => {
    const globals = /** @type {any} */ (globalThis);
    globals.connections = [];
    globals.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(/** @type {RTCConfiguration} */ configuration) {
        super(configuration);
        globals.connections.push(this);
      }
    };
  });

/** Waits until a page has these connections that are not closed. @param {Page} page @param {number} open */
const left = (page, open) =>
  until(
    page,
    `${open} connections are open`,
    (open) => {
      const { connections } = /** @type {any} */ (globalThis);
      const left = connections.filter((/** @type {any} */ it) => it.signalingState !== 'closed');
      return connections.length > 0 && left.length === open;
    },
    open,
  );

/** The steps of a newcomer. The answer can be there before the local description is set. */
const STEPS = [
  'local create-connection',
  'local create-channel',
  'out offer',
  'in answer',
  'local set-remote-description',
];

/** The traced steps about a peer that have a fixed order. @param {Page} page @param {string} id */
const steps = (page, id) =>
  page.evaluate(
    (id) =>
      /** @type {any} */ (globalThis).trace
        .filter(
          (/** @type {Trace} */ { peer, type }) =>
            peer === id && !/state|candidate|set-local/.test(type),
        )
        .map((/** @type {Trace} */ { direction, type }) => `${direction} ${type}`),
    id,
  );

/** Lets ann wait in a new room, and returns its name. @param {Page} ann */
async function waiting(ann) {
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  return room;
}

for (const [first, second] of [
  [pages, pages],
  [firefox, pages],
  [pages, firefox],
])
  test(`a newcomer connects without a frame for its offer: ${second === firefox ? 'Firefox' : 'Chromium'} comes to ${first === firefox ? 'Firefox' : 'Chromium'}`, async () => {
    const [ann, bob] = await Promise.all([first.open('ann'), second.open('bob')]);
    await count(bob);
    const room = await waiting(ann);
    await join(bob, room, { id: 'bob' });
    await connected(ann, 'bob');
    await connected(bob, 'ann');
    await talk(ann, 'ann', bob, 'bob', 'hello');
    await talk(bob, 'bob', ann, 'ann', 'hello, too');
    assert.ok((await passed(ann)).includes('in offer'));
    assert.ok(!(await passed(bob)).includes('out offer'));
    assert.deepEqual(await steps(bob, 'ann'), STEPS);
    await left(bob, 1);
  });

test('the offer waits for ICE servers that come after the answer, and uses them', async () => {
  const [ann, bob] = await pages.pair();
  const room = await waiting(ann);
  let resolve = () => {};
  const promise = new Promise((done) => (resolve = () => done(undefined)));
  await bob.route(/\/ice-servers(\?|$)/, async (route) => {
    await promise;
    await route.continue();
  });
  await join(bob, room, { id: 'bob', iceServers: undefined, iceTransportPolicy: 'relay' });
  await until(bob, 'the answer has come', () =>
    /** @type {any} */ (globalThis).wire.passed.includes('in answer'),
  );
  resolve();
  await connected(bob, 'ann');
  await connected(ann, 'bob');
  assert.deepEqual(await steps(bob, 'ann'), STEPS);
  const kinds = await bob.evaluate(() =>
    /** @type {any} */ (globalThis).trace
      .filter((/** @type {Trace} */ { type }) => type === 'local-candidate')
      .map((/** @type {Trace} */ { payload }) => payload.type),
  );
  assert.deepEqual([...new Set(kinds)], ['relay']);
  assert.ok(!(await passed(bob)).includes('out offer'));
});

test('an offer that follows the answer at once waits for our offer, too', async () => {
  const [ann, bob] = await pages.pair();
  const room = await waiting(ann);
  await ann.evaluate(() => {
    const { stream } = new AudioContext().createMediaStreamDestination();
    /** @type {any} */ (globalThis).room.addStream(stream);
  });
  let resolve = () => {};
  const promise = new Promise((done) => (resolve = () => done(undefined)));
  await bob.route(/\/ice-servers(\?|$)/, async (route) => {
    await promise;
    await route.continue();
  });
  // Our offer is set when the ICE servers are known. Setting it takes longer than reading both frames.
  await bob.evaluate(() => {
    const { prototype } = RTCPeerConnection;
    const { setLocalDescription } = prototype;
    /** @type {any} */ (prototype).setLocalDescription = async function (
      /** @type {any} */ description,
    ) {
      await new Promise((done) => setTimeout(done, 300));
      return /** @type {any} */ (setLocalDescription).call(this, description);
    };
  });
  await join(bob, room, { id: 'bob', iceServers: undefined });
  await until(bob, 'the answer and an offer have come', () => {
    const { passed } = /** @type {any} */ (globalThis).wire;
    return passed.includes('in answer') && passed.includes('in offer');
  });
  resolve();
  await logged(bob, 'track ann');
  await connected(bob, 'ann');
  await talk(ann, 'ann', bob, 'bob', 'hello');
  const errors = await bob.evaluate(() =>
    /** @type {any} */ (globalThis).log.filter((/** @type {string} */ line) => /^error/.test(line)),
  );
  assert.deepEqual(errors, []);
});

test('a third page makes one offer early, and the other one after its welcome', async () => {
  const [ann, bob] = await pages.pair();
  const eve = await pages.open('eve');
  const room = await waiting(ann);
  await join(bob, room, { id: 'bob' });
  await connected(ann, 'bob');
  await count(eve);
  await join(eve, room, { id: 'eve' });
  await connected(eve, 'ann', 'bob');
  await connected(ann, 'bob', 'eve');
  await connected(bob, 'ann', 'eve');
  assert.equal((await passed(eve)).filter((frame) => frame === 'out offer').length, 1);
  await left(eve, 2);
});

test('tracks that a peer listener of the newcomer adds are sent after the answer', async () => {
  for (const browser of [pages, firefox]) {
    const [ann, bob] = await browser.pair();
    const room = await waiting(ann);
    await bob.evaluate(() => {
      const { stream } = new AudioContext().createMediaStreamDestination();
      Object.assign(globalThis, { stream });
    });
    await bob.evaluate(() => {
      // `join` awaits the import, so this listener is there before the first frame.
      const wait = () => {
        const { room, stream } = /** @type {any} */ (globalThis);
        if (!room) return void setTimeout(wait);
        room.on('peer', (/** @type {any} */ { peer }) =>
          peer.connection.addTrack(stream.getTracks()[0], stream),
        );
      };
      wait();
    });
    await join(bob, room, { id: 'bob' });
    await logged(ann, 'track bob');
    await connected(bob, 'ann');
    assert.ok((await passed(ann)).indexOf('in offer') >= 0);
  }
});

test('a page that reloads with its key replaces its connection', async () => {
  const [ann, bob] = await pages.pair();
  const room = await waiting(ann);
  const options = { id: 'bob', key: 'the key of bob' };
  await join(bob, room, options);
  await connected(ann, 'bob');
  await bob.reload();
  await join(bob, room, options);
  await logged(ann, 'peer bob', 2);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  await talk(bob, 'bob', ann, 'ann', 'again');
  assert.ok(!(await passed(bob)).includes('out offer'));
});

test('the answer is repeated if it got lost', async () => {
  const [ann, bob] = await pages.pair();
  const room = await waiting(ann);
  await lose(bob, 'in', 'answer');
  await join(bob, room, { id: 'bob' });
  await until(bob, 'the answer is lost', () =>
    /** @type {any} */ (globalThis).wire.lost.includes('in answer'),
  );
  await bob.evaluate(() =>
    /** @type {any} */ (globalThis).room.peers.get('ann').handleSignal('accept'),
  );
  await connected(bob, 'ann');
  await connected(ann, 'bob');
  assert.equal((await passed(bob)).filter((frame) => frame === 'out offer').length, 1);
});

test('a connection that nobody needs is closed', async () => {
  const page = await pages.open('ann');
  await count(page);
  await join(page, newRoom(), { id: 'ann' });
  await logged(page, 'state joined');
  await left(page, 0);
  await page.evaluate(() => /** @type {any} */ (globalThis).room.close());

  await count(page);
  await join(page, newRoom(), { id: 'ann' });
  await page.evaluate(() => /** @type {any} */ (globalThis).room.close());
  await left(page, 0);
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (globalThis).log), [
    'state closed',
    'close 1000',
  ]);
});

test('with on-request, no connection is prepared', async () => {
  const [ann, bob] = await pages.pair();
  await count(bob);
  const room = await waiting(ann);
  await join(bob, room, { id: 'bob', connect: 'on-request' });
  await logged(bob, 'peer ann');
  assert.equal(await bob.evaluate(() => /** @type {any} */ (globalThis).connections.length), 0);
  assert.ok(!(await passed(ann)).includes('in offer'));
});

test('a token from a function and the offer come with one join', async () => {
  const [ann, bob] = await pages.pair();
  const room = await waiting(ann);
  await bob.evaluate(() => {
    Object.assign(globalThis, {
      token: () => new Promise((give) => setTimeout(give, 50, 'a.b.c')),
    });
  });
  await join(bob, room, { id: 'bob' });
  await connected(bob, 'ann');
  assert.ok(!(await passed(bob)).includes('out offer'));
});

test('a WebSocket that the browser refuses after the offer was made closes the room', async () => {
  const page = await pages.open('ann');
  await page.evaluate(() => {
    // As for ws: on a page with TLS.
    globalThis.WebSocket = /** @type {any} */ (
      class {
        constructor() {
          throw new DOMException('insecure', 'SecurityError');
        }
      }
    );
  });
  await join(page, newRoom());
  await logged(page, 'close 1006');
  const error = await page.evaluate(() =>
    /** @type {any} */ (globalThis).room.joined.catch((/** @type {Error} */ error) => `${error}`),
  );
  assert.match(error, /the room is closed: SecurityError: insecure/);
});
