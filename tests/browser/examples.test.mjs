// @ts-check
/** The examples in `public/examples` work unmodified between Chromium and Firefox, and are short. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { VIDEO_PATIENCE } from '../support/media.mjs';

/** @typedef {import('playwright-core').Page} Page */

const MAX_LINES = 25;
const dev = new Dev();
const chromium = new Pages(dev, 'Chromium');
const firefox = new Pages(dev, 'Firefox');
useFixtures(dev, chromium, firefox);

/**
 * Opens an example as ann in Chromium. Then opens ann's URL, which contains the name of the new room, as
 * bob in Firefox.
 * @param {string} name
 * @returns {Promise<[Page, Page]>}
 */
async function open(name) {
  const ann = await chromium.open('ann', `${dev.origin}/examples/${name}.html`);
  await until(ann, 'the address names a room', () => location.hash.length > 10);
  return [ann, await firefox.open('bob', ann.url())];
}

/** @param {Page} page @param {string} text @param {number} [patience] */
const shows = (page, text, patience) =>
  until(page, `it shows ${text}`, (text) => document.body.innerText.includes(text), text, patience);

test('the chat example shows names and messages to all peers, as text', async () => {
  const [ann, bob] = await open('chat');
  for (const [page, name] of /** @type {[Page, string][]} */ ([
    [ann, 'Ann'],
    [bob, '<i>Bob</i>'],
  ])) {
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Join' }).click();
  }
  await Promise.all([shows(ann, '<i>Bob</i> joined'), shows(bob, 'Ann joined')]);
  await ann.getByLabel('Text').fill('<b>hello</b>');
  await ann.getByRole('button', { name: 'Send' }).click();
  for (const page of [ann, bob]) await shows(page, 'Ann: <b>hello</b>');
  await bob.close();
  await shows(ann, '<i>Bob</i> left');
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
  await until(bob, 'a cursor exists', () => document.querySelector('b') !== null);
  for (const [from, to, x, y] of /** @type {[Page, Page, number, number][]} */ ([
    [ann, bob, 0.5, 0.25],
    [bob, ann, 0.125, 0.75],
  ])) {
    // The channel is not open at first, and may lose a position. The next one replaces it.
    while (!(await to.evaluate(isAt, { x, y }))) await from.evaluate(move, { x, y });
  }
});

test('the cursor example sends positions over an unreliable channel', async () => {
  const ann = await chromium.open('ann', '/health');
  await ann.evaluate(() => {
    const { createDataChannel } = RTCPeerConnection.prototype;
    /** @type {unknown[][]} */
    const created = [];
    Object.assign(globalThis, { created });
    RTCPeerConnection.prototype.createDataChannel = function (...args) {
      const channel = createDataChannel.apply(this, args);
      created.push([channel.label, channel.ordered, channel.maxRetransmits]);
      return channel;
    };
    history.replaceState(null, '', '/examples/cursor');
    return import(/** @type {string} */ ('/examples/cursor.js'));
  });
  await firefox.open('bob', ann.url());
  await until(ann, 'a channel is unordered and never repeats', () =>
    /** @type {any[]} */ (/** @type {any} */ (globalThis).created).some(
      ([label, ordered, retransmits]) => label === 'position' && !ordered && retransmits === 0,
    ),
  );
});

/** More bytes than a queue holds at once, and no multiple of the size of a chunk. */
const FILE = { name: '<b>film</b>.html', mimeType: 'text/html', buffer: randomBytes(3_000_001) };

test('the file example sends a file with progress on both sides, and offers it for download', async () => {
  const [ann, bob] = await open('file');
  for (const page of [ann, bob]) {
    await until(page, 'a peer is here', () => document.querySelector('progress') !== null);
    // The Content-Security-Policy does not let a test fetch the link.
    await page.evaluate(() => {
      const { createObjectURL } = URL;
      URL.createObjectURL = (blob) => {
        Object.assign(globalThis, { received: blob });
        return createObjectURL(blob);
      };
    });
  }
  for (const [from, to] of [
    [ann, bob],
    [bob, ann],
  ]) {
    await from.locator('input').setInputFiles(FILE);
    await to.getByRole('link', { name: FILE.name }).waitFor();
    for (const page of [from, to])
      await until(page, 'the bar is full', () => {
        const { value, max } = document.querySelector('progress') ?? {};
        return value === 3_000_001 && max === value;
      });
    const [type, hash] = await to.evaluate(async () => {
      /** @type {Blob} */
      const blob = /** @type {any} */ (globalThis).received;
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
      return [blob.type, Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')];
    });
    assert.equal(type, 'application/octet-stream');
    assert.equal(hash, createHash('sha256').update(FILE.buffer).digest('hex'));
  }
  const [download] = await Promise.all([
    ann.waitForEvent('download'),
    ann.getByRole('link', { name: FILE.name }).click(),
  ]);
  assert.match(download.suggestedFilename(), /film.*\.html$/);
});

/** Whether the other person's audio and video play. Runs in the page. */
const plays = () => {
  const video = document.querySelector('video');
  const stream = /** @type {MediaStream | null | undefined} */ (video?.srcObject);
  return stream?.getTracks().length === 2 && !!video?.videoWidth && video.currentTime > 0;
};

test('the call example connects two people, and a third reads that the room is full', async () => {
  const [ann, bob] = await open('call');
  for (const page of [ann, bob])
    await until(page, 'the other person plays', plays, undefined, VIDEO_PATIENCE);
  assert.deepEqual(
    await ann.evaluate(() => [...document.querySelectorAll('video')].map(({ muted }) => muted)),
    [false, true],
  );
  const eve = await chromium.open('eve', ann.url());
  await shows(eve, 'Two people are here.', VIDEO_PATIENCE);
  for (const page of [ann, bob]) await shows(page, 'microphone: on, camera: on', VIDEO_PATIENCE);
  await bob.close();
  await shows(ann, 'The other person has left.', VIDEO_PATIENCE);
  const kim = await firefox.open('kim', ann.url());
  for (const page of [ann, kim])
    await until(page, 'the next person plays', plays, undefined, VIDEO_PATIENCE);
});

test('the call example shows the other person what is muted', async () => {
  const [ann, bob] = await open('call');
  for (const page of [ann, bob]) await shows(page, 'microphone: on, camera: on', VIDEO_PATIENCE);
  await ann.getByLabel('microphone').check();
  await shows(bob, 'microphone: off, camera: on', VIDEO_PATIENCE);
  await bob.getByLabel('camera').check();
  await shows(ann, 'microphone: on, camera: off', VIDEO_PATIENCE);
  await ann.getByLabel('microphone').uncheck();
  await shows(bob, 'microphone: on, camera: on', VIDEO_PATIENCE);
});

/** Whether the other's video is that of a screen, which is 16:9. The camera is 4:3. Runs in the page. */
const isWide = (/** @type {boolean} */ isWide) => {
  const { videoWidth = 0, videoHeight = 1 } = document.querySelector('video') ?? {};
  return videoWidth > 0 && videoWidth / videoHeight > 1.5 === isWide;
};

test('the call example shares the screen, and shows the camera again afterwards', async () => {
  const [ann, bob] = await open('call');
  await until(bob, 'the camera plays', isWide, false, VIDEO_PATIENCE);
  await ann.evaluate(() => {
    const devices = navigator.mediaDevices;
    const capture = devices.getDisplayMedia.bind(devices);
    devices.getDisplayMedia = async (options) => {
      const stream = await capture(options);
      Object.assign(globalThis, { screenTrack: stream.getVideoTracks()[0] });
      return stream;
    };
  });
  await ann.getByRole('button', { name: 'Share' }).click();
  await until(bob, 'the screen is shown', isWide, true, VIDEO_PATIENCE);
  // The user ends a capture in the interface of the browser, which a test cannot click.
  await ann.evaluate(() => {
    /** @type {any} */ (globalThis).screenTrack.dispatchEvent(new Event('ended'));
  });
  await until(bob, 'the camera is shown again', isWide, false, VIDEO_PATIENCE);
});

for (const name of ['chat', 'call', 'cursor', 'file']) {
  test(`the ${name} example has at most ${MAX_LINES} lines of JavaScript`, async () => {
    const url = new URL(`../../public/examples/${name}.js`, import.meta.url);
    const lines = (await readFile(url, 'utf8')).trimEnd().split('\n');
    assert(lines.length <= MAX_LINES, `${lines.length} lines`);
  });

  test(`the ${name} example has the width of a phone`, async () => {
    const phone = { viewport: { width: 375, height: 667 }, isMobile: true, hasTouch: true };
    const page = await chromium.open('phone', `${dev.origin}/examples/${name}.html`, phone);
    assert.equal(await page.evaluate(() => innerWidth), 375);
  });
}
