// @ts-check
/** `trace` reports each step of a handshake, and `pace` delays each step. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, meet, newRoom, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('../../public/room.js').Trace} Trace */

const dev = new Dev();
const pages = new Pages(dev);
useFixtures(dev, pages);

/**
 * Returns the details of all `trace` events so far.
 * @param {Page} page
 * @returns {Promise<Trace[]>}
 */
const traced = (page) =>
  page.evaluate(() => {
    const { trace } = /** @type {any} */ (globalThis);
    // Converts descriptions and candidates to plain objects.
    return JSON.parse(JSON.stringify(trace));
  });

/**
 * Returns the distinct steps as strings: direction, type, and the value of a local step.
 * @param {Trace[]} trace
 */
const summary = (trace) => [
  ...new Set(
    trace.map(({ direction, type, payload }) => {
      const value = typeof payload === 'string' ? payload : payload?.type;
      return [direction, type, ...(direction === 'local' && value ? [value] : [])].join(' ');
    }),
  ),
];

/**
 * Asserts that `steps` contains all expected steps in this order.
 * @param {string[]} steps
 * @param {string[]} expected
 */
function assertOrder(steps, expected) {
  let at = -1;
  for (const step of expected) {
    const next = steps.indexOf(step);
    assert(next > at, `"${step}" is missing or too early:\n${steps.join('\n')}`);
    at = next;
  }
}

/** @param {Trace[]} trace @param {string} direction @param {string} type */
const find = (trace, direction, type) =>
  trace.find((step) => step.direction === direction && step.type === type);

/** @type {ReturnType<typeof recordHandshake> | undefined} */
let recorded;

/** Returns the traces of one handshake, which several tests share. */
const handshake = () => (recorded ??= recordHandshake());

async function recordHandshake() {
  const [ann, bob] = await pages.pair();
  const start = Date.now();
  await meet(ann, bob);
  for (const page of [ann, bob]) {
    await until(page, 'a candidate of the other side is added', () =>
      /** @type {any} */ (globalThis).trace.some(
        (/** @type {any} */ { type }) => type === 'add-candidate',
      ),
    );
  }
  const [offerer, answerer] = [await traced(bob), await traced(ann)];
  return { offerer, answerer, start, end: Date.now() };
}

test('trace reports every step of a handshake in order, on both sides', async () => {
  const { offerer, answerer } = await handshake();
  const offers = summary(offerer);
  assertOrder(offers, [
    'in welcome',
    'local create-connection',
    'local create-channel chat',
    'out offer', // with the join
    'local signaling-state have-local-offer',
    'local signaling-state stable',
    'local set-remote-description answer',
  ]);
  assertOrder(offers, ['out offer', 'in answer', 'local set-remote-description answer']);
  assertOrder(offers, [
    'local signaling-state have-local-offer',
    'local set-local-description offer',
    'local ice-gathering-state gathering',
    'local local-candidate',
    'out candidate',
  ]);
  assertOrder(offers, ['in candidate', 'local add-candidate']);
  const answers = summary(answerer);
  assertOrder(answers, [
    'in welcome',
    'local room-state joined',
    'in peer-joined',
    'local create-connection',
    'in offer',
    'local signaling-state have-remote-offer',
    'local set-remote-description offer',
    'local signaling-state stable',
    'local set-local-description answer',
    'out answer',
    'local local-candidate',
    'out candidate',
  ]);
  for (const steps of [offers, answers]) {
    // The browser may report these two states in either order.
    for (const end of ['connection-state connected', 'channel-state open'])
      assertOrder(steps, [
        'local create-connection',
        'local ice-connection-state checking',
        `local ${end}`,
      ]);
  }
});

test('trace has ascending times in milliseconds since 1970', async () => {
  const { offerer, start, end } = await handshake();
  const times = offerer.map(({ time }) => time);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  assert(start - 5 < times[0] && times[0] < end + 5, `${start} ${times[0]} ${end}`);
});

test('trace names the peer of a signal, and no peer for the welcome', async () => {
  const { offerer, answerer } = await handshake();
  const welcome = find(offerer, 'in', 'welcome');
  assert.deepEqual(welcome?.payload.peers, [{ id: 'ann', polite: false }]);
  assert.equal(welcome?.peer, null);
  assert.equal(find(offerer, 'out', 'offer')?.peer, 'ann');
  assert.equal(find(answerer, 'in', 'offer')?.peer, 'bob');
});

test('trace has the same offer on both sides, and the candidates', async () => {
  const { offerer, answerer } = await handshake();
  const { sdp } = find(offerer, 'out', 'offer')?.payload;
  assert.match(sdp, /^v=0/);
  assert.equal(find(answerer, 'in', 'offer')?.payload.sdp, sdp);
  assert.equal(find(answerer, 'local', 'set-remote-description')?.payload.sdp, sdp);
  const candidate = find(offerer, 'local', 'local-candidate')?.payload.candidate;
  assert.match(candidate, /^candidate:/);
});

/**
 * Joins with a `pace` callback that appends each step to the global `steps`. The global `next` runs
 * the first step in `steps`. The global `paced` has the types of all steps so far.
 * @param {Page} page
 * @param {string} room
 * @param {Record<string, unknown>} options
 */
async function joinStepping(page, room, options) {
  await page.evaluate(() => {
    /** @type {any[]} */
    const steps = [];
    /** @type {string[]} */
    const paced = [];
    const next = () => {
      const step = steps.shift();
      step?.go();
      return step && `${step.direction} ${step.type}`;
    };
    const pace = (/** @type {any} */ step) => {
      const { stepping } = /** @type {any} */ (globalThis);
      paced.push(step.type);
      if (stepping) return new Promise((go) => steps.push({ ...step, go }));
    };
    Object.assign(globalThis, { steps, paced, next, pace, stepping: true });
  });
  await join(page, room, options);
}

/** Waits for a step, runs the step, and returns its direction and type. @param {Page} page */
async function next(page) {
  await until(page, 'a step waits', () => /** @type {any} */ (globalThis).steps.length > 0);
  return page.evaluate(() => /** @type {any} */ (globalThis).next());
}

/**
 * Runs steps up to and including `last`, and returns these steps as strings.
 * @param {Page} page
 * @param {string} last
 */
async function walk(page, last) {
  const done = [];
  do done.push(await next(page));
  while (done.at(-1) !== last);
  return done;
}

/** Runs all queued steps, and lets later steps run without a delay. @param {Page} page */
const run = (page) =>
  page.evaluate(() => {
    const globals = /** @type {any} */ (globalThis);
    globals.stepping = false;
    while (globals.next());
  });

/**
 * Sends a signal and waits until the signal arrives. All earlier signals have then arrived, too.
 * @param {Page} from
 * @param {Page} to
 */
async function sync(from, to) {
  const name = `sync-${Math.random()}`;
  await from.evaluate((name) => /** @type {any} */ (globalThis).room.signal(name), name);
  await until(
    to,
    `${name} has arrived`,
    (name) =>
      /** @type {any} */ (globalThis).log.some((/** @type {string} */ l) => l.includes(name)),
    name,
  );
}

test('no step runs and no signal is sent before its pace promise settles', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await joinStepping(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await joinStepping(bob, room, { id: 'bob' });
  await logged(bob, 'state joined');

  /** @type {string[]} */
  const done = [];
  for (const _ of 'abcde') {
    if (done.includes('local set-local-description')) {
      await until(bob, 'a candidate is found', () =>
        /** @type {any} */ (globalThis).trace.some(
          (/** @type {any} */ { type }) => type === 'local-candidate',
        ),
      );
      // The candidate is queued behind the offer, so `pace` is not called for the candidate yet.
      const waiting = await bob.evaluate(() =>
        /** @type {any} */ (globalThis).steps.map((/** @type {any} */ { type }) => type),
      );
      assert.deepEqual(waiting, ['offer']);
    }
    done.push(await next(bob));
    await sync(bob, ann);
    const reported = summary(await traced(bob));
    // `trace` reports a step only after the step has run.
    assert.equal(reported.includes('out offer'), done.includes('out offer'), `${done}`);
    assert.equal(
      reported.includes('local signaling-state have-local-offer'),
      done.includes('local set-local-description'),
      `${done}`,
    );
  }
  assert.deepEqual(done, [
    'local create-connection',
    'local create-channel',
    'local create-offer',
    'local set-local-description',
    'out offer',
  ]);
  const offer = (await traced(bob)).find(({ type }) => type === 'create-offer')?.payload.sdp;
  const set = (await traced(bob)).find(({ type }) => type === 'set-local-description')?.payload;
  const origin = (/** @type {string} */ sdp) => /^o=.*$/m.exec(sdp)?.[0];
  // `trace` reports the description that is actually set.
  assert.equal(origin(set.sdp), origin(offer));

  assert.deepEqual(await walk(ann, 'out answer'), [
    'local create-connection',
    'local set-remote-description',
    'local create-answer',
    'local set-local-description',
    'out answer',
  ]);
  await sync(ann, bob);
  const state = () =>
    bob.evaluate(
      () => /** @type {any} */ (globalThis).room.peers.get('ann').connection.signalingState,
    );
  assert.equal(await state(), 'have-local-offer');
  const rest = await walk(bob, 'local set-remote-description');
  assert.deepEqual([...new Set(rest)], ['out candidate', 'local set-remote-description']);
  await Promise.all([run(ann), run(bob)]);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  await talk(bob, 'bob', ann, 'ann', 'hello');
});

test('glare is resolved by the roles when every step is paced', async () => {
  for (const first of ['ann', 'bob']) {
    const [ann, bob] = await pages.pair();
    const room = newRoom();
    await joinStepping(ann, room, { id: 'ann' });
    await logged(ann, 'state joined');
    await joinStepping(bob, room, { id: 'bob' });
    await logged(bob, 'state joined');
    await walk(ann, 'local create-connection');
    await ann.evaluate(
      () => void (/** @type {any} */ (globalThis).room.peers.get('bob').startOffer()),
    );
    // Each side sets its own offer, and neither offer is sent yet.
    await walk(bob, 'local set-local-description');
    await walk(ann, 'local set-local-description');
    const [one, other] = first === 'ann' ? [ann, bob] : [bob, ann];
    await run(one);
    await run(other);
    await connected(ann, 'bob');
    await connected(bob, 'ann');
    await talk(ann, 'ann', bob, 'bob', 'hello');
    for (const page of [ann, bob]) {
      assert.deepEqual(
        (await log(page)).filter((line) => /^(leave|error)/.test(line)),
        [],
      );
    }
    assert(summary(await traced(bob)).some((step) => step.startsWith('local ignore-offer')));
    await Promise.all([ann.close(), bob.close()]);
  }
});

/**
 * Lets ann and bob join. Ann sends her first offer while bob's own offer waits for `pace`.
 * @returns {Promise<[Page, Page]>}
 */
async function meetScheduled() {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await joinStepping(bob, room, { id: 'bob' });
  // The next step, create-offer, waits.
  await walk(bob, 'local create-channel');
  await ann.evaluate(
    () => void (/** @type {any} */ (globalThis).room.peers.get('bob').startOffer()),
  );
  return [ann, bob];
}

/**
 * Waits for a step of this type, and runs the step before the other queued steps.
 * @param {Page} page
 * @param {string} type
 */
async function pick(page, type) {
  await isWaiting(page, type);
  await page.evaluate((type) => {
    const { steps } = /** @type {any} */ (globalThis);
    const at = steps.findIndex((/** @type {any} */ step) => step.type === type);
    steps.splice(at, 1)[0].go();
  }, type);
}

/** Waits until a step of this type is queued. @param {Page} page @param {string} type */
const isWaiting = (page, type) =>
  until(
    page,
    `${type} waits`,
    (type) =>
      /** @type {any} */ (globalThis).steps.some((/** @type {any} */ step) => step.type === type),
    type,
  );

test('a scheduled offer is dropped when a remote offer was set before', async () => {
  const [ann, bob] = await meetScheduled();
  await pick(bob, 'set-remote-description');
  await isWaiting(bob, 'create-answer');
  await pick(bob, 'create-offer');
  await sync(bob, ann);
  const state = await bob.evaluate(
    () => /** @type {any} */ (globalThis).room.peers.get('ann').connection.signalingState,
  );
  // The step create-answer waits, so the state is unchanged.
  assert.equal(state, 'have-remote-offer');
  await run(bob);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  await talk(bob, 'bob', ann, 'ann', 'hello');
});

test('an offer is scheduled once, even if a remote offer is answered in between', async () => {
  const [ann, bob] = await meetScheduled();
  for (const type of ['set-remote-description', 'create-answer', 'set-local-description', 'answer'])
    await pick(bob, type);
  await sync(bob, ann);
  await sync(ann, bob);
  const scheduled = await bob.evaluate(
    () =>
      /** @type {any} */ (globalThis).steps.filter(
        (/** @type {any} */ { type }) => type === 'create-offer',
      ).length,
  );
  assert.equal(scheduled, 1);
  await run(bob);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
});

test('a connection that is cancelled before its step is not created', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann', connect: 'on-request' });
  await logged(ann, 'state joined');
  await joinStepping(bob, room, { id: 'bob', connect: 'on-request' });
  await logged(bob, 'peer ann');
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('bob').request());
  await logged(bob, 'request ann');
  await bob.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('ann').accept());
  await isWaiting(bob, 'create-connection');
  await bob.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('ann').cancel());
  await logged(ann, 'relation bob none');
  await run(bob);
  await sync(ann, bob);
  assert(!summary(await traced(bob)).includes('local create-connection'));
});

test('a peer that waits for a step is not restarted, and repeated signals add no steps', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await ann.clock.install();
  await bob.clock.install();
  await joinStepping(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob' });
  await walk(ann, 'local create-connection');
  const offers = (/** @type {number} */ count) =>
    until(
      ann,
      `${count} offers have arrived`,
      (count) =>
        /** @type {any} */ (globalThis).trace.filter(
          (/** @type {any} */ { direction, type }) => direction === 'in' && type === 'offer',
        ).length === count,
      count,
    );
  await offers(1);
  await ann.clock.fastForward(11_000);
  await bob.clock.fastForward(11_000);
  await offers(2);
  await sync(bob, ann);
  await walk(ann, 'out answer');
  await run(ann);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  const paced = await ann.evaluate(() => /** @type {any} */ (globalThis).paced);
  assert.equal(
    paced.filter((/** @type {string} */ type) => type === 'set-remote-description').length,
    1,
  );
  // An offer by Ann would begin with this step, so she made none.
  assert(!paced.includes('create-channel'));
});

test('a peer that leaves while its step waits does not block the next peer', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await joinStepping(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob' });
  await until(ann, 'a step waits', () => /** @type {any} */ (globalThis).steps.length > 0);
  await bob.reload();
  await logged(ann, 'leave bob');
  await run(ann);
  await join(bob, room, { id: 'bob' });
  await connected(ann, 'bob');
  await connected(bob, 'ann');
});
