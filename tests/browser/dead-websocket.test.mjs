// @ts-check
/** The library finds out soon that a WebSocket does not open, or does not work any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join, log, logged, meet, newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { joined } from '../support/page.mjs';
import { within } from '../support/peer.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages(dev);
/** The network between ann and the server. Her page is loaded past it. */
const network = new TcpProxy(dev);
const strict = new Deployed({ ALLOWED_ORIGINS: 'https://shop.example' });
useFixtures(dev, pages, network, strict);

/** Opens ann's page, with a clock that the test advances. */
async function open() {
  // The Content Security Policy of the built-in page would forbid the request to another origin.
  const ann = await pages.open('ann', '/health');
  await ann.clock.install({ time: 0 });
  await ann.clock.pauseAt(1_000);
  return ann;
}

/** Lets ann join a new room through the proxy. @param {Page} ann */
async function joinThrough(ann) {
  await join(ann, newRoom(), { id: 'ann', key: 'secret of ann', host: network.origin });
}

/** @param {Page} page */
const states = async (page) => (await log(page)).filter((entry) => entry.startsWith('state'));

test('a handshake that hangs does not delay the next attempt, when joining and after a cut', async () => {
  const ann = await open();
  let swallowed = network.swallow();
  await joinThrough(ann);
  await within(swallowed, 'the handshake hangs');
  await ann.clock.fastForward(14_900);
  assert.deepEqual(await states(ann), []);
  await ann.clock.fastForward(100);
  await logged(ann, 'state connecting 1006');
  await ann.clock.fastForward(500);
  await logged(ann, 'state joined');

  swallowed = network.swallow();
  network.cut();
  await logged(ann, 'state reconnecting 1006');
  await ann.clock.fastForward(1_000);
  await within(swallowed, 'the handshake hangs');
  await ann.clock.fastForward(15_000);
  await logged(ann, 'state reconnecting 1006', 2);
  await ann.clock.fastForward(2_000);
  await logged(ann, 'state joined', 2);
});

// A phone that is unlocked, a laptop that wakes up, and a page that the browser had frozen.
for (const event of ['visibilitychange', 'focus', 'resume', 'online']) {
  test(`after ${event}, a dead WebSocket is replaced within seconds`, async () => {
    const ann = await open();
    await joinThrough(ann);
    await logged(ann, 'state joined');
    network.freeze();
    await dispatch(ann, event);
    await ann.clock.fastForward(3_900);
    await dispatch(ann, event); // does not postpone the end
    assert.deepEqual(await states(ann), ['state joined']);
    await ann.clock.fastForward(200);
    await logged(ann, 'state reconnecting 1006');
    await ann.clock.fastForward(1_000);
    await logged(ann, 'state joined', 2);
  });
}

test('a page that becomes visible keeps a WebSocket that works', async () => {
  const [ann, bob] = [await open(), await pages.open('bob')];
  await meet(ann, bob);
  await dispatch(ann, 'visibilitychange');
  await until(ann, 'the ping is answered', () =>
    /** @type {any} */ (globalThis).wire.passed.includes('in pong'),
  );
  await ann.clock.fastForward(10_000);
  assert.deepEqual(await states(ann), ['state joined']);
});

test('a page that becomes visible does not wait for the next attempt, nor long for the current', async () => {
  const ann = await open();
  await joinThrough(ann);
  await logged(ann, 'state joined');
  const swallowed = network.swallow();
  network.cut();
  await logged(ann, 'state reconnecting 1006');
  await dispatch(ann, 'visibilitychange');
  await within(swallowed, 'the handshake hangs');
  await dispatch(ann, 'visibilitychange');
  await ann.clock.fastForward(4_000);
  await logged(ann, 'state reconnecting 1006', 2);
  await dispatch(ann, 'visibilitychange');
  await logged(ann, 'state joined', 2);
});

test('a page that becomes visible asks for one token, even if the token takes long', async () => {
  const ann = await open();
  await ann.evaluate(async ([name, host]) => {
    const { Room } = await import(/** @type {string} */ ('/room.js'));
    /** @type {string[]} */
    const log = [];
    let tokens = 0;
    const token = () => {
      log.push(`token ${(tokens += 1)}`);
      return tokens === 1 ? 'first' : new Promise(() => {});
    };
    const room = new Room(name, { iceServers: [], host, token });
    room.addEventListener('state', (/** @type {CustomEvent} */ { detail }) =>
      log.push(`state ${detail.state}`),
    );
    Object.assign(globalThis, { room, log });
  }, /** @type {const} */ ([newRoom(), network.origin]));
  await logged(ann, 'state joined');
  network.cut();
  await logged(ann, 'state reconnecting');
  await dispatch(ann, 'visibilitychange');
  await ann.clock.fastForward(1_000); // longer than the first wait
  assert.deepEqual(
    (await log(ann)).filter((entry) => entry.startsWith('token')),
    ['token 1', 'token 2'],
  );
});

test('a page that another page has replaced does not take its place back while the WebSocket closes', async () => {
  const ann = await open();
  await ann.evaluate(() => {
    globalThis.WebSocket = class extends WebSocket {
      /** @param {string | URL} url @param {string | string[]} [protocols] */
      constructor(url, protocols) {
        super(url, protocols);
        Object.assign(globalThis, { socket: this });
      }
    };
  });
  const room = newRoom();
  await join(ann, room, { id: 'ann', key: 'secret of ann' });
  await logged(ann, 'state joined');
  const other = await pages.open('other');
  await join(other, room, { id: 'ann', key: 'secret of ann' });
  await until(
    ann,
    'a Close frame has arrived',
    () => /** @type {any} */ (globalThis).socket.readyState === WebSocket.CLOSING,
  );
  await dispatch(ann, 'focus');
  await ann.clock.fastForward(4_000);
  await logged(ann, 'close 4001', 1, 15_000);
  assert.deepEqual(await states(other), ['state joined']);
});

test('a network that blocks only WebSockets is reported, by the library and on the page', async () => {
  network.blockWebSockets();
  const room = newRoom();
  const page = await pages.open('page', `${network.origin}/?room=${room}`);
  const ann = await pages.open('ann', network.origin);
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'error websocket-blocked');
  await page.getByText('This network seems to block WebSockets').waitFor();
  const { length } = await states(ann);
  for (const failures of [1, 2]) {
    await dispatch(ann, 'online');
    await logged(ann, 'state connecting', length + failures);
  }
  assert.equal((await log(ann)).filter((entry) => entry.startsWith('error')).length, 1);
  network.tidy();
  for (const one of [page, ann]) await dispatch(one, 'online');
  await logged(ann, 'state joined');
  await joined(page);
  await page.getByText('This network seems to block WebSockets').waitFor({ state: 'hidden' });
});

test('a page whose origin is not allowed learns that WebSockets are refused', async () => {
  // The Content Security Policy of the built-in page would forbid the request to another origin.
  const ann = await pages.open('ann', '/health');
  await join(ann, newRoom(), { id: 'ann', host: strict.origin });
  await logged(ann, 'error websocket-blocked', 1, 10_000);
});

test('a server that never answered is reported once, and not as a network that blocks WebSockets', async () => {
  const ann = await pages.open('ann', network.origin);
  await ann.evaluate(() => import(/** @type {string} */ ('/room.js'))); // before the network fails
  network.down();
  await join(ann, newRoom());
  await logged(ann, 'error unreachable');
  await logged(ann, 'state connecting', 4, 10_000);
  assert.deepEqual(
    (await log(ann)).filter((entry) => entry.startsWith('error')),
    ['error unreachable'],
  );
});

/** @param {Page} page @param {string} type */
const dispatch = (page, type) =>
  page.evaluate((type) => {
    const isOfDocument = type === 'visibilitychange' || type === 'resume';
    (isOfDocument ? document : globalThis).dispatchEvent(new Event(type));
  }, type);
