// @ts-check
/**
 * The first diagram of seed 004: a back end, a device and front ends with an unmodified
 * socket.io-client, and the media server.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { LIVE_KEY, LiveServers, receives } from '../support/live.mjs';
import { Recorder } from '../support/recorder.mjs';
import { hears, participate } from '../support/socketio-page.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** The server to which the device listens for notifications. */
const push = new Recorder((response) => response.writeHead(204).end());
const servers = new LiveServers();
const pages = new Pages(servers);
useFixtures(
  {
    start: async () => {
      // A page that is killed does not close its connection.
      servers.mediaArgs = ['--silence', '4'];
      servers.settings = { LIVE_NOTIFY_ORIGINS: await push.start() };
      await servers.start();
    },
    stop: () => Promise.all([servers.stop(), push.stop()]),
  },
  pages,
);

/**
 * Opens a page that takes part in a session.
 * @param {string} name the name of the page
 * @param {Parameters<typeof participate>[1]} options
 */
async function open(name, options) {
  const page = await pages.open(name, `${servers.keyed.origin}/health`);
  await participate(page, options);
  return page;
}

const heard = (/** @type {Page} */ page) =>
  page.evaluate(() => /** @type {string[]} */ (/** @type {any} */ (globalThis).heard));

/** Creates a session as the back end, and returns its response. */
async function createSession() {
  const { status, text } = await servers.keyed.request('/create-session', {
    method: 'POST',
    headers: { authorization: `Bearer ${LIVE_KEY}` },
    body: JSON.stringify({ deviceId: 'camera', notify: push.origin }),
  });
  assert.equal(status, 201, text);
  return JSON.parse(text);
}

/** Waits for the notification of the device, and checks its signature. */
async function notification() {
  const { line, headers, body } = await push.next();
  assert.equal(line, 'POST /notification/create');
  const [, time, signature] = /^t=(\d+),v1=(\w+)$/.exec(String(headers['x-signature'])) ?? [];
  const expected = createHmac('sha256', LIVE_KEY).update(`${time}.${body}`).digest('hex');
  assert.equal(signature, expected);
  return JSON.parse(body);
}

/** Stops the session with an event of a page. @param {Page} page @param {object} argument */
const stopFrom = (page, argument) =>
  page.evaluate(
    (argument) => /** @type {any} */ (globalThis).socket.emitWithAck('live/stop', argument),
    argument,
  );

/** @type {Record<string, string[] | undefined>} */
const MODES = { 'polling, then WebSocket': undefined, WebSocket: ['websocket'] };

for (const [mode, transports] of Object.entries(MODES))
  test(`the whole diagram, with ${mode}`, async () => {
    const created = await createSession();
    const room = created.socket.query.room;
    const notified = await notification();
    assert.deepEqual(notified.socket, created.socket);
    const { deviceId } = notified;

    const viewers = [];
    for (const name of ['one', 'two']) {
      const viewer = await open(name, { room, transports });
      await hears(viewer, 'waiting');
      viewers.push(viewer);
    }
    const auth = { id: deviceId, key: 'the key of the device' };
    const device = await open('camera', { room, auth, transports });
    for (const page of [device, ...viewers]) {
      await hears(page, 'answered {"ok":true}');
      await hears(page, 'all candidates');
    }
    for (const viewer of viewers) await receives(viewer, 'connection');
    await servers.media.reaches('sessions', 3);

    // The device comes back as a new page, and the viewers get its video with a second offer.
    await device.close();
    const again = await open('camera again', { room, auth, transports });
    await hears(again, 'answered {"ok":true}');
    for (const viewer of viewers) {
      await hears(viewer, 'offerSdp', 2);
      await hears(viewer, 'answered {"ok":true}', 2);
      await receives(viewer, 'connection');
    }

    const { stopKey, sessionId } = created;
    if (transports) {
      const stop = { method: 'POST', body: JSON.stringify({ sessionId, stopKey }) };
      assert.equal((await servers.keyed.request('/live/stop', stop)).status, 200);
    } else {
      assert.equal((await stopFrom(viewers[0], {})).error.code, 'unauthorized');
      assert.deepEqual(await stopFrom(viewers[0], { stopKey }), { ok: true });
    }
    for (const page of [again, ...viewers]) {
      await hears(page, 'io server disconnect');
      assert.equal((await heard(page)).at(-2), 'stopped');
    }
    await servers.media.reaches('sessions', 0);
  });
