// @ts-check
/** Actions and checks for tests of the built-in page: accessibility, layout and screenshots. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { newRoom, PATIENCE, until } from './browser.mjs';

/** @typedef {import('playwright-core').Page} Page */

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FOLDER = fileURLToPath(new URL('../../target/screenshots/', import.meta.url));
mkdirSync(FOLDER, { recursive: true });

export const DESKTOP = { viewport: { width: 1280, height: 800 } };
export const TABLETS = {
  upright: { viewport: { width: 820, height: 1180 }, isMobile: true, hasTouch: true },
  across: { viewport: { width: 1024, height: 768 }, isMobile: true, hasTouch: true },
};
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/**
 * Returns the relative URL of the page with this query.
 * @param {Record<string, string>} query
 * @param {string} [hash]
 */
export const at = (query, hash = '') => `/?${new URLSearchParams(query)}${hash}`;

/** Waits until the page has joined the room. @param {Page} page */
export const joined = (page) => page.locator('#status[data-state="joined"]').waitFor();

/**
 * Opens the page and waits until it has joined the room.
 * @param {import('./chromium.mjs').Pages} pages
 * @param {Record<string, string>} query
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function enter(pages, query, options = DESKTOP) {
  const page = await pages.open(query.id, at(query), options);
  await joined(page);
  return page;
}

/**
 * Opens a page for ann and then a page for bob in a new room, and waits until they are connected.
 * @param {import('./chromium.mjs').Pages} pages
 * @param {import('playwright-core').BrowserContextOptions} [options] the options for ann's page
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
 * Takes a screenshot in the light and the dark color scheme, and checks the accessibility with axe.
 * @param {Page} page
 * @param {string} state the state of the page in words, which names the screenshots
 */
export async function inspect(page, state) {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.evaluate(() =>
      Promise.allSettled(document.getAnimations().map((animation) => animation.finished)),
    );
    await page.screenshot({ path: `${FOLDER}${state}-${colorScheme}.png` });
    await page.evaluate(AXE); // the page's Content Security Policy does not restrict evaluate()
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

/**
 * Checks that the page is not wider than the screen, and that no element overflows its container.
 * @param {Page} page
 * @param {string} state the state of the page in words, for the error message
 */
export async function fits(page, state) {
  const overflowing = await page.evaluate(() => {
    const wide = [...document.querySelectorAll('body, body *')].filter((node) => {
      const { overflowX, display } = getComputedStyle(node);
      return overflowX === 'visible' && display !== 'inline' && node.scrollWidth > node.clientWidth;
    });
    const beyond = document.documentElement.scrollWidth - innerWidth;
    return [
      ...(beyond > 0 ? [`${beyond} px`] : []),
      ...wide.map((node) => node.outerHTML.slice(0, 80)),
    ];
  });
  assert.deepEqual(overflowing, [], `${state}: content is too wide`);
}

/**
 * Waits until the tile with this name shows a connection state.
 * @param {Page} page
 * @param {string} name
 * @param {string} state
 */
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

/**
 * Waits until the tile with this name plays video. If `plays` is false, waits until the tile shows
 * no video.
 * @param {Page} page
 * @param {string} name
 * @param {boolean} plays
 */
export function pictured(page, name, plays = true) {
  return until(
    page,
    `${name} ${plays ? 'plays' : 'does not play'}`,
    ([name, plays]) => {
      const tile = [...document.querySelectorAll('#stage > li')].find(
        (tile) => tile.querySelector('.name')?.textContent === name,
      );
      if (!plays) return !tile?.classList.contains('pictured');
      const video = tile?.querySelector('video');
      return (
        tile?.classList.contains('pictured') &&
        video &&
        video.videoWidth > 0 &&
        video.currentTime > 0
      );
    },
    /** @type {[string, boolean]} */ ([name, plays]),
    3 * PATIENCE, // resolving glare and decoding video take longer on a busy machine
  );
}
