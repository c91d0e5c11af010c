// @ts-check
/** The dialog of the page with the words that two people compare. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { at, enter, fits, inspect, isShown, joined, meet } from '../support/page.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const server = new Deployed();
const pages = new Pages(server);
useFixtures(server, pages);

/** Opens the dialog for a peer, and returns it. @param {Page} page @param {string} name */
async function compare(page, name) {
  await page.getByRole('button', { name: `Verify: ${name}` }).click();
  return page.getByRole('dialog', { name: `Compare these words with ${name}` });
}

/** @param {Page} page @param {string} name */
async function wordsIn(page, name) {
  const items = (await compare(page, name)).getByRole('listitem');
  await items.nth(7).waitFor();
  return items.allTextContents();
}

test('both people see the same words, until their connection ends', async () => {
  const { ann, bob, room } = await meet(pages, { viewport: { width: 320, height: 568 } });
  const words = await wordsIn(ann, 'bob');
  assert.equal(words.length, 8);
  assert.deepEqual(await wordsIn(bob, 'ann'), words);
  await ann.getByText('nobody is listening in').waitFor();
  await fits(ann, 'words');
  await inspect(ann, 'words');
  await inspect(bob, 'words-desktop');
  await ann.keyboard.press('Escape');
  await ann.getByRole('dialog').waitFor({ state: 'detached' });
  const eve = await enter(pages, { room, id: 'eve' });
  await isShown(eve, 'ann', 'connected');
  assert.notDeepEqual(await wordsIn(eve, 'ann'), words);
  await eve.getByRole('button', { name: 'Close' }).click();
  await ann.close();
  await bob.getByText('You are not connected now.').waitFor();
  assert.equal(await bob.locator('#words-list li').count(), 0);
  await eve.getByRole('dialog').waitFor({ state: 'hidden' });
});

for (const { name, breakCrypto, text } of [
  {
    name: 'a page without https says that it cannot check a connection',
    breakCrypto: () => Object.defineProperty(Crypto.prototype, 'subtle', { get: () => undefined }),
    text: 'it was not loaded over https',
  },
  {
    name: 'a page whose browser cannot compute the words says so',
    breakCrypto: () => {
      SubtleCrypto.prototype.deriveBits = () =>
        Promise.reject(new DOMException('', 'OperationError'));
    },
    text: 'The words could not be computed.',
  },
])
  test(name, async () => {
    const room = newRoom();
    const ann = await pages.open('ann', 'about:blank');
    await ann.addInitScript(breakCrypto);
    await ann.goto(at({ room, id: 'ann' }));
    await enter(pages, { room, id: 'bob' });
    await isShown(ann, 'bob', 'connected');
    await compare(ann, 'bob');
    await ann.getByText(text).waitFor();
  });

test('the buttons of the smallest tile fit', async () => {
  const page = await pages.open('ann', 'about:blank', { viewport: { width: 320, height: 568 } });
  await page.goto(at({ lobby: newRoom(), id: 'ann' }));
  await joined(page);
  await until(page, 'a tile', () => document.querySelector('.tile') !== null);
  const overlaps = await page.evaluate(() => {
    const tile = /** @type {HTMLElement} */ (document.querySelector('.tile'));
    const labels = ['Look inside', 'Verify', 'Hang up'];
    /** @type {HTMLElement} */ (tile.querySelector('.choices')).replaceChildren(
      ...labels.map((label) =>
        Object.assign(document.createElement('button'), { textContent: label }),
      ),
    );
    tile.style.width = '192px';
    tile.style.height = '144px';
    const caption = /** @type {Element} */ (tile.querySelector('.caption'));
    const bottom = caption.getBoundingClientRect().bottom;
    const right = tile.getBoundingClientRect().right;
    const boxes = [...tile.querySelectorAll('button')].map((it) => it.getBoundingClientRect());
    return [
      ...boxes.filter((box) => box.top < bottom || box.right > right),
      ...(boxes[0].top === boxes[1].top ? [] : ['two rows']),
    ];
  });
  assert.deepEqual(overlaps, []);
});
