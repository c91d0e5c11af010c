// @ts-check
/** A page with an unmodified socket.io-client that takes part in a live session. */
import { fileURLToPath } from 'node:url';
import { until } from './browser.mjs';

const BUNDLE = fileURLToPath(
  new URL('../../node_modules/socket.io-client/dist/socket.io.min.js', import.meta.url),
);

/**
 * Lets a page take part in a session as the first diagram of seed 004 shows. A page with `auth` is the
 * device. Defines the global variables `socket`, `connection`, and `heard`, which records the events.
 * @param {import('playwright-core').Page} page
 * @param {object} options
 * @param {string} options.room
 * @param {object} [options.auth]
 * @param {string[]} [options.transports] Default: the default of socket.io-client
 */
export async function participate(page, { room, auth, transports }) {
  await page.addScriptTag({ path: BUNDLE });
  await page.evaluate(
    ({ room, auth, transports }) => {
      const globals = /** @type {any} */ (globalThis);
      const socket = globals.io({ query: { room }, auth, ...(transports && { transports }) });
      const heard = /** @type {string[]} */ ([]);
      Object.assign(globals, { socket, heard });
      /** @type {RTCPeerConnection} */
      let connection;
      let session = '';
      socket.on('connect', () => heard.push('connect'));
      socket.on('live', (/** @type {any} */ { state }) => heard.push(state));
      socket.on('offerSdp', async (/** @type {any} */ offer) => {
        heard.push('offerSdp');
        if (offer.session !== session) {
          connection?.close();
          connection = globals.connection = new RTCPeerConnection();
          connection.onicecandidate = ({ candidate }) => socket.emit('ice-candidate', candidate);
          session = offer.session;
        }
        await connection.setRemoteDescription(offer);
        if (auth) {
          const camera = { audio: true, video: { width: 640, height: 480 } };
          const stream = await navigator.mediaDevices.getUserMedia(camera);
          for (const track of stream.getTracks()) connection.addTrack(track, stream);
        }
        await connection.setLocalDescription();
        const { type, sdp } = /** @type {RTCSessionDescription} */ (connection.localDescription);
        const result = await socket.emitWithAck('answerSdp', { type, sdp });
        heard.push(`answered ${JSON.stringify(result)}`);
      });
      socket.on('ice-candidate', async (/** @type {any} */ candidate) => {
        if (candidate) await connection.addIceCandidate(candidate);
        else heard.push('all candidates');
      });
      socket.on('disconnect', (/** @type {string} */ reason) => {
        heard.push(reason);
        // After any other reason, the client reconnects.
        if (reason === 'io server disconnect') connection?.close();
      });
    },
    { room, auth, transports },
  );
}

/** Waits until a page has heard an event, a number of times. */
export const hears = (
  /** @type {import('playwright-core').Page} */ page,
  /** @type {string} */ what,
  times = 1,
) =>
  until(
    page,
    `${times} times "${what}"`,
    ([what, times]) =>
      /** @type {any} */ (globalThis).heard.filter((/** @type {string} */ one) => one === what)
        .length >= Number(times),
    /** @type {const} */ ([what, times]),
  );
