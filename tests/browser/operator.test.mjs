// @ts-check
/** The library when the operator of the server removes its peer, and when its token expires. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { ROOM_SECRET, sign } from '../support/token.mjs';
import { hold, release } from '../support/wire.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const deployed = new Deployed({ ROOM_SECRET, CLOSE_EXPIRED: 'true' });
const pages = new Pages(deployed);
useFixtures(deployed, pages);

/** Seconds until a token expires that the page must still be able to join with. */
const SOON = 4;
/** The timeout for the end of such a token, in milliseconds. */
const EXPIRED = 12_000;
/** The longest life of a token that a slow machine gets, in seconds. */
const LATE = 32;

/** Returns a token that expires after some seconds. @param {number} seconds */
const mint = (seconds, claims = {}) =>
  sign({ room: '*', exp: Math.floor(Date.now() / 1000) + seconds, ...claims });

/** @param {Page} page */
const disturbances = async (page) =>
  (await log(page)).filter((line) => /^(leave|error|close)/.test(line));

test('a removed peer leaves all others, and cannot return', async () => {
  const room = newRoom();
  const [ann, bob] = await pages.pair();
  const eve = await pages.open('eve');
  const token = mint(600);
  for (const [page, id] of /** @type {[Page, string][]} */ ([
    [ann, 'ann'],
    [bob, 'bob'],
    [eve, 'eve'],
  ])) {
    await join(page, room, { id, token });
    await logged(page, 'state joined');
  }
  await connected(eve, 'ann', 'bob');
  await connected(ann, 'bob', 'eve');
  // The others do not learn of it yet, so that only eve can end her connections.
  for (const page of [ann, bob]) await hold(page, 'in');
  const response = await fetch(`${deployed.origin}/admin/${room}/remove`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${mint(600, { admin: true })}` },
    body: JSON.stringify({ id: 'eve' }),
  });
  assert.deepEqual(await response.json(), { removed: 1 });
  await logged(eve, 'close 4012');
  const entries = await log(eve);
  const ended = entries
    .slice(0, entries.indexOf('close 4012'))
    .filter((line) => line.startsWith('leave'))
    .sort();
  assert.deepEqual(ended, ['leave ann', 'leave bob']);
  for (const page of [ann, bob]) await release(page, 'in');
  await logged(ann, 'leave eve');
  await connected(ann, 'bob');
  await talk(ann, 'ann', bob, 'bob', 'she is gone');
  await join(eve, room, { id: 'eve', token });
  await logged(eve, 'close 4012');
  assert.ok(!(await log(eve)).some((line) => /^state (joined|connecting)/.test(line)));
});

test('after 4014, the library returns with a new token, and its connections go on', async () => {
  const room = newRoom();
  const [ann, bob] = await pages.pair();
  let seconds = SOON;
  await ann.exposeFunction('token', () => mint(seconds));
  await join(bob, room, { id: 'bob', token: mint(600) });
  await join(ann, room, { id: 'ann' });
  await connected(ann, 'bob');
  seconds = 600; // only now: on a slow machine, the first token may expire before the join
  await logged(ann, 'state reconnecting 4014', 1, EXPIRED);
  await logged(ann, 'state joined', 2);
  await talk(ann, 'ann', bob, 'bob', 'back');
  assert.deepEqual(await disturbances(bob), []);
  assert.deepEqual(
    (await disturbances(ann)).filter((line) => !/^error (expired|unauthorized)$/.test(line)),
    [],
  );
});

for (const { seconds, retryIn } of [
  { seconds: 6, retryIn: 1_500 }, // 0 to 2 s, so that the tokens of many clients are replaced in turn
  { seconds: 0, retryIn: 437.5 }, // 0.25 to 0.5 s, as after a lost connection, and then longer
]) {
  test(`a token that expires ${seconds} s after the join is replaced ${retryIn} ms later`, async () => {
    const ann = await pages.open('ann');
    await ann.clock.install({ time: 0 });
    await ann.clock.pauseAt(1_000);
    let life = SOON;
    await ann.exposeFunction('token', () => mint(life));
    await ann.evaluate(() => (Math.random = () => 0.75));
    for (let isLate = true; isLate; life *= 2) {
      await join(ann, newRoom(), { id: 'ann' });
      await ann.evaluate(() => {
        const global = /** @type {any} */ (globalThis);
        global.room.addEventListener('state', (/** @type {any} */ { detail }) => {
          global.retryIn = detail.retryIn;
        });
      });
      await until(ann, 'joined or refused', () =>
        /** @type {any} */ (globalThis).log.some((/** @type {string} */ line) =>
          /^(state joined|error unauthorized)/.test(line),
        ),
      );
      await ann.clock.fastForward(seconds * 1000);
      isLate =
        life < LATE && (await log(ann)).some((line) => /^(error|state reconnecting)/.test(line));
      if (isLate) await ann.evaluate(() => /** @type {any} */ (globalThis).room.close());
    }
    await logged(ann, 'state reconnecting 4014', 1, EXPIRED + life * 1000);
    const found = await ann.evaluate(() => /** @type {any} */ (globalThis).retryIn);
    assert.equal(found, retryIn);
  });
}

test('a text that expires closes the room, says what to do, and ends no connection', async () => {
  const room = newRoom();
  const [ann, bob] = await pages.pair();
  await join(bob, room, { id: 'bob', token: mint(600) });
  // If the machine is too slow to connect before the token expires, the next token lives longer. The key
  // lets the next join return to the seat.
  let life = SOON;
  for (let isLate = true; isLate; life *= 2) {
    await join(ann, room, { id: 'ann', key: 'secret of ann', token: mint(life) });
    await ann.evaluate(() => {
      const global = /** @type {any} */ (globalThis);
      global.room.addEventListener('close', (/** @type {any} */ { detail }) => {
        global.message = detail.message;
      });
    });
    await until(ann, 'connected, or too late', () => {
      const { log, room } = /** @type {any} */ (globalThis);
      const isClosed = log.some((/** @type {string} */ line) => line.startsWith('close'));
      return isClosed || room.peers.get('bob')?.connection?.connectionState === 'connected';
    });
    isLate = life < LATE && (await log(ann)).some((line) => line.startsWith('close'));
  }
  await connected(ann, 'bob');
  await logged(ann, 'close 4014', 1, EXPIRED + life * 1000);
  const message = await ann.evaluate(() => /** @type {any} */ (globalThis).message);
  assert.match(message, /^the token has expired: .*pass a function/);
  await talk(ann, 'ann', bob, 'bob', 'still here');
  assert.ok(!(await disturbances(ann)).some((line) => line.startsWith('leave')));
});
