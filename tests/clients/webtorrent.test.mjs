// @ts-check
/** Unmodified clients of WebTorrent trackers in browser contexts of their own: they connect over WebRTC. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { times } from '../support/tier.mjs';
import { startWorkerd } from '../support/workerd.mjs';
import * as swarm from '../support/webtorrent-page.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
const pages = new Pages();
useFixtures(pages, {
  start: async () => (workerd = await startWorkerd({ main: {} })),
  stop: () => workerd?.stop(),
});

/** The URL of a tracker of its own. @param {string} room */
const tracker = (room) => `ws://${workerd.at.main.host}/parties/main/${room}/tracker`;

/** Opens a page with the clients. @param {string} name */
async function open(name) {
  const page = await pages.open(name, `${workerd.at.main.origin}/health`);
  await swarm.load(page);
  return page;
}

/** Returns what a page has logged. @param {import('playwright-core').Page} page @returns {Promise<string[]>} */
const log = (page) => page.evaluate(() => /** @type {any} */ (globalThis).heard);

for (let n = 1; n <= times(10); n += 1) {
  test(`two pages with p2pt exchange messages: ${n}`, async () => {
    const url = tracker(`p2pt-${n}`);
    const [ann, bob] = await Promise.all(['ann', 'bob'].map(open));
    await swarm.startP2pt(ann, url, 'ann');
    await swarm.startP2pt(bob, url, 'bob');
    for (const text of ['from bob', 're: from ann']) await swarm.hears(ann, text);
    for (const text of ['from ann', 're: from bob']) await swarm.hears(bob, text);
  });

  test(`two pages with trystero exchange messages: ${n}`, async () => {
    const url = tracker(`trystero-${n}`);
    const [ann, bob] = await Promise.all(['ann', 'bob'].map(open));
    await Promise.all([swarm.joinTrystero(ann, url, 'ann'), swarm.joinTrystero(bob, url, 'bob')]);
    await Promise.all([swarm.hears(ann, 'from bob'), swarm.hears(bob, 'from ann')]);
  });
}

test('clients of bittorrent-tracker announce, connect, complete, scrape and stop', async () => {
  const url = tracker('announce');
  const [ann, bob] = await Promise.all(['ann', 'bob'].map(open));
  await swarm.createClient(ann, url, 'ann');
  await swarm.call(ann, 'ann', 'start');
  await swarm.hears(ann, 'ann: 0 complete, 1 incomplete');
  await swarm.createClient(bob, url, 'bob');
  await swarm.call(bob, 'bob', 'start', { left: 0 });
  await swarm.hears(bob, 'bob: 1 complete, 1 incomplete');
  await Promise.all([swarm.hears(ann, 'ann: from bob'), swarm.hears(bob, 'bob: from ann')]);
  await swarm.call(ann, 'ann', 'complete');
  await swarm.hears(ann, 'ann: 2 complete, 0 incomplete');
  await swarm.call(ann, 'ann', 'scrape');
  await swarm.hears(ann, 'ann: scraped 2, 0, 2');
  await swarm.call(ann, 'ann', 'scrape', { infoHash: ['02'.repeat(20)] });
  await swarm.hears(ann, 'ann: scraped 0, 0, 0');
  await swarm.call(bob, 'bob', 'stop');
  await swarm.hears(bob, 'bob: 1 complete, 0 incomplete');
});

test('two peers of one page share a WebSocket, and connect to each other', async () => {
  const ann = await open('ann');
  let websockets = 0;
  ann.on('websocket', () => (websockets += 1));
  for (const name of ['one', 'two']) {
    await swarm.createClient(ann, tracker('shared'), name);
    await swarm.call(ann, name, 'start');
  }
  await Promise.all([swarm.hears(ann, 'one: from two'), swarm.hears(ann, 'two: from one')]);
  assert.equal(websockets, 1);
});

test('a refusal reaches the client as a warning, and a refusal without a hash does not harm it', async () => {
  const ann = await open('ann');
  await swarm.createClient(ann, tracker('refused'), 'ann');
  await swarm.call(ann, 'ann', 'start');
  await swarm.hears(ann, 'ann: 0 complete, 1 incomplete');
  await ann.evaluate(() => {
    const { _trackers: trackers } = /** @type {any} */ (globalThis).ann;
    trackers[0].socket.send('{"action":"announce"}');
  });
  await ann.evaluate(() => {
    const { _trackers: trackers } = /** @type {any} */ (globalThis).ann;
    trackers[0].announce({ event: 'gone', numwant: 0 });
  });
  await swarm.hears(ann, 'ann: invalid event');
  await swarm.call(ann, 'ann', 'scrape');
  await swarm.hears(ann, 'ann: scraped 0, 1, 0');
  assert.deepEqual(
    (await log(ann)).filter((text) => !/complete|scraped|invalid event/.test(text)),
    [],
  );
});
