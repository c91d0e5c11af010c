// @ts-check
/**
 * Firefox closes the WebSockets of a page with 1001 when a navigation begins. The navigation can
 * become a download, or get the status 204. The page then stays, and so must its calls.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** A server whose answers leave the page as it is. */
const site = {
  server: http.createServer(({ url }, response) => {
    if (url === '/nothing') response.statusCode = 204;
    else response.setHeader('Content-Disposition', 'attachment; filename=file.bin');
    response.end();
  }),
  /** @returns {Promise<void>} */
  start() {
    return new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
  },
  stop() {
    this.server.close();
  },
  get origin() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.server.address());
    return `http://127.0.0.1:${port}`;
  },
};
const dev = new Dev();
const pages = { Chromium: new Pages(dev, 'Chromium'), Firefox: new Pages(dev, 'Firefox') };
useFixtures(dev, site, pages.Chromium, pages.Firefox);

/**
 * Connects a page in Firefox and a page in Chromium.
 * @param {'Chromium' | 'Firefox'} first the browser that joins first
 */
async function meet(first) {
  const [fox, chrome] = await Promise.all([
    pages.Firefox.open('fox', '/health'),
    pages.Chromium.open('chrome', '/health'),
  ]);
  const room = newRoom();
  const both = { fox, chrome };
  for (const id of first === 'Firefox' ? ['fox', 'chrome'] : ['chrome', 'fox']) {
    const page = both[/** @type {'fox' | 'chrome'} */ (id)];
    await join(page, room, { id });
    await logged(page, 'state joined');
  }
  await Promise.all([connected(fox, 'chrome'), connected(chrome, 'fox')]);
  return both;
}

/** @param {Page} page */
const arrivals = async (page) =>
  (await log(page)).filter((entry) => /^(peer|leave|error|close)/.test(entry));

for (const path of ['/download', '/nothing'])
  for (const first of /** @type {const} */ (['Chromium', 'Firefox'])) {
    test(`a page that stays keeps its calls after a navigation to ${path}, with ${first} first`, async () => {
      const { fox, chrome } = await meet(first);
      await fox.evaluate((url) => void (location.href = url), site.origin + path);
      await logged(fox, 'state reconnecting 1001');
      await logged(fox, 'state joined', 2);
      // The texts of three seconds arrive, which is longer than the server keeps the seat.
      await fox.evaluate(() => {
        const peer = /** @type {any} */ (globalThis).room.peers.get('chrome');
        let sent = 0;
        const timer = setInterval(() => {
          peer.send(`tick ${(sent += 1)}`);
          if (sent === 30) clearInterval(timer);
        }, 100);
      });
      await logged(chrome, 'message fox tick 30', 1, 10_000);
      assert.deepEqual(await arrivals(chrome), ['peer fox']);
      assert.deepEqual(await arrivals(fox), ['peer chrome']);
    });
  }

test('a page keeps its calls when one download follows the other', async () => {
  const { fox, chrome } = await meet('Chromium');
  // With growing delays between its attempts, the page would come back too late for its seat.
  for (let downloads = 1; downloads <= 5; downloads += 1) {
    await fox.evaluate((url) => void (location.href = url), `${site.origin}/download`);
    await logged(fox, 'state reconnecting 1001', downloads);
    await logged(fox, 'state joined', 1 + downloads);
  }
  assert.deepEqual(await arrivals(chrome), ['peer fox']);
  assert.deepEqual(await arrivals(fox), ['peer chrome']);
});

test('a reloaded page gets its id again, although it has not kept its key', async () => {
  const fox = await pages.Firefox.open('fox', '/health');
  const room = newRoom();
  await join(fox, room, { id: 'fox' });
  await logged(fox, 'state joined');
  await fox.reload();
  await join(fox, room, { id: 'fox' });
  await logged(fox, 'state joined');
});

for (const [way, leave] of /** @type {[string, (fox: Page) => Promise<unknown>][]} */ ([
  ['is closed', (fox) => fox.close()],
  ['is reloaded', (fox) => fox.reload()],
  ['goes to another page', (fox) => fox.goto('/help.html')],
])) {
  test(`a page that ${way} leaves within seconds`, async () => {
    const { fox, chrome } = await meet('Chromium');
    await leave(fox);
    // Otherwise, the server would keep the seat for 15 s.
    await until(
      chrome,
      'fox has left',
      () => /** @type {any} */ (globalThis).room.peers.size === 0,
    );
  });
}
