// @ts-check
/** The handshake told step by step, and walked through step by step. */
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

/** What the page was told of, as it can be sent. @param {Page} page @returns {Promise<Trace[]>} */
const traced = (page) =>
  page.evaluate(() => {
    const { trace } = /** @type {any} */ (globalThis);
    return JSON.parse(JSON.stringify(trace));
  });

/**
 * What happened, once each.
 * @param {Trace[]} trace
 */
const story = (trace) => [
  ...new Set(
    trace.map(({ way, kind, payload }) => {
      const what = typeof payload === 'string' ? payload : payload?.type;
      return [way, kind, ...(way === 'here' && what ? [what] : [])].join(' ');
    }),
  ),
];

/** Fails unless these happened, in this order. @param {string[]} told @param {string[]} expected */
function happened(told, expected) {
  let at = -1;
  for (const one of expected) {
    const next = told.indexOf(one);
    assert(next > at, `"${one}" is not there, or too early:\n${told.join('\n')}`);
    at = next;
  }
}

test('the trace tells of every step of a handshake, on both sides, in order', async () => {
  const [ann, bob] = await pages.pair();
  const before = Date.now();
  await meet(ann, bob);
  for (const page of [ann, bob]) {
    await until(page, 'a candidate of the other is added', () =>
      /** @type {any} */ (globalThis).trace.some(
        (/** @type {any} */ { kind }) => kind === 'add-candidate',
      ),
    );
  }
  const offerer = await traced(bob);
  const answerer = await traced(ann);
  const after = Date.now();

  const offers = story(offerer);
  happened(offers, [
    'in welcome',
    'here create-connection',
    'here create-channel chat',
    'here signaling have-local-offer',
    'here set-local-description offer',
    'out offer',
    'in answer',
    'here signaling stable',
    'here set-remote-description answer',
  ]);
  happened(offers, ['out offer', 'here gathering gathering', 'here gather', 'out candidate']);
  happened(offers, ['in candidate', 'here add-candidate']);
  const answers = story(answerer);
  happened(answers, [
    'in welcome',
    'here line joined',
    'in peer-joined',
    'here create-connection',
    'in offer',
    'here signaling have-remote-offer',
    'here set-remote-description offer',
    'here signaling stable',
    'here set-local-description answer',
    'out answer',
    'here gather',
    'out candidate',
  ]);
  for (const story of [offers, answers]) {
    // Which of the last two is first, the browser leaves to chance.
    for (const end of ['connection connected', 'channel open'])
      happened(story, ['here create-connection', 'here ice checking', `here ${end}`]);
  }

  const times = offerer.map(({ time }) => time);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  assert(before - 5 < times[0] && times[0] < after + 5, `${before} ${times[0]} ${after}`);
  const welcome = offerer.find(({ kind }) => kind === 'welcome');
  assert.deepEqual(welcome?.payload.peers, [{ id: 'ann', polite: false }]);
  assert.equal(welcome?.peer, null);
  const of = (/** @type {Trace[]} */ trace, /** @type {string} */ what) =>
    trace.find(({ way, kind }) => `${way} ${kind}` === what);
  // What one sends is what the other gets, and what both set.
  assert.equal(of(offerer, 'out offer')?.peer, 'ann');
  assert.equal(of(answerer, 'in offer')?.peer, 'bob');
  const { sdp } = of(offerer, 'out offer')?.payload;
  assert.equal(of(answerer, 'in offer')?.payload.sdp, sdp);
  assert.equal(of(answerer, 'here set-remote-description')?.payload.sdp, sdp);
  assert.match(of(offerer, 'here gather')?.payload.candidate, /^candidate:/);
});

/**
 * Joins with a `pace` that puts each step into `steps` and does it when `next` is called. All kinds
 * of steps that it was called for are in `paced`.
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
      return step && `${step.way} ${step.kind}`;
    };
    const pace = (/** @type {any} */ step) => {
      const { stepping } = /** @type {any} */ (globalThis);
      paced.push(step.kind);
      if (stepping) return new Promise((go) => steps.push({ ...step, go }));
    };
    Object.assign(globalThis, { steps, paced, next, pace, stepping: true });
  });
  await join(page, room, options);
}

/** Does the next step, once there is one, and says which. @param {Page} page */
async function next(page) {
  await until(page, 'a step waits', () => /** @type {any} */ (globalThis).steps.length > 0);
  return page.evaluate(() => /** @type {any} */ (globalThis).next());
}

/**
 * Does one step after another, until one of these was done.
 * @param {Page} page
 * @param {string} last
 */
async function walk(page, last) {
  const done = [];
  do done.push(await next(page));
  while (done.at(-1) !== last);
  return done;
}

/** Does each step as soon as it is there. @param {Page} page */
const run = (page) =>
  page.evaluate(() => {
    const globals = /** @type {any} */ (globalThis);
    globals.stepping = false;
    while (globals.next());
  });

/** A round trip shows that nothing is on its way. @param {Page} from @param {Page} to */
async function bell(from, to) {
  const name = `bell-${Math.random()}`;
  await from.evaluate((name) => /** @type {any} */ (globalThis).room.signal(name), name);
  await until(
    to,
    `${name} has come`,
    (name) =>
      /** @type {any} */ (globalThis).log.some((/** @type {string} */ l) => l.includes(name)),
    name,
  );
}

test('nothing is done and nothing is sent before its step is', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await joinStepping(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await joinStepping(bob, room, { id: 'bob' });
  await logged(bob, 'state joined');

  /** @type {string[]} */
  const done = [];
  for (const _ of 'abcde') {
    if (done.includes('here set-local-description')) {
      await until(bob, 'a candidate is found', () =>
        /** @type {any} */ (globalThis).trace.some(
          (/** @type {any} */ { kind }) => kind === 'gather',
        ),
      );
      // It waits behind the offer, and is no step yet.
      const out = await bob.evaluate(() =>
        /** @type {any} */ (globalThis).steps.map((/** @type {any} */ { kind }) => kind),
      );
      assert.deepEqual(out, ['offer']);
    }
    done.push(await next(bob));
    await bell(bob, ann);
    const told = story(await traced(bob));
    // What is not done is not told.
    assert.equal(told.includes('out offer'), done.includes('out offer'), `${done}`);
    assert.equal(
      told.includes('here signaling have-local-offer'),
      done.includes('here set-local-description'),
      `${done}`,
    );
  }
  assert.deepEqual(done, [
    'here create-connection',
    'here create-channel',
    'here create-offer',
    'here set-local-description',
    'out offer',
  ]);
  const offer = (await traced(bob)).find(({ kind }) => kind === 'create-offer')?.payload.sdp;
  const set = (await traced(bob)).find(({ kind }) => kind === 'set-local-description')?.payload;
  const origin = (/** @type {string} */ sdp) => /^o=.*$/m.exec(sdp)?.[0];
  assert.equal(origin(set.sdp), origin(offer)); // what was shown is what was set

  assert.deepEqual(await walk(ann, 'out answer'), [
    'here create-connection',
    'here set-remote-description',
    'here create-answer',
    'here set-local-description',
    'out answer',
  ]);
  await bell(ann, bob);
  const state = () =>
    bob.evaluate(
      () => /** @type {any} */ (globalThis).room.peers.get('ann').connection.signalingState,
    );
  assert.equal(await state(), 'have-local-offer');
  const rest = await walk(bob, 'here set-remote-description');
  assert.deepEqual([...new Set(rest)], ['out candidate', 'here set-remote-description']);
  await Promise.all([run(ann), run(bob)]);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  await talk(bob, 'bob', ann, 'ann', 'at last');
});

test('offers that cross step by step are settled by the roles', async () => {
  for (const first of ['ann', 'bob']) {
    const [ann, bob] = await pages.pair();
    const room = newRoom();
    await joinStepping(ann, room, { id: 'ann' });
    await logged(ann, 'state joined');
    await joinStepping(bob, room, { id: 'bob' });
    await logged(bob, 'state joined');
    await walk(ann, 'here create-connection');
    await ann.evaluate(() => void (/** @type {any} */ (globalThis).room.peers.get('bob').open()));
    // Each has an offer of its own set, and none has gone out.
    await walk(bob, 'here set-local-description');
    await walk(ann, 'here set-local-description');
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
    assert(story(await traced(bob)).some((one) => one.startsWith('here ignore-offer')));
    await Promise.all([ann.close(), bob.close()]);
  }
});

/**
 * Ann's first offer meets one of bob's that is only planned.
 * @returns {Promise<[Page, Page]>}
 */
async function meetPlanned() {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await joinStepping(bob, room, { id: 'bob' });
  await walk(bob, 'here create-channel'); // and now its offer waits to be made
  await ann.evaluate(() => void (/** @type {any} */ (globalThis).room.peers.get('bob').open()));
  return [ann, bob];
}

/**
 * Does this step, once it is there, before others that wait.
 * @param {Page} page
 * @param {string} kind
 */
async function pick(page, kind) {
  await waits(page, kind);
  await page.evaluate((kind) => {
    const { steps } = /** @type {any} */ (globalThis);
    const at = steps.findIndex((/** @type {any} */ step) => step.kind === kind);
    steps.splice(at, 1)[0].go();
  }, kind);
}

/** @param {Page} page @param {string} kind */
const waits = (page, kind) =>
  until(
    page,
    `${kind} waits`,
    (kind) =>
      /** @type {any} */ (globalThis).steps.some((/** @type {any} */ step) => step.kind === kind),
    kind,
  );

test('an offer planned step by step is dropped if another has been taken', async () => {
  const [ann, bob] = await meetPlanned();
  await pick(bob, 'set-remote-description');
  await waits(bob, 'create-answer');
  await pick(bob, 'create-offer');
  await bell(bob, ann);
  const state = await bob.evaluate(
    () => /** @type {any} */ (globalThis).room.peers.get('ann').connection.signalingState,
  );
  assert.equal(state, 'have-remote-offer'); // still: the answer is a step of its own
  await run(bob);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  await talk(bob, 'bob', ann, 'ann', 'hello');
});

test('an offer planned step by step is planned once, whatever comes in between', async () => {
  const [ann, bob] = await meetPlanned();
  for (const kind of ['set-remote-description', 'create-answer', 'set-local-description', 'answer'])
    await pick(bob, kind);
  await bell(bob, ann);
  await bell(ann, bob);
  const planned = await bob.evaluate(
    () =>
      /** @type {any} */ (globalThis).steps.filter(
        (/** @type {any} */ { kind }) => kind === 'create-offer',
      ).length,
  );
  assert.equal(planned, 1);
  await run(bob);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
});

test('what is taken back before its step is not done', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann', connect: 'on-request' });
  await logged(ann, 'state joined');
  await joinStepping(bob, room, { id: 'bob', connect: 'on-request' });
  await logged(bob, 'peer ann');
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('bob').request());
  await logged(bob, 'request ann');
  await bob.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('ann').accept());
  await waits(bob, 'create-connection');
  await bob.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('ann').cancel());
  await logged(ann, 'relation bob none');
  await run(bob);
  await bell(ann, bob);
  assert(!story(await traced(bob)).includes('here create-connection'));
});

test('who waits for a step begins nothing new, and what is said again adds no steps', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await ann.clock.install();
  await bob.clock.install();
  await joinStepping(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob' });
  await walk(ann, 'here create-connection');
  const offers = (/** @type {number} */ count) =>
    until(
      ann,
      `${count} offers have come`,
      (count) =>
        /** @type {any} */ (globalThis).trace.filter(
          (/** @type {any} */ { way, kind }) => way === 'in' && kind === 'offer',
        ).length === count,
      count,
    );
  await offers(1);
  await ann.clock.fastForward(11_000);
  await bob.clock.fastForward(11_000);
  await offers(2);
  await bell(bob, ann);
  await walk(ann, 'out answer');
  await run(ann);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  const paced = await ann.evaluate(() => /** @type {any} */ (globalThis).paced);
  assert.equal(
    paced.filter((/** @type {string} */ kind) => kind === 'set-remote-description').length,
    1,
  );
  assert(!paced.includes('create-channel')); // which begins an offer
});

test('who goes while a step waits holds nothing up', async () => {
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
