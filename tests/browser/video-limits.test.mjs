// @ts-check
/** The limits of the video from cameras. All clients are in one page, so that the test needs less CPU. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { newRoom } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { VIDEO_PATIENCE } from '../support/media.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const server = new Deployed();
const pages = { Chromium: new Pages(server, 'Chromium'), Firefox: new Pages(server, 'Firefox') };
useFixtures(server, pages.Chromium, pages.Firefox);

// Globals of the page, see `prepare`. TypeScript needs these declarations to check the functions that
// run in the page.
/** @type {any} */
let rooms;
/** @type {any} */
let enter;
/** @type {any} */
let draw;

/**
 * Opens a page with these functions. `enter` lets a client join the room with a video of a size.
 * `draw` makes a video of a size, with 5 frames a second.
 * @param {'Chromium' | 'Firefox'} browser
 */
async function prepare(browser) {
  const page = await pages[browser].open('all', '/health');
  await page.evaluate(async (name) => {
    const { Room } = await import(/** @type {string} */ ('/room.js'));
    /** @type {Record<string, import('../../public/room.js').Room>} */
    const rooms = {};
    const draw = (/** @type {number} */ width, /** @type {number} */ height) => {
      const canvas = Object.assign(document.createElement('canvas'), { width, height });
      const context = canvas.getContext('2d');
      setInterval(() => {
        context?.fillRect(Math.random() * width, Math.random() * height, 9, 9);
      }, 200);
      return canvas.captureStream();
    };
    const enter = (
      /** @type {string} */ id,
      /** @type {MediaStream} */ stream,
      /** @type {object} */ options,
    ) => {
      rooms[id] = new Room(name, { id, iceServers: [], ...options });
      rooms[id].addStream(stream);
    };
    Object.assign(globalThis, { rooms, draw, enter });
  }, newRoom());
  return page;
}

/**
 * Waits until a client sends video with these parameters to each of its peers.
 * @param {Page} page
 * @param {string} id
 * @param {{ peers: number, bitrate?: number, scale?: number }} expected
 */
async function sends(page, id, expected) {
  const { peers, bitrate, scale = 1 } = expected;
  const wanted = Array(peers).fill({ bitrate, scale });
  const read = () =>
    page.evaluate(
      (id) =>
        [...rooms[id].peers.values()].flatMap(({ connection }) =>
          connection.getSenders().flatMap((/** @type {RTCRtpSender} */ sender) => {
            const [encoding] = sender.getParameters().encodings;
            const { maxBitrate: bitrate, scaleResolutionDownBy: scale = 1 } = encoding ?? {};
            return sender.track?.kind === 'video' ? [{ bitrate, scale }] : [];
          }),
        ),
      id,
    );
  await equals(read, wanted);
}

/**
 * Waits until a client sends frames to each of its peers, all of at most this height and target bit
 * rate.
 * @param {Page} page
 * @param {string} id
 * @param {number} height
 * @param {number} bitrate
 */
async function sendsFrames(page, id, height, bitrate) {
  const read = () =>
    page.evaluate(async ([id, height, bitrate]) => {
      const reports = [];
      for (const { connection } of rooms[id].peers.values())
        for (const report of (await connection.getStats()).values())
          if (report.type === 'outbound-rtp' && report.kind === 'video') reports.push(report);
      return reports.map(({ frameHeight = 0, targetBitrate = 0, bytesSent }) =>
        bytesSent > 0 && frameHeight > 0 && frameHeight <= height && targetBitrate <= bitrate
          ? 'limited'
          : { frameHeight, targetBitrate, bytesSent },
      );
    }, /** @type {[string, number, number]} */ ([id, height, bitrate]));
  const peers = await page.evaluate((id) => rooms[id].peers.size, id);
  await equals(read, Array(peers).fill('limited'));
}

/**
 * Waits until a function returns a value.
 * @param {() => Promise<unknown>} read
 * @param {unknown} wanted
 */
async function equals(read, wanted) {
  const text = JSON.stringify(wanted);
  for (const end = Date.now() + VIDEO_PATIENCE; ; await setTimeout(50)) {
    const now = await read();
    if (JSON.stringify(now) === text) return;
    assert(Date.now() < end, `never ${text}: ${JSON.stringify(now)}`);
  }
}

for (const browser of /** @type {const} */ (['Chromium', 'Firefox']))
  test(`each camera in the room makes the video of a camera smaller: ${browser}`, async () => {
    const page = await prepare(browser);
    await page.evaluate(() => {
      enter('ann', draw(1280, 720));
      enter('bob', draw(64, 48));
    });
    await sends(page, 'ann', { peers: 1, bitrate: 1_500_000 });
    await sends(page, 'bob', { peers: 1, bitrate: 1_500_000 });
    await sendsFrames(page, 'ann', 720, 1_500_000);
    await page.evaluate(() => enter('cem', draw(64, 48)));
    await sends(page, 'ann', { peers: 2, bitrate: 600_000 });

    // A screen does not count.
    await page.evaluate(() => {
      const screen = draw(64, 48);
      screen.getTracks()[0].contentHint = 'detail';
      enter('dan', screen);
      enter('eve', draw(64, 48));
    });
    await sends(page, 'ann', { peers: 4, bitrate: 600_000 });
    await sends(page, 'dan', { peers: 4 });

    // Dan replaces the screen by a camera.
    await page.evaluate(() => {
      const [screen] = rooms.dan.peers.get('ann').connection.getSenders();
      rooms.dan.replaceTrack(screen.track, draw(64, 48).getTracks()[0]);
    });
    await sends(page, 'dan', { peers: 4, bitrate: 250_000 });
    await sends(page, 'ann', { peers: 4, bitrate: 250_000, scale: 2 });
    await sendsFrames(page, 'ann', 360, 250_000);

    // A camera of another size, one that is small already, and one of a phone that is held upright.
    for (const [width, height, scale] of [
      [640, 480, 480 / 360],
      [320, 180, 1],
      [720, 1280, 2],
    ]) {
      await page.evaluate(
        ([width, height]) => {
          const [sender] = rooms.ann.peers.get('bob').connection.getSenders();
          rooms.ann.replaceTrack(sender.track, draw(width, height).getTracks()[0]);
        },
        [width, height],
      );
      await sends(page, 'ann', { peers: 4, bitrate: 250_000, scale });
    }

    await page.evaluate(() => rooms.eve.close());
    await sends(page, 'ann', { peers: 3, bitrate: 600_000 });
  });

test('without limits, the parameters belong to the application', async () => {
  const page = await prepare('Chromium');
  await page.evaluate(() => {
    enter('ann', draw(64, 48), { limitVideo: false });
    enter('bob', draw(64, 48));
  });
  await sends(page, 'bob', { peers: 1, bitrate: 1_500_000 });
  await sends(page, 'ann', { peers: 1 });
  const kept = await page.evaluate(async () => {
    const [sender] = rooms.ann.peers.get('bob').connection.getSenders();
    const parameters = sender.getParameters();
    parameters.encodings[0].maxBitrate = 99_000;
    await sender.setParameters(parameters);
    rooms.ann.addStream(draw(64, 48)); // negotiates, and changes the number of streams
    return sender.getParameters().encodings[0].maxBitrate;
  });
  assert.equal(kept, 99_000);
});

test('a peer that often says that it has a camera, and has none, causes few changes', async () => {
  const page = await prepare('Chromium');
  await page.evaluate(() => {
    enter('ann', draw(64, 48));
    enter('bob', draw(64, 48));
  });
  await sends(page, 'ann', { peers: 1, bitrate: 1_500_000 });
  const calls = await page.evaluate(() => {
    let calls = 0;
    const { setParameters } = RTCRtpSender.prototype;
    RTCRtpSender.prototype.setParameters = function (...args) {
      calls += 1;
      return setParameters.apply(this, args);
    };
    const { streams } = rooms.ann.peers.get('bob').negotiation;
    for (let bitrate = 1; bitrate <= 1_000; bitrate += 1) streams.limitVideo([bitrate, Infinity]);
    streams.limitVideo([99_000, Infinity]);
    Object.assign(globalThis, { callsOfSetParameters: () => calls });
    return calls;
  });
  assert.equal(calls, 0, 'all are asked for at once');
  await sends(page, 'ann', { peers: 1, bitrate: 99_000 });
  assert.ok((await page.evaluate('callsOfSetParameters()')) <= 2);
});
