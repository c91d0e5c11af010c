// @ts-check
/** The examples, opened as they are served, do what they are there to show. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';

/** @typedef {import('playwright-core').Page} Page */

const LINES_MOST = 30;
const dev = new Dev();
const pages = new Pages(dev);
useFixtures(dev, pages);

/**
 * Ann opens the example, and bob the link that her page then has.
 * @param {string} name
 * @returns {Promise<[Page, Page]>}
 */
async function open(name) {
  const ann = await pages.open('ann', `${dev.origin}/examples/${name}.html`);
  await until(ann, 'the room is in the link', () => location.hash.length > 10);
  return [ann, await pages.open('bob', ann.url())];
}

/** @param {Page} page @param {string} text */
const shows = (page, text) =>
  until(page, `it shows ${text}`, (text) => document.body.innerText.includes(text), text);

test('chat: what one writes the others read, as text', async () => {
  const [ann, bob] = await open('chat');
  await Promise.all([shows(ann, 'is here'), shows(bob, 'is here')]);
  await ann.getByRole('textbox').fill('<b>hello</b>');
  await ann.getByRole('button').click();
  await shows(ann, 'me: <b>hello</b>');
  await shows(bob, ': <b>hello</b>');
  await bob.close();
  await shows(ann, 'is gone');
});

test('call: both see and hear each other, and a picture goes with its person', async () => {
  const [ann, bob] = await open('call');
  const moving = (/** @type {number} */ count) => {
    const videos = [...document.querySelectorAll('video')];
    const live = videos.filter(({ srcObject, videoWidth, currentTime }) => {
      const tracks = /** @type {MediaStream} */ (srcObject).getTracks();
      return tracks.length === 2 && videoWidth > 0 && currentTime > 0;
    });
    return videos.length === count && live.length === count;
  };
  await until(ann, 'two pictures move', moving, 2);
  await until(bob, 'two pictures move', moving, 2);
  assert.deepEqual(
    await ann.evaluate(() => [...document.querySelectorAll('video')].map(({ muted }) => muted)),
    [true, false],
  );
  const eve = await pages.open('eve', ann.url());
  for (const page of [ann, bob, eve]) await until(page, 'three pictures move', moving, 3);
  await bob.close();
  await until(ann, 'one picture is gone', moving, 2);
});

test('cursor: it is seen where it is, in windows of different sizes', async () => {
  const [ann, bob] = await open('cursor');
  await ann.setViewportSize({ width: 1000, height: 500 });
  await bob.setViewportSize({ width: 500, height: 1000 });
  const moves = (/** @type {{ x: number, y: number }} */ { x, y }) => {
    const where = { clientX: innerWidth * x, clientY: innerHeight * y };
    dispatchEvent(new PointerEvent('pointermove', where));
  };
  const is = (/** @type {{ x: number, y: number }} */ { x, y }) => {
    const { left, top } = document.querySelector('b')?.getBoundingClientRect() ?? {};
    return left === innerWidth * x && top === innerHeight * y;
  };
  const cursor = () => document.querySelector('b')?.style.position === 'fixed';
  await until(bob, 'it is there', () => document.querySelector('b') !== null);
  for (const [from, to, x, y] of /** @type {[Page, Page, number, number][]} */ ([
    [ann, bob, 0.5, 0.25],
    [bob, ann, 0.125, 0.75],
  ])) {
    // What moves before the channel is open is not kept, so it moves until it is seen.
    while (!(await to.evaluate(cursor))) await from.evaluate(moves, { x: 0, y: 0 });
    await from.evaluate(moves, { x, y });
    await until(to, 'the cursor is there', is, { x, y });
  }
});

for (const name of ['chat', 'call', 'cursor']) {
  test(`${name} is short`, async () => {
    const file = (/** @type {string} */ type) =>
      readFile(new URL(`../../public/examples/${name}.${type}`, import.meta.url), 'utf8');
    const lines = (await Promise.all([file('html'), file('js')])).join('').trim().split('\n');
    assert(lines.length <= LINES_MOST, `${lines.length} lines`);
  });
}
