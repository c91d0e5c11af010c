// @ts-check
/** The option `token` of the library: a text, or a function that is called for each request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, talk } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { ROOM_SECRET, sign } from '../support/token.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const deployed = new Deployed({ ROOM_SECRET });
const pages = new Pages(deployed);
/** The network between ann and the server. */
const network = new TcpProxy(deployed);
useFixtures(deployed, pages, network);

const now = () => Math.floor(Date.now() / 1000);
const valid = () => sign({ room: '*', exp: now() + 600 });
const expired = () => sign({ room: '*', exp: now() - 600 });

/**
 * Defines the function that `join` passes as the option `token`. It returns the tokens in order, and
 * the last one again and again. Returns the list of the returned tokens.
 * @param {Page} page
 * @param {...(() => string)} tokens
 */
async function returnTokens(page, ...tokens) {
  /** @type {string[]} */
  const returned = [];
  await page.exposeFunction('token', () => {
    const token = tokens[Math.min(returned.length, tokens.length - 1)]();
    returned.push(token);
    return token;
  });
  return returned;
}

/** @param {Page} page @returns {Promise<string[]>} */
const messages = (page) => page.evaluate(() => /** @type {any} */ (globalThis).messages);

/**
 * Collects the messages of all `error` events in the global variable `messages`, and then calls the
 * global function `listening`, if there is one.
 * @param {Page} page
 */
const collectMessages = (page) =>
  page.evaluate(() => {
    const global = /** @type {any} */ (globalThis);
    global.messages = [];
    global.room.addEventListener('error', (/** @type {CustomEvent} */ { detail }) =>
      global.messages.push(detail.message),
    );
    global.listening?.();
  });

test('a token is requested for each join, and an expired one returns to a held seat', async () => {
  const [ann, bob] = await Promise.all([pages.open('ann', network.origin), pages.open('bob')]);
  const tokens = await returnTokens(ann, valid, expired);
  const room = newRoom();
  await join(bob, room, { id: 'bob', token: valid() });
  await join(ann, room, { id: 'ann' });
  await connected(ann, 'bob');
  assert.equal(tokens.length, 1);
  network.cut();
  await logged(ann, 'state joined', 2);
  assert.equal(tokens.length, 2);
  await talk(ann, 'ann', bob, 'bob', 'back');
  for (const page of [ann, bob])
    assert.deepEqual(
      (await log(page)).filter((line) => /^(leave|error|close)/.test(line)),
      [],
    );
});

test('a refused token is replaced by a new one', async () => {
  const page = await pages.open('ann');
  const tokens = await returnTokens(page, expired, expired, valid);
  await join(page, newRoom(), { id: 'ann' });
  await logged(page, 'state joined');
  assert.equal(tokens.length, 3);
  const lines = await log(page);
  assert.equal(lines.filter((line) => line === 'error unauthorized').length, 2, lines.join());
});

test('the room is closed after three refused tokens, which are in no event', async () => {
  const page = await pages.open('ann');
  // Many issuers set `nbf`. Only a token that becomes valid later is tried for longer.
  const tokens = await returnTokens(page, () =>
    sign({ room: '*', nbf: now() - 600, exp: now() - 1 }),
  );
  await join(page, newRoom(), { id: 'ann', iceServers: undefined });
  await collectMessages(page);
  await logged(page, 'close 4010');
  const lines = await log(page);
  assert.equal(lines.filter((line) => line === 'error unauthorized').length, 3, lines.join());
  // One more for the ICE servers.
  assert.equal(tokens.length, 4);
  const trace = await page.evaluate(() => JSON.stringify(/** @type {any} */ (globalThis).trace));
  const seen = [trace, ...lines, ...(await messages(page))].join('\n');
  assert.match(seen, /the token has expired/);
  for (const token of tokens) assert.ok(!seen.includes(token.split('.')[2]), seen);
});

test('a refused text is not sent again', async () => {
  const page = await pages.open('ann');
  await join(page, newRoom(), { id: 'ann', token: expired() });
  await logged(page, 'close 4010');
  const lines = await log(page);
  assert.equal(lines.filter((line) => line === 'error unauthorized').length, 1, lines.join());
});

test('a function that fails or returns no token is called again', async () => {
  const page = await pages.open('ann');
  await page.evaluate((token) => {
    const steps = [
      async () => {
        await new Promise((listening) => Object.assign(globalThis, { listening }));
        throw new Error('not signed in');
      },
      () => 'secret text',
      () => undefined,
      () => token,
    ];
    Object.assign(globalThis, { token: () => steps.shift()?.() });
  }, valid());
  await join(page, newRoom(), { id: 'ann' });
  await collectMessages(page);
  await logged(page, 'state joined', 1, 10_000);
  assert.deepEqual(
    (await log(page)).filter((line) => !line.startsWith('state connecting 1006')),
    [...Array(3).fill('error no-token'), 'state joined'],
  );
  const [failed, text, nothing] = await messages(page);
  assert.match(failed, /function in the option token failed: Error: not signed in/);
  assert.match(text, /returned another text: expected a JWT/);
  assert.match(nothing, /returned the type undefined: expected a JWT/);
});

test('a token may have a line break at its end, as a back end may send it', async () => {
  const page = await pages.open('ann');
  await returnTokens(page, () => `${valid()}\n`);
  await join(page, newRoom(), { id: 'ann' });
  await logged(page, 'state joined');
});

test('a function that fails with a value without a text is called again', async () => {
  const page = await pages.open('ann');
  await returnTokens(page, valid);
  await page.evaluate(() => {
    let calls = 0;
    const { token } = /** @type {any} */ (globalThis);
    const fail = () => Promise.reject((calls += 1) === 1 ? Object.create(null) : Symbol('none'));
    Object.assign(globalThis, { token: () => (calls < 2 ? fail() : token()) });
  });
  await join(page, newRoom(), { id: 'ann' });
  await logged(page, 'state joined');
  assert.equal((await log(page)).filter((line) => line === 'error no-token').length, 2);
});

test('a function that never returns is called again after 10 s', async () => {
  const page = await pages.open('ann');
  await page.clock.install();
  await page.evaluate((token) => {
    const steps = [() => new Promise(() => {}), () => token];
    Object.assign(globalThis, { token: () => steps.shift()?.() });
  }, valid());
  await join(page, newRoom(), { id: 'ann' });
  await page.clock.fastForward(9_000);
  assert.deepEqual(await log(page), []);
  await page.clock.fastForward(1_000);
  await logged(page, 'error no-token');
  await logged(page, 'state joined');
});

test('a room can be closed while its function returns nothing', async () => {
  const page = await pages.open('ann');
  await page.evaluate(() => Object.assign(globalThis, { token: () => new Promise(() => {}) }));
  await join(page, newRoom(), { id: 'ann', iceServers: undefined });
  await page.evaluate(() => /** @type {any} */ (globalThis).room.close());
  await logged(page, 'close 1000');
  assert.deepEqual(await log(page), ['state closed', 'close 1000']);
});

test('the library waits for a token that becomes valid later', async () => {
  const page = await pages.open('ann');
  await page.clock.install();
  const token = sign({ room: '*', nbf: now() + 600, exp: now() + 900 });
  await join(page, newRoom(), { id: 'ann', token });
  await logged(page, 'state connecting 4010');
  await page.clock.fastForward(30_000);
  await logged(page, 'state connecting 4010', 2);
  assert.ok(!(await log(page)).some((line) => line.startsWith('close')));
});
