// @ts-check
/** The examples in `public/examples` work unmodified and are short. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';

/** @typedef {import('playwright-core').Page} Page */

const MAX_LINES = 30;
const dev = new Dev();
const pages = new Pages(dev);
useFixtures(dev, pages);

/**
 * Opens an example as ann. Then opens ann's URL, which contains the name of the new room, as bob.
 * @param {string} name
 * @returns {Promise<[Page, Page]>}
 */
async function open(name) {
  const ann = await pages.open('ann', `${dev.origin}/examples/${name}.html`);
  await until(ann, 'the address names a room', () => location.hash.length > 10);
  return [ann, await pages.open('bob', ann.url())];
}

/** @param {Page} page @param {string} text */
const shows = (page, text) =>
  until(page, `it shows ${text}`, (text) => document.body.innerText.includes(text), text);

test('the chat example shows messages to all peers, as text', async () => {
  const [ann, bob] = await open('chat');
  await Promise.all([shows(ann, 'joined'), shows(bob, 'joined')]);
  await ann.getByRole('textbox').fill('<b>hello</b>');
  await ann.getByRole('button').click();
  await shows(ann, 'me: <b>hello</b>');
  await shows(bob, ': <b>hello</b>');
  await bob.close();
  await shows(ann, 'left');
});

test('the call example plays audio and video of each peer, until the peer leaves', async () => {
  const [ann, bob] = await open('call');
  const playing = (/** @type {number} */ count) => {
    const videos = [...document.querySelectorAll('video')];
    const live = videos.filter(({ srcObject, videoWidth, currentTime }) => {
      const tracks = /** @type {MediaStream} */ (srcObject).getTracks();
      return tracks.length === 2 && videoWidth > 0 && currentTime > 0;
    });
    return videos.length === count && live.length === count;
  };
  await until(ann, 'two videos play', playing, 2);
  await until(bob, 'two videos play', playing, 2);
  assert.deepEqual(
    await ann.evaluate(() => [...document.querySelectorAll('video')].map(({ muted }) => muted)),
    [true, false],
  );
  const eve = await pages.open('eve', ann.url());
  for (const page of [ann, bob, eve]) await until(page, 'three videos play', playing, 3);
  await bob.close();
  await until(ann, 'one video is removed', playing, 2);
});

test('the cursor example shows positions relative to the window size', async () => {
  const [ann, bob] = await open('cursor');
  await ann.setViewportSize({ width: 1000, height: 500 });
  await bob.setViewportSize({ width: 500, height: 1000 });
  const move = (/** @type {{ x: number, y: number }} */ { x, y }) => {
    const where = { clientX: innerWidth * x, clientY: innerHeight * y };
    dispatchEvent(new PointerEvent('pointermove', where));
  };
  const isAt = (/** @type {{ x: number, y: number }} */ { x, y }) => {
    const { left, top } = document.querySelector('b')?.getBoundingClientRect() ?? {};
    return left === innerWidth * x && top === innerHeight * y;
  };
  const cursor = () => document.querySelector('b')?.style.position === 'fixed';
  await until(bob, 'a cursor exists', () => document.querySelector('b') !== null);
  for (const [from, to, x, y] of /** @type {[Page, Page, number, number][]} */ ([
    [ann, bob, 0.5, 0.25],
    [bob, ann, 0.125, 0.75],
  ])) {
    // The example does not queue moves before the channel is open, so the test repeats a move until
    // the cursor appears.
    while (!(await to.evaluate(cursor))) await from.evaluate(move, { x: 0, y: 0 });
    await from.evaluate(move, { x, y });
    await until(to, 'the cursor is at its position', isAt, { x, y });
  }
});

for (const name of ['chat', 'call', 'cursor']) {
  test(`the ${name} example has at most ${MAX_LINES} lines`, async () => {
    const file = (/** @type {string} */ type) =>
      readFile(new URL(`../../public/examples/${name}.${type}`, import.meta.url), 'utf8');
    const lines = (await Promise.all([file('html'), file('js')])).join('').trim().split('\n');
    assert(lines.length <= MAX_LINES, `${lines.length} lines`);
  });
}
