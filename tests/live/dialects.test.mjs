// @ts-check
/**
 * Devices and viewers of all dialects in one live session. They know nothing of live sessions: for
 * them, the media server is a peer that makes an offer.
 */
import { test } from 'node:test';
import { join, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { LiveServers, receives } from '../support/live.mjs';

/** @typedef {import('playwright-core').Page} Page */

const servers = new LiveServers();
const pages = new Pages(servers);
useFixtures(servers, pages);

/**
 * Opens a page that answers the offers of the media server. The device sends camera and microphone.
 * Defines the global variable `connection` in the page.
 * @param {'forum' | 'lobby' | 'http'} dialect
 * @param {string} session
 * @param {string} id
 */
async function takePart(dialect, session, id) {
  const page = await pages.open(id);
  await page.evaluate(
    async ([dialect, session, id]) => {
      const isDevice = id === 'camera';
      const camera = isDevice && (await navigator.mediaDevices.getUserMedia({ video: true }));
      /** @type {Record<string, () => Promise<[EventTarget, (answer: object) => unknown]>>} */
      const clients = {
        async forum() {
          const socket = open();
          return [socket, (answer) => send(socket, { action: 'forward-answer', answer, toPeerId })];
        },
        async lobby() {
          const socket = open();
          return [socket, (answer) => send(socket, { answer, toId: toPeerId, fromId: id })];
        },
        async http() {
          const post = (/** @type {string} */ what, /** @type {object} */ message) =>
            fetch(`/${what}/${session}/${id}`, { method: 'POST', body: JSON.stringify(message) });
          await post('register', {});
          const events = new EventSource(`/events/${session}/${id}`);
          return [
            events,
            (payload) => post('message', { target: toPeerId, type: 'answer', payload }),
          ];
        },
      };
      const toPeerId = '~live';
      const open = () =>
        new WebSocket(`ws://${location.host}/parties/main/${session}?dialect=${dialect}&_pk=${id}`);
      const send = (/** @type {WebSocket} */ socket, /** @type {object} */ frame) =>
        socket.send(JSON.stringify(frame));

      const [source, reply] = await clients[dialect]();
      source.addEventListener('message', async (event) => {
        const frame = JSON.parse(/** @type {MessageEvent} */ (event).data);
        const from = frame.fromPeerId ?? frame.fromId ?? frame.senderId;
        const offer = frame.offer ?? (frame.type === 'offer' && frame.payload);
        if (from !== toPeerId || !offer) return;
        const connection = new RTCPeerConnection();
        Object.assign(globalThis, { connection });
        await connection.setRemoteDescription(offer);
        if (camera) connection.addTrack(camera.getTracks()[0], camera);
        await connection.setLocalDescription();
        reply(/** @type {RTCSessionDescription} */ (connection.localDescription).toJSON());
      });
    },
    [dialect, session, id],
  );
  return page;
}

test('viewers of all dialects decode the stream of an SSE device', async () => {
  const session = await servers.createSession();
  const early = await takePart('http', session, 'early');
  const device = await takePart('http', session, 'camera');
  const forum = await takePart('forum', session, 'forum');
  const lobby = await takePart('lobby', session, 'lobby');
  const native = await pages.open('native');
  await join(native, session);
  await Promise.all([
    receives(native),
    ...[early, forum, lobby].map((page) => receives(page, 'connection')),
  ]);
  const isConnected = () =>
    /** @type {any} */ (globalThis).connection.connectionState === 'connected';
  await until(device, 'the device is connected', isConnected);
});

for (const dialect of /** @type {const} */ (['forum', 'lobby'])) {
  test(`a viewer of the library decodes the stream of a ${dialect} device`, async () => {
    const session = await servers.createSession();
    const viewer = await pages.open('viewer');
    await join(viewer, session);
    await takePart(dialect, session, 'camera');
    await receives(viewer);
  });
}
