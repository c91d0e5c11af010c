// @ts-check
/** Live streams through `room.js`, without the example page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { log, logged, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { runServed, samplesOf } from '../support/samples.mjs';
import { LiveServers, enter, passed, publish, received, receives } from '../support/live.mjs';

/** @typedef {import('playwright-core').Page} Page */

const servers = new LiveServers();
const pages = new Pages(servers);
useFixtures(servers, pages);

/** Lets the device and a viewer join a new session. */
async function stage() {
  const session = await servers.createSession();
  const device = await enter(pages, session, 'camera');
  const viewer = await enter(pages, session, 'viewer');
  return { session, device, viewer };
}

test('a device publishes after its offer has arrived, and the states reach a viewer', async () => {
  const { session, device, viewer } = await stage();
  await received(device, 'in offer');
  await logged(viewer, 'live waiting');
  assert.equal(await passed(device, 'out answer'), 0);
  await publish(device);
  await receives(viewer);
  await servers.stopSession(session);
  for (const page of [device, viewer]) await logged(page, 'close 4011');
  const states = (await log(viewer)).filter((line) => /^(live|stream)/.test(line));
  assert.deepEqual(states, [
    'live waiting',
    'live live',
    'stream 2',
    'live live connected',
    'stream',
    'live stopped',
  ]);
  assert.deepEqual(
    await viewer.evaluate(() => {
      const { live } = /** @type {any} */ (globalThis).room;
      return [live.state, live.stream, live.connection, live.connected];
    }),
    ['stopped', null, null, false],
  );
});

test('nobody connects to anybody unasked in a room with a live session', async () => {
  const { device, viewer } = await stage();
  await publish(device);
  await receives(viewer);
  const other = await enter(
    pages,
    await viewer.evaluate(() => /** @type {any} */ (globalThis).room.name),
    'other',
  );
  await receives(other);
  const peers = (/** @type {Page} */ page) =>
    page.evaluate(() =>
      [.../** @type {any} */ (globalThis).room.peers.values()].map(({ id, relation, connected }) =>
        [id, relation, connected].join(' '),
      ),
    );
  assert.deepEqual(await peers(viewer), ['camera none false']);
  assert.deepEqual((await peers(device)).toSorted(), ['other none false', 'viewer none false']);
  assert.equal(await passed(device, 'in offer'), 1, 'only the media server makes an offer');
  for (const page of [device, viewer, other])
    assert.deepEqual(
      (await log(page)).filter((line) => /^(error|request)/.test(line)),
      [],
    );

  // An application may still send signals, and ask for a connection.
  await viewer.evaluate(() => /** @type {any} */ (globalThis).room.signal('wave', 1, 'camera'));
  await logged(device, 'signal viewer wave 1');
  await viewer.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('camera').request());
  await logged(device, 'request viewer');
  await device.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('viewer').accept());
  const connected = () => /** @type {any} */ (globalThis).room.peers.get('camera').connected;
  await until(viewer, 'it is connected with the device', connected);
});

test('another stream replaces the tracks without a new offer to the viewers', async () => {
  const { device, viewer } = await stage();
  await publish(device);
  await receives(viewer);
  await viewer.evaluate(() => {
    const { room } = /** @type {any} */ (globalThis);
    const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true });
    video.srcObject = room.live.stream;
    document.body.append(video);
  });
  const hasRatio = (/** @type {number} */ ratio) => {
    const { videoWidth, videoHeight } = [...document.querySelectorAll('video')].at(-1) ?? {};
    return Math.abs((videoWidth ?? 0) / (videoHeight ?? 1) - ratio) < 0.05;
  };
  await until(viewer, 'the picture is 4:3', hasRatio, 4 / 3);
  await device.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
    const context = canvas.getContext('2d');
    setInterval(() => {
      if (context) context.fillStyle = `hsl(${performance.now() % 360} 50% 50%)`;
      context?.fillRect(0, 0, 640, 360);
    }, 50);
    /** @type {any} */ (globalThis).room.live.publish(canvas.captureStream());
  });
  await until(viewer, 'the picture is 16:9', hasRatio, 16 / 9);
  await receives(viewer);
  for (const page of [device, viewer]) assert.equal(await passed(page, 'in offer'), 1);
});

test('a kind of track that was missing reaches the viewers with a new offer', async () => {
  const { device, viewer } = await stage();
  await publish(device, { audio: true });
  await logged(viewer, 'stream 1');
  await publish(device);
  await logged(viewer, 'stream 2');
  await receives(viewer);
});

test('a page that leaves the room closes its connection with the media server', async () => {
  const { device, viewer } = await stage();
  await publish(device);
  await receives(viewer);
  await servers.media.reaches('connected', 2);
  await viewer.evaluate(() => /** @type {any} */ (globalThis).room.close());
  await logged(viewer, 'stream', 2); // the second one is null
  await servers.media.reaches('connected', 1);
  await device.evaluate(() => /** @type {any} */ (globalThis).room.leaveServer());
  await servers.media.reaches('connected', 0);
});

test('the stream continues by itself after a restart of the media server', async () => {
  const { device, viewer } = await stage();
  await publish(device);
  await receives(viewer);
  await viewer.evaluate(() => {
    const { room } = /** @type {any} */ (globalThis);
    Object.assign(globalThis, { old: room.live.connection });
  });
  const startMedia = await servers.stopMedia();
  await startMedia();
  for (const page of [device, viewer]) await received(page, 'in offer', 2);
  await receives(viewer);
  const states = () => {
    const { room, old } = /** @type {any} */ (globalThis);
    return [old, room.live.connection].map(({ connectionState }) => connectionState);
  };
  assert.deepEqual(await viewer.evaluate(states), ['closed', 'connected']);
});

test('the samples of client.md send the stream of a device to a viewer', async () => {
  const [device, viewer] = samplesOf('docs/client.md').get('Live streams') ?? [];
  const session = await servers.createSession();
  const variables = `const [sessionId, deviceId] = ["${session}", "camera"]; let deviceToken;`;
  const start = 'import { Room } from "/room.js";';
  const camera = await pages.open('camera', '/health');
  await runServed(camera, `${start}${variables}${device}`, session);
  const page = await pages.open('viewer', '/health');
  const video = 'document.body.append(document.createElement("video"));';
  const log = 'const console = { log: show };';
  await runServed(page, `${start}${variables}${video}${log}${viewer}`, session);
  await until(page, 'the state is live', () =>
    /** @type {any} */ (globalThis).shown.includes('live'),
  );
  await until(page, 'it has the stream', () => {
    const stream = /** @type {MediaStream | null | undefined} */ (
      document.querySelector('video')?.srcObject
    );
    return stream?.getTracks().length === 2;
  });
});
