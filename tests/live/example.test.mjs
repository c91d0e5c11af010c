// @ts-check
/** The example of a live stream: one page is the device, all others watch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { LiveServers, passed, plays, received, says } from '../support/live.mjs';
import { fits, inspect } from '../support/page.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';

/** @typedef {import('playwright-core').Page} Page */

const EXAMPLE = '/examples/live.html';
const NARROW = { viewport: { width: 320, height: 640 } };
const servers = new LiveServers();
const pages = new Pages(servers);
/** The network between the pages and the Worker. */
const network = new TcpProxy(servers);
useFixtures(servers, pages, network);

/** Opens a page, and starts a stream in it with the keyboard. Returns the page and its link. */
async function startStream(origin = servers.origin) {
  const device = await pages.open('device', origin + EXAMPLE, NARROW);
  await says(device, 'Start a live stream');
  await device.keyboard.press('Tab');
  await device.keyboard.press('Enter');
  await says(device, 'You are live.');
  return { device, link: await device.inputValue('#link') };
}

/** @param {string} name @param {string} link */
const watch = (name, link) => pages.open(name, link, NARROW);

test('a page starts a stream, others watch it, and the end reaches all of them', async () => {
  const { device, link } = await startStream();
  const first = await watch('first', link);
  await plays(first);
  const second = await watch('second', link);
  await Promise.all([plays(first), plays(second)]);
  await Promise.all([first, second].map((page) => says(page, 'This is live.')));
  assert.deepEqual(
    await first.evaluate(() => {
      const stream = document.querySelector('video')?.srcObject;
      return /** @type {MediaStream} */ (stream).getTracks().map(({ kind }) => kind);
    }),
    ['audio', 'video'],
  );
  await first.getByRole('button', { name: 'Turn on the sound' }).click();
  assert.equal(await first.evaluate(() => document.querySelector('video')?.muted), false);

  await device.getByRole('button', { name: 'End the stream' }).click();
  for (const page of [device, first, second]) await says(page, 'The stream is over.');
  for (const page of [first, second]) assert(await page.locator('video').isHidden());
  await servers.media.reaches('sessions', 0);
  const camera = await device.evaluate(() => {
    const stream = /** @type {MediaStream} */ (document.querySelector('video')?.srcObject);
    return stream.getTracks().map(({ readyState }) => readyState);
  });
  assert.deepEqual(camera, ['ended', 'ended'], 'the camera is off');
  // None of the pages reconnects.
  for (const page of [device, first, second]) assert.equal(await passed(page, 'in welcome'), 1);
});

test('a viewer that comes first waits, and sees the stream when it begins', async () => {
  const session = await servers.createSession();
  const link = `${servers.origin}${EXAMPLE}#session=${session}`;
  const viewer = await watch('viewer', link);
  await says(viewer, 'The stream has not begun yet.');
  const device = await watch('device', `${link}&device=camera`);
  await says(device, 'You are live.');
  await plays(viewer);
  await servers.stopSession(session);
  await says(viewer, 'The stream is over.');
});

test('the viewers get video again after the device has reloaded its page', async () => {
  const { device, link } = await startStream();
  const viewer = await watch('viewer', link);
  await plays(viewer);
  await device.reload();
  await received(viewer, 'in offer', 2);
  await plays(viewer);
  await says(device, 'You are live.');
});

test('the stream continues without a new offer while the WebSockets are lost', async () => {
  const { device, link } = await startStream(network.origin);
  const viewer = await watch('viewer', link);
  await plays(viewer);
  network.down();
  for (const page of [device, viewer]) await says(page, 'The page tries again by itself.');
  await plays(viewer);
  network.restore();
  for (const page of [device, viewer]) await received(page, 'in welcome', 2);
  for (const page of [device, viewer]) await says(page, 'live.');
  await plays(viewer, 30);
  for (const page of [device, viewer]) assert.equal(await passed(page, 'in offer'), 1);
});

test('without a media server, a page says so, and continues when it is back', async () => {
  const session = await servers.createSession();
  const startMedia = await servers.stopMedia();
  const link = `${servers.origin}${EXAMPLE}#session=${session}`;
  const viewer = await watch('viewer', link);
  const device = await watch('device', `${link}&device=camera`);
  await says(device, 'The media server does not respond.');
  await startMedia();
  await says(device, 'You are live.');
  await plays(viewer);
  assert.equal(await device.locator('#problem').isVisible(), false);
});

test('a page on a server with LIVE_KEY says how to try it', async () => {
  const page = await pages.open('device', servers.keyed.origin + EXAMPLE, NARROW);
  await page.getByRole('button', { name: 'Start a live stream' }).click();
  await says(page, 'On this server, the request has no valid key');
  await fits(page, 'live-refused');
  await inspect(page, 'live-refused');
});

test('a link without a session says that there is no stream', async () => {
  const viewer = await watch('viewer', `${EXAMPLE}#session=nothing`);
  await says(viewer, 'There is no live stream at this address, or it is over.');
});

test('the page is accessible and fits a width of 320 px in each state', async () => {
  const { device, link } = await startStream();
  const viewer = await watch('viewer', link);
  await plays(viewer);
  const start = await pages.open('start', EXAMPLE, NARROW);
  await until(start, 'it is ready', () => !document.getElementById('start')?.hidden);
  for (const [page, state] of /** @type {[Page, string][]} */ ([
    [start, 'live-start'],
    [device, 'live-device'],
    [viewer, 'live-viewer'],
  ])) {
    await fits(page, state);
    await inspect(page, state);
  }
  await device.getByRole('button', { name: 'End the stream' }).click();
  await says(device, 'Start another stream');
  await inspect(device, 'live-over');
});
