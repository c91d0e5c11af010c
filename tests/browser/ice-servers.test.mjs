// @ts-check
/** The library requests the ICE servers again before they expire, and never gives up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { ROOM_SECRET, sign } from '../support/token.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const deployed = new Deployed({
  ROOM_SECRET,
  TURN_URLS: 'turn:127.0.0.1:9',
  TURN_SECRET: 'a secret of the TURN server',
});
const pages = new Pages(deployed);
const network = new TcpProxy(deployed);
useFixtures(deployed, pages, network);

const now = () => Math.floor(Date.now() / 1000);
const token = () => sign({ room: '*', exp: now() + 600 });
/** The URL of the ICE servers, which is not that of the module `ice-servers.js`. */
const ICE_SERVERS = /\/ice-servers(\?|$)/;
const HOUR_MS = 3_600_000;

/** Returns the statuses of the responses for ICE servers, as a list that grows. @param {Page} page */
function statuses(page) {
  /** @type {number[]} */
  const seen = [];
  page.on('response', (response) => {
    if (ICE_SERVERS.test(response.url())) seen.push(response.status());
  });
  return seen;
}

/** Waits until the list contains these statuses. @param {number[]} seen @param {number[]} expected */
async function sees(seen, expected) {
  const late = Date.now() + 10_000;
  while (seen.length < expected.length && Date.now() < late)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(seen, expected);
}

test('a refused request is repeated with a new token, and the connections get the credentials', async () => {
  const [ann, bob] = await pages.pair();
  await ann.clock.install();
  // The first call is for the ICE servers, and the second one for the join.
  const tokens = [sign({ room: '*', exp: now() - 600 }), token(), token()];
  await ann.exposeFunction('token', () => tokens.shift());
  const seen = statuses(ann);
  const room = newRoom();
  await join(bob, room, { id: 'bob', token: token() });
  await join(ann, room, { id: 'ann', iceServers: undefined });
  await logged(ann, 'error ice-servers');
  await connected(ann, 'bob');
  await ann.clock.fastForward(5_000);
  await sees(seen, [401, 200]);
  await until(ann, 'the connection has the credentials', () => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
    return connection.getConfiguration().iceServers.some((/** @type {any} */ one) => one.username);
  });
  assert.deepEqual(
    (await log(ann)).filter((line) => line.startsWith('error')),
    ['error ice-servers'],
  );
});

test('the application learns once that credentials with a fixed token are not renewed', async () => {
  const page = await pages.open('ann');
  await page.clock.install();
  const seen = statuses(page);
  let isExpired = false;
  await page.route(ICE_SERVERS, (route) => {
    const headers = { ...route.request().headers(), Authorization: 'Bearer x' };
    return route.continue(isExpired ? { headers } : {});
  });
  await join(page, newRoom(), { id: 'ann', token: token(), iceServers: undefined });
  await logged(page, 'state joined');
  await sees(seen, [200]);
  isExpired = true;
  await page.clock.fastForward(HOUR_MS * 0.8);
  await logged(page, 'error ice-servers');
  for (const expected of [
    [200, 401, 401],
    [200, 401, 401, 401],
  ]) {
    await page.clock.fastForward(10_000);
    await sees(seen, expected);
  }
  isExpired = false;
  await page.clock.fastForward(300_000);
  await sees(seen, [200, 401, 401, 401, 200]);
  const errors = (await log(page)).filter((line) => line.startsWith('error'));
  assert.deepEqual(errors, ['error ice-servers']);
});

for (const [name, answer, message] of /** @type {const} */ ([
  ['an error', { status: 500, json: { error: { message: 'a bad setting' } } }, /: a bad setting\./],
  ['a page', { status: 200, body: '<html>' }, /: the server answered 200 without ICE servers\./],
  ['null', { status: 200, body: 'null' }, /: the server answered 200 without ICE servers\./],
])) {
  test(`a server that answers with ${name} is reported, and the room is joined`, async () => {
    const page = await pages.open('ann');
    /** @type {(value?: unknown) => void} */
    let listening = () => {};
    const isListening = new Promise((resolve) => (listening = resolve));
    await page.route(ICE_SERVERS, async (route) => {
      await isListening;
      await route.fulfill(answer);
    });
    await join(page, newRoom(), { id: 'ann', token: token(), iceServers: undefined });
    await page.evaluate(() => {
      const global = /** @type {any} */ (globalThis);
      global.room.addEventListener('error', (/** @type {CustomEvent} */ { detail }) =>
        global.log.push(detail.message),
      );
    });
    listening();
    await logged(page, 'the request for ICE servers failed');
    await logged(page, 'state joined');
    assert.match((await log(page)).join('\n'), message);
  });
}

test('an unreachable server is reported only when the credentials have expired', async () => {
  const page = await pages.open('ann');
  await page.clock.install();
  await join(page, newRoom(), { id: 'ann', token: token(), iceServers: undefined });
  await logged(page, 'state joined');
  let requests = 0;
  await page.route(ICE_SERVERS, (route) => {
    requests += 1;
    return route.abort();
  });
  const isRequested = async (/** @type {number} */ times) => {
    const late = Date.now() + 10_000;
    while (requests < times && Date.now() < late)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(requests, times);
  };
  await page.clock.fastForward(HOUR_MS * 0.8);
  await isRequested(1);
  await page.evaluate(() => new Promise((resolve) => fetch('/ice-servers').catch(resolve)));
  assert.ok(!(await log(page)).some((line) => line.startsWith('error')));
  await page.clock.fastForward(HOUR_MS * 0.2);
  await logged(page, 'error ice-servers');
});

test('credentials that expired while the computer slept are renewed after it has reconnected', async () => {
  const page = await pages.open('ann', network.origin);
  await page.clock.install();
  const seen = statuses(page);
  await join(page, newRoom(), { id: 'ann', token: token(), iceServers: undefined });
  await logged(page, 'state joined');
  await sees(seen, [200]);
  await page.clock.setSystemTime(Date.now() + HOUR_MS); // runs no timers
  network.cut();
  await logged(page, 'state joined', 2);
  await sees(seen, [200, 200]);
});
