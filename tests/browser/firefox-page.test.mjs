// @ts-check
/**
 * The built-in page in Firefox: Firefox with Firefox, and Firefox with Chromium in both orders.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRoom, PATIENCE, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { PAIRS } from '../support/firefox.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { at, enter, isShown, pictured } from '../support/page.mjs';
import { some } from '../support/tier.mjs';
import { passed } from '../support/wire.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const server = new Deployed();
const pages = { Chromium: new Pages(server, 'Chromium'), Firefox: new Pages(server, 'Firefox') };
useFixtures(server, pages.Chromium, pages.Firefox);

/** Presses a button, even while a busy machine encodes video. @param {Page} page @param {string} name */
const press = (page, name) =>
  page.getByRole('button', { name, exact: true }).click({ timeout: 3 * PATIENCE });

/** Writes a message in the chat of the built-in page. @param {Page} page @param {string} text */
async function write(page, text) {
  await page.getByRole('textbox', { name: 'Message everyone' }).fill(text);
  await page.keyboard.press('Enter');
}

for (const [first, second] of some(PAIRS, 2)) {
  const pair = `${first} first, then ${second}`;

  /** Opens the page for ann and bob in a new room, and waits until they are connected. */
  const meet = async () => {
    const room = newRoom();
    const ann = await enter(pages[first], { room, id: 'ann' });
    const bob = await enter(pages[second], { room, id: 'bob' });
    await isShown(ann, 'bob', 'connected');
    await isShown(bob, 'ann', 'connected');
    return { ann, bob };
  };

  test(`cameras, a microphone and a screen reach the other side: ${pair}`, async () => {
    const { ann, bob } = await meet();
    await press(ann, 'Camera');
    await pictured(bob, 'ann');
    await press(bob, 'Camera');
    await pictured(ann, 'bob');
    await press(bob, 'Microphone');
    await until(
      ann,
      'bob is heard',
      () => document.querySelector('.tile.heard .name')?.textContent === 'bob',
    );
    // Firefox without a window has no screen to share.
    for (const [page, browser, other, screen] of /** @type {const} */ ([
      [ann, first, bob, 'ann’s screen'],
      [bob, second, ann, 'bob’s screen'],
    ]))
      if (browser === 'Chromium') {
        await press(page, 'Screen');
        await pictured(other, screen);
        await press(page, 'Screen');
        await other.getByText(screen).waitFor({ state: 'detached' });
      }
    await press(ann, 'Camera');
    await pictured(bob, 'ann', false);
    await pictured(ann, 'bob');
  });

  test(`two people chat and look inside: ${pair}`, async () => {
    const { ann, bob } = await meet();
    await write(ann, 'hello 👋 bob');
    await bob.locator('#log').getByText('hello 👋 bob').waitFor();
    await write(bob, 'hello 🎉 ann');
    await ann.locator('#log').getByText('hello 🎉 ann').waitFor();
    for (const [page, other] of /** @type {[Page, string][]} */ ([
      [ann, 'bob'],
      [bob, 'ann'],
    ])) {
      await press(page, `Look inside: ${other}`);
      await until(
        page,
        'all tasks are done',
        () => document.querySelectorAll('.task.done').length === 26,
      );
      await page.locator('#local-candidate', { hasText: /^(host|prflx), .*, udp$/ }).waitFor();
      await page.locator('#rtt', { hasText: 'ms' }).waitFor();
    }
  });

  test(`a newcomer connects step by step: ${pair}`, async () => {
    const room = newRoom();
    const ann = await enter(pages[first], { room, id: 'ann' });
    const bob = await pages[second].open('bob', at({ room, id: 'bob', steps: '1' }, '#inside'));
    for (const words of [
      'create the connection · new RTCPeerConnection()',
      'add a data channel · createDataChannel()',
      'create an offer · createOffer()',
      'set our description: the offer · setLocalDescription()',
    ]) {
      await bob.getByText(`Next: ${words}`, { exact: true }).waitFor();
      await press(bob, 'Next step');
    }
    await bob.getByText('Next: send offer', { exact: true }).waitFor();
    assert(!(await passed(bob)).includes('out offer'));
    await bob.getByRole('checkbox', { name: 'Step by step' }).uncheck();
    await isShown(ann, 'bob', 'connected');
    await isShown(bob, 'ann', 'connected');
  });
}
