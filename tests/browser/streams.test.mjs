// @ts-check
/** Streams for every peer: `addStream`, `removeStream`, `replaceTrack` and `mute` in both browsers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, logged, newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { PAIRS } from '../support/firefox.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { decodes } from '../support/media.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** The Worker with the default settings. */
const server = {
  /** @type {import('../support/workerd.mjs').Workerd<'open'> | undefined} */
  workerd: undefined,
  async start() {
    this.workerd = await startWorkerd({ open: {} }, { assets: true });
  },
  stop() {
    return this.workerd?.stop();
  },
  get origin() {
    assert(this.workerd, 'the server is not running');
    return this.workerd.at.open.origin;
  },
};
const pages = { Chromium: new Pages(server, 'Chromium'), Firefox: new Pages(server, 'Firefox') };
useFixtures(server, pages.Chromium, pages.Firefox);

// Globals of the pages, see `prepare`. TypeScript needs these declarations to check the functions
// that run in the pages.
/** @type {any} */
let room;
/** @type {any} */
let stream;
/** @type {any} */
let enter;

/**
 * Opens a page with a small stream in the global variable `stream`. Its function `enter` joins a room
 * and logs each track and each mute state that it gets from a peer.
 * @param {'Chromium' | 'Firefox'} browser
 * @param {string} id
 * @param {string} name of the room
 */
async function prepare(browser, id, name) {
  const page = await pages[browser].open(id, '/health');
  await page.evaluate(
    async ([id, name]) => {
      const { Room } = await import(/** @type {string} */ ('/room.js'));
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: true,
        video: { width: 320, height: 240 },
      });
      /** @type {string[]} */
      const log = [];
      const enter = (/** @type {object} */ options) => {
        /** @type {import('../../public/room.js').Room} */
        const room = new Room(name, { id, key: `secret of ${id}`, iceServers: [], ...options });
        Object.assign(globalThis, { room });
        const describe = (/** @type {any} */ { peer, metadata, muted, stream }) =>
          `${peer.id} ${stream?.id} ${JSON.stringify({ metadata, ...muted })}`;
        room.on('state', ({ state }) => log.push(`state ${state}`));
        room.on('peer', ({ peer }) => log.push(`peer ${peer.id}`));
        room.on('relation', ({ peer, relation }) => log.push(`relation ${peer.id} ${relation}`));
        room.on('error', ({ code, message }) => log.push(`error ${code} ${message}`));
        room.on('track', (detail) => {
          const [stream] = detail.streams;
          log.push(`track ${detail.track.kind} ${describe({ ...detail, stream })}`);
          stream?.addEventListener('removetrack', () => log.push(`left ${stream.id}`));
        });
        room.on('mute', (detail) => log.push(`mute ${describe(detail)}`));
      };
      Object.assign(globalThis, { stream, log, enter });
    },
    [id, name],
  );
  return page;
}

/** @param {Page} page @returns {Promise<string>} the id of its stream */
const streamOf = (page) => page.evaluate(() => stream.id);

/** The number of descriptions that a page has sent. @param {Page} page @returns {Promise<number>} */
const descriptions = (page) =>
  page.evaluate(
    () =>
      /** @type {any} */ (globalThis).wire.passed.filter((/** @type {string} */ line) =>
        /^out (offer|answer)/.test(line),
      ).length,
  );

/** @type {typeof PAIRS} */
const ALL_PAIRS = [['Chromium', 'Chromium'], ...PAIRS];

for (const [first, second] of ALL_PAIRS)
  test(`streams reach late joiners, and stay the same when tracks change: ${first}, ${second}`, async () => {
    const name = newRoom();
    const ann = await prepare(first, 'ann', name);
    const bob = await prepare(second, 'bob', name);
    await ann.evaluate(() => {
      enter();
      room.addStream(stream, { metadata: { title: 'Ann’s camera' } });
      room.mute(stream, { audio: true });
    });
    await logged(ann, 'state joined');
    await bob.evaluate(() => {
      enter();
      room.addStream(stream);
    });
    await connected(ann, 'bob');
    const [anns, bobs] = [await streamOf(ann), await streamOf(bob)];
    const announced = '{"metadata":{"title":"Ann’s camera"},"audio":true,"video":false}';
    for (const kind of ['audio', 'video']) {
      await logged(bob, `track ${kind} ann ${anns} ${announced}`);
      await logged(ann, `track ${kind} bob ${bobs} {"audio":false,"video":false}`);
    }
    await decodes(bob, 'room.peers.get("ann").connection');
    await connected(bob, 'ann');

    const before = await descriptions(ann);
    const replaced = await ann.evaluate(() => {
      const [camera] = stream.getVideoTracks();
      const canvas = document.createElement('canvas');
      canvas.width = 200;
      canvas.height = 100;
      setInterval(() => canvas.getContext('2d')?.fillRect(0, 0, Math.random() * 200, 100), 50);
      const [drawing] = canvas.captureStream().getTracks();
      room.replaceTrack(camera, null);
      room.replaceTrack(camera, drawing);
      return stream.getVideoTracks().length === 1 && stream.getVideoTracks()[0] === drawing;
    });
    assert.equal(replaced, true, 'the stream contains the new track');
    await ann.evaluate(() => room.mute(stream, { audio: false, video: true }));
    await logged(
      bob,
      `mute ann ${anns} ${announced.replace('true', 'x').replace('false', 'true').replace('x', 'false')}`,
    );
    await ann.evaluate(() => room.mute(stream, { video: false }));
    await until(bob, 'the drawing arrives', () => {
      const [peer] = [...room.peers.values()];
      const [receiver] = peer.connection
        .getReceivers()
        .filter((/** @type {RTCRtpReceiver} */ { track }) => track.kind === 'video');
      const video = document.querySelector('video') ?? document.createElement('video');
      if (!video.srcObject) {
        Object.assign(video, { srcObject: new MediaStream([receiver.track]), muted: true });
        document.body.append(video);
        video.play();
      }
      return video.videoWidth === 200 && video.videoHeight === 100;
    });
    assert.equal(await descriptions(ann), before, 'there was no negotiation');

    await ann.evaluate(() => room.removeStream(stream));
    await logged(bob, `left ${anns}`, 2);
    await ann.evaluate(() => room.addStream(stream, { metadata: 'again' }));
    await logged(bob, `track video ann ${anns} {"metadata":"again","audio":false,"video":false}`);
  });
