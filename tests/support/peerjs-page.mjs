// @ts-check
/** A page with an unmodified PeerJS client, and what it hears. */
import { fileURLToPath } from 'node:url';
import { PATIENCE, until } from './browser.mjs';

const BUNDLE = fileURLToPath(
  new URL('../../node_modules/peerjs/dist/peerjs.min.js', import.meta.url),
);

/** @typedef {import('playwright-core').Page} Page */

/**
 * Opens a page with PeerJS.
 * @param {import('./chromium.mjs').Pages} browser
 * @param {string} name
 * @param {string} origin
 */
export async function openPage(browser, name, origin) {
  const page = await browser.open(name, origin);
  await page.addScriptTag({ path: BUNDLE });
  return page;
}

/**
 * Creates a client, and waits until it is open. Returns its id. It answers data with the same text and
 * `, too`, and calls with a stream. Defines the global variables `peer`, and `heard`, which has a line for
 * each event.
 * @param {Page} page
 * @param {{ host: string }} server
 * @param {string} room
 * @param {object} [options]
 * @param {string} [options.id]
 * @param {string} [options.key]
 * @param {boolean} [options.fails] whether the test expects an error instead
 * @returns {Promise<string>}
 */
export async function open(page, server, room, { id, key, fails = false } = {}) {
  const [host, port] = server.host.split(':');
  const path = `/parties/main/${encodeURIComponent(room)}`;
  await page.evaluate(
    ({ id, key, host, port, path }) => {
      const globals = /** @type {any} */ (globalThis);
      // There are no ICE servers, because an unreachable STUN server would only delay gathering.
      const options = { host, port, path, ...(key && { key }), config: { iceServers: [] } };
      const peer = id ? new globals.Peer(id, options) : new globals.Peer(options);
      /** @type {string[]} */
      const heard = [];
      globals.listen = (/** @type {any} */ connection) => {
        connection.on('data', (/** @type {string} */ text) => {
          heard.push(`data ${connection.peer} ${text}`);
          if (!text.endsWith(', too')) connection.send(`${text}, too`);
        });
        connection.on('close', () => heard.push(`close ${connection.peer}`));
      };
      globals.show = (/** @type {any} */ call) =>
        call.on('stream', (/** @type {MediaStream} */ stream) =>
          heard.push(`stream ${call.peer} ${stream.getTracks().length}`),
        );
      /** Returns a stream without a device: the picture of a canvas. */
      globals.picture = () => {
        const canvas = document.createElement('canvas');
        canvas.getContext('2d')?.fillRect(0, 0, 1, 1);
        return canvas.captureStream(5);
      };
      peer.on('open', (/** @type {string} */ id) => heard.push(`open ${id}`));
      peer.on('disconnected', () => heard.push('disconnected'));
      peer.on('error', (/** @type {any} */ { type }) => heard.push(`error ${type}`));
      peer.on('connection', globals.listen);
      peer.on('call', (/** @type {any} */ call) => {
        globals.show(call);
        call.answer(globals.picture());
      });
      Object.assign(globals, { peer, heard });
    },
    { id, key, host, port: Number(port), path },
  );
  if (fails) return '';
  await until(page, 'the client is open', () => /** @type {any} */ (globalThis).peer.open);
  return page.evaluate(() => /** @type {any} */ (globalThis).peer.id);
}

/**
 * Connects to another client, and sends a text. Defines the global variable `connection`.
 * @param {Page} page @param {string} to @param {string} text
 */
export const connect = (page, to, text) =>
  page.evaluate(
    ([to, text]) => {
      const globals = /** @type {any} */ (globalThis);
      const connection = (globals.connection = globals.peer.connect(to));
      globals.listen(connection);
      connection.on('open', () => connection.send(text));
    },
    [to, text],
  );

/** Calls another client. @param {Page} page @param {string} to */
export const call = (page, to) =>
  page.evaluate((to) => {
    const { peer, picture, show } = /** @type {any} */ (globalThis);
    show(peer.call(to, picture()));
  }, to);

/** Returns what a page has heard. @param {Page} page @returns {Promise<string[]>} */
export const heard = (page) => page.evaluate(() => /** @type {any} */ (globalThis).heard);

/** Waits until a page has heard a line, a number of times. @param {Page} page @param {string} line */
export const hears = (page, line, patience = PATIENCE, times = 1) =>
  until(
    page,
    `${times} times "${line}"`,
    ([line, times]) =>
      /** @type {any} */ (globalThis).heard.filter((/** @type {string} */ one) => one === line)
        .length >= Number(times),
    /** @type {const} */ ([line, times]),
    patience,
  );
