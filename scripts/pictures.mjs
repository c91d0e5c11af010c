// @ts-check
/**
 * Takes the two screenshots for the README: `docs/pictures/call.png` shows a call between two
 * peers, and `docs/pictures/look-inside.png` shows their handshake. Requires a built Worker (`npm
 * run build`) and Chromium, whose fake camera supplies the video.
 */

import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../tests/support/browser.mjs';
import { Pages } from '../tests/support/chromium.mjs';
import { enter, isShown, pictured } from '../tests/support/page.mjs';
import { Deployed } from '../tests/support/workerd.mjs';
import { root, tell } from './run.mjs';

/** @typedef {import('playwright-core').Page} Page */

const FOLDER = join(root, 'docs', 'pictures');
const WINDOW = { viewport: { width: 1180, height: 720 } };
const CHAT = [
  ['Ann', 'Hi Bob, can you see me?'],
  ['Bob', 'Yes, and hear you.'],
  ['Ann', 'Look inside shows how our browsers found each other.'],
];

mkdirSync(FOLDER, { recursive: true });
const server = new Deployed();
const pages = new Pages(server);
try {
  await server.start();
  await pages.start();
  await takePictures();
} finally {
  await pages.stop();
  await server.stop();
}

async function takePictures() {
  const room = 'tuesday-call';
  const ann = await enter(pages, { room, id: 'ann', name: 'Ann' }, WINDOW);
  const bob = await enter(pages, { room, id: 'bob', name: 'Bob' }, WINDOW);
  await isShown(ann, 'Bob', 'connected');
  await isShown(bob, 'Ann', 'connected');

  await bob.getByRole('button', { name: 'Look inside: Ann' }).click();
  await until(
    bob,
    'all tasks of the connection are done',
    () => document.querySelectorAll('.task:not(.done)').length === 0,
  );
  await bob.locator('#sequence').evaluate((list) => list.scrollTo(0, 0));
  await save(bob, 'look-inside.png');
  await bob.goBack();

  await press(ann, 'Camera');
  await pictured(bob, 'Ann');
  await press(bob, 'Camera');
  await pictured(ann, 'Bob');
  for (const [name, text] of CHAT) {
    const [from, to] = name === 'Ann' ? [ann, bob] : [bob, ann];
    await from.locator('#text').fill(text);
    await from.locator('#text').press('Enter');
    await to.getByText(text).waitFor();
  }
  await save(ann, 'call.png');
}

/** @param {Page} page @param {string} name */
function press(page, name) {
  return page.getByRole('button', { name, exact: true }).click();
}

/** @param {Page} page @param {string} name */
async function save(page, name) {
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  const path = join(FOLDER, name);
  await page.screenshot({ path });
  tell(`docs/pictures/${name}: ${Math.round(statSync(path).size / 1000)} KB`);
}
