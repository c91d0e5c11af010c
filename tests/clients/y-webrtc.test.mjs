// @ts-check
/**
 * y-webrtc, unmodified, in two browser contexts. Two pages of one context would sync over
 * BroadcastChannel, and would not use WebRTC.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { all, times } from '../support/tier.mjs';
import { startWorkerd } from '../support/workerd.mjs';
import * as documents from '../support/y-webrtc-page.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
const pages = new Pages();
const firefox = new Pages(undefined, 'Firefox');
useFixtures(
  pages,
  {
    start: async () => all && firefox.start(),
    tidy: () => firefox.tidy(),
    stop: () => firefox.stop(),
  },
  {
    start: async () => (workerd = await startWorkerd({ main: {} })),
    stop: () => workerd?.stop(),
  },
);

/** The URL of a signaling server of its own. @param {string} room */
const signaling = (room) => `ws://${workerd.at.main.host}/parties/main/${room}/y-webrtc`;

/** Opens two pages with y-webrtc, each in its own browser context. */
async function pair(browser = pages) {
  const url = `${workerd.at.main.origin}/health`;
  const both = await Promise.all(['ann', 'bob'].map((name) => browser.open(name, url)));
  await Promise.all(both.map(documents.load));
  return both;
}

/** Opens a document in both pages at the same moment, and syncs both ways. */
async function sync(
  /** @type {import('playwright-core').Page[]} */ [ann, bob],
  /** @type {string} */ name,
  /** @type {string} */ url,
  /** @type {string} */ password = '',
) {
  await Promise.all([ann, bob].map((page) => documents.open(page, name, url, password)));
  await Promise.all([documents.write(ann, name, 'a'), documents.write(bob, name, 'b')]);
  await Promise.all([ann, bob].map((page) => documents.has(page, name, ['a', 'b'])));
}

for (let n = 1; n <= times(20, 6); n += 1)
  test(`two pages that open a new document at the same moment connect: ${n}`, async () => {
    await sync(await pair(), `fresh-${n}`, signaling(`fresh-${n}`));
  });

if (all)
  test('two pages of Firefox connect', async () => {
    await sync(await pair(firefox), 'firefox', signaling('firefox'));
  });

test('a document with a password syncs, and a wrong password shows nothing', async () => {
  const both = await pair();
  const eve = await pages.open('eve', `${workerd.at.main.origin}/health`);
  await documents.load(eve);
  // y-webrtc does not handle the errors of messages that it cannot decrypt.
  for (const page of [eve, ...both])
    await page.evaluate(() =>
      addEventListener('unhandledrejection', (event) => event.preventDefault()),
    );
  await documents.open(eve, 'secret', signaling('secret'), 'guess');
  await sync(both, 'secret', signaling('secret'), 'password');
  assert.deepEqual(await documents.read(eve, 'secret'), []);
});

test('several documents share a URL, each with its own content', async () => {
  const both = await pair();
  const url = signaling('shared');
  const names = ['one', 'two', 'three'];
  await Promise.all(names.map((name) => sync(both, name, url)));
  await documents.write(both[0], 'two', 'c');
  await documents.has(both[1], 'two', ['a', 'b', 'c']);
  assert.deepEqual(await documents.read(both[1], 'one'), ['a', 'b']);
});

test('a page that opens a document later receives it', async () => {
  const [ann, bob] = await pair();
  const url = signaling('later').replace('/y-webrtc', '?dialect=y-webrtc');
  await documents.open(ann, 'later', url);
  await documents.write(ann, 'later', 'a');
  await documents.open(bob, 'later', url);
  await documents.has(bob, 'later', ['a']);
});
