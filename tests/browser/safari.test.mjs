// @ts-check
/**
 * Known rules of Safari, simulated in Chromium, because Safari runs on Apple's systems only.
 * docs/browsers.md lists the rules.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { at, enter } from '../support/page.mjs';
import { Deployed } from '../support/workerd.mjs';

const server = new Deployed();
const pages = new Pages(server);
useFixtures(server, pages);

test('the page has no button for the screen where the browser cannot capture the screen', async () => {
  const page = await pages.open('ann', 'about:blank');
  await page.addInitScript(() => {
    Reflect.deleteProperty(MediaDevices.prototype, 'getDisplayMedia');
  });
  await page.goto(at({ room: newRoom(), id: 'ann' }));
  await page.getByRole('button', { name: 'Camera' }).waitFor();
  assert.equal(await page.locator('#screen').isVisible(), false);
});

test('the page says that the browser has paused the camera, until the camera continues', async () => {
  const page = await enter(pages, { room: newRoom(), id: 'ann' });
  await page.getByRole('button', { name: 'Camera' }).click();
  await until(
    page,
    'the camera is on',
    () => document.querySelector('#camera')?.ariaPressed === 'true',
  );
  /** @param {string} type */
  const fire = (type) =>
    page.evaluate((type) => {
      const video = /** @type {HTMLVideoElement} */ (document.querySelector('#stage video'));
      const stream = /** @type {MediaStream} */ (video.srcObject);
      stream.getVideoTracks()[0].dispatchEvent(new Event(type));
    }, type);
  const problem = page.getByText('The browser has paused the camera');
  await fire('mute');
  await problem.waitFor();
  await fire('unmute');
  await problem.waitFor({ state: 'detached' });
  await fire('mute');
  await page.getByRole('button', { name: 'Camera' }).click();
  await problem.waitFor({ state: 'detached' });
});

test('every video plays inside its page', async () => {
  const page = await enter(pages, { room: newRoom(), id: 'ann' });
  const call = await pages.open('call', '/examples/call.html');
  const live = await pages.open('live', '/examples/live.html');
  for (const one of [page, call, live]) {
    await until(one, 'there is a video', () => document.querySelector('video') !== null);
    assert.deepEqual(
      await one.evaluate(() =>
        [...document.querySelectorAll('video')].filter(({ playsInline }) => !playsInline),
      ),
      [],
    );
  }
});
