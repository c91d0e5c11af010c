// @ts-check
/** What the tests of the page ask of it in each state: that anybody can use it, and a picture. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { newRoom, until } from './browser.mjs';

/** @typedef {import('playwright-core').Page} Page */

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FOLDER = fileURLToPath(new URL('../../target/screenshots/', import.meta.url));
mkdirSync(FOLDER, { recursive: true });

export const DESKTOP = { viewport: { width: 1280, height: 800 } };
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** Its address, as a link has it. @param {Record<string, string>} query @param {string} [hash] */
export const at = (query, hash = '') => `/?${new URLSearchParams(query)}${hash}`;

/**
 * Somebody comes by a link, and is in the room.
 * @param {import('./chromium.mjs').Pages} pages
 * @param {Record<string, string>} query
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function enter(pages, query, options = DESKTOP) {
  const page = await pages.open(query.id, at(query), options);
  await page.getByText('In the room').waitFor();
  return page;
}

/**
 * Ann, then bob, connected.
 * @param {import('./chromium.mjs').Pages} pages
 * @param {import('playwright-core').BrowserContextOptions} [options] of ann
 */
export async function meet(pages, options) {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' }, options);
  const bob = await enter(pages, { room, id: 'bob' });
  await isShown(ann, 'bob', 'connected');
  await isShown(bob, 'ann', 'connected');
  return { ann, bob, room };
}

/**
 * Takes a picture of a state, and has axe look for what would shut somebody out of it.
 * @param {Page} page
 * @param {string} state
 */
export async function inspect(page, state) {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.screenshot({ path: `${FOLDER}${state}-${colorScheme}.png` });
    await page.evaluate(AXE); // by the debugger, past the policy
    const violations = await page.evaluate(async () => {
      const found = await /** @type {any} */ (globalThis).axe.run(document, {
        resultTypes: ['violations'],
      });
      return found.violations.map((/** @type {any} */ { id, nodes }) => [
        id,
        ...nodes.map((/** @type {any} */ { html, failureSummary }) => `${html}: ${failureSummary}`),
      ]);
    });
    assert.deepEqual(violations, [], `${state}, ${colorScheme}`);
  }
}

/** Nothing is wider than the screen. @param {Page} page @param {string} state */
export async function fits(page, state) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert(over <= 0, `${state} is ${over} px too wide`);
}

/** @param {Page} page @param {string} name @param {string} state of its connection */
export function isShown(page, name, state) {
  return until(
    page,
    `${name} is ${state}`,
    ([name, state]) =>
      [...document.querySelectorAll('#stage > li')].some(
        (tile) =>
          tile.querySelector('.name')?.textContent === name &&
          tile.querySelector('.connection')?.textContent === state,
      ),
    [name, state],
  );
}
