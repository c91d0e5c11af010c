// @ts-check
/**
 * The example of a live stream in Firefox. Firefox does not connect to a media server with a
 * loopback address, so it uses a TURN server.
 */
import { test } from 'node:test';
import { until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { PAIRS } from '../support/firefox.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { LiveServers, says } from '../support/live.mjs';
import { VIDEO_PATIENCE } from '../support/media.mjs';
import { Coturn } from '../support/turn.mjs';

const TURN_SECRET = 'what-coturn-knows-too';
const servers = new LiveServers();
/** @type {Coturn | undefined} */
let coturn;
const pages = { Chromium: new Pages(servers, 'Chromium'), Firefox: new Pages(servers, 'Firefox') };
useFixtures(
  {
    start: async () => {
      coturn = await Coturn.start(TURN_SECRET);
      servers.settings = { TURN_URLS: coturn.url, TURN_SECRET, TURN_OPEN: 'true' };
      await servers.start();
    },
    stop: () => Promise.all([servers.stop(), coturn?.stop()]),
  },
  pages.Chromium,
  pages.Firefox,
);

/**
 * Waits until a page shows ten more frames of the stream. Firefox does not count the frames of a
 * stream in `getVideoPlaybackQuality()`.
 * @param {import('playwright-core').Page} page
 */
const shows = (page) =>
  until(
    page,
    'ten frames are shown',
    () => {
      const global = /** @type {any} */ (globalThis);
      const video = document.querySelector('video');
      const count = () => {
        global.shown += 1;
        video?.requestVideoFrameCallback(count);
      };
      if (global.shown === undefined) {
        global.shown = -1;
        count();
      }
      return global.shown >= 10;
    },
    undefined,
    VIDEO_PATIENCE,
  );

for (const [device, viewer] of PAIRS)
  test(`a stream from ${device} plays in ${viewer}, until it ends`, async () => {
    const camera = await pages[device].open('device', '/examples/live.html');
    await camera.getByRole('button', { name: 'Start a live stream' }).click();
    await says(camera, 'You are live.');
    const screen = await pages[viewer].open('viewer', await camera.inputValue('#link'));
    await shows(screen);
    await says(screen, 'This is live.');
    await camera.getByRole('button', { name: 'End the stream' }).click();
    for (const page of [camera, screen]) await says(page, 'The stream is over.');
  });
