// @ts-check
/** Pages with unmodified clients of WebTorrent trackers: p2pt, trystero and bittorrent-tracker. */
import { build } from 'esbuild';
import { CONNECTION_PATIENCE, until } from './browser.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** The clients, as the global variable `swarm` of a page. */
const { outputFiles } = await build({
  stdin: {
    contents: `export { default as P2PT } from 'p2pt';
      export { Client } from 'bittorrent-tracker';
      export { joinRoom, selfId } from '@trystero-p2p/torrent';`,
    resolveDir: import.meta.dirname,
  },
  bundle: true,
  write: false,
  format: 'iife',
  globalName: 'swarm',
  define: { global: 'globalThis', 'process.browser': 'true' },
  alias: { events: 'bare-events' }, // bundlers for browsers replace this module of Node.js
});

/** Loads the clients into a page. @param {Page} page */
export async function load(page) {
  await page.addScriptTag({ content: outputFiles[0].text });
  await page.evaluate(() => {
    const globals = /** @type {any} */ (globalThis);
    globals.heard = [];
  });
}

/** Waits until the global array `heard` of a page contains a text. @param {Page} page @param {string} text */
export const hears = (page, text) =>
  until(
    page,
    `it hears ${text}`,
    (text) => /** @type {any} */ (globalThis).heard.includes(text),
    text,
    CONNECTION_PATIENCE,
  );

/**
 * Starts p2pt. It greets each peer, and answers each message.
 * @param {Page} page
 * @param {string} url
 * @param {string} name
 */
export const startP2pt = (page, url, name) =>
  page.evaluate(([url, name]) => {
    const { swarm, heard } = /** @type {any} */ (globalThis);
    const p2pt = new swarm.P2PT([url], 'partyline');
    p2pt.on('trackerwarning', (/** @type {Error} */ error) => heard.push(`${error}`));
    p2pt.on('msg', (/** @type {any} */ peer, /** @type {string} */ text) => {
      heard.push(text);
      if (!text.startsWith('re:')) peer.respond(`re: ${text}`);
    });
    p2pt.on('peerconnect', async (/** @type {any} */ peer) => {
      const [, answer] = await p2pt.send(peer, `from ${name}`);
      heard.push(answer);
    });
    return p2pt.start();
  }, /** @type {const} */ ([url, name]));

/**
 * Joins a room of trystero, and sends each peer a greeting.
 * @param {Page} page
 * @param {string} url
 * @param {string} name
 */
export const joinTrystero = (page, url, name) =>
  page.evaluate(([url, name]) => {
    const { swarm, heard } = /** @type {any} */ (globalThis);
    const config = {
      appId: 'partyline',
      relayConfig: { urls: [url] },
      rtcConfig: { iceServers: [] },
    };
    const room = swarm.joinRoom(config, 'room');
    const greeting = room.makeAction('greeting');
    greeting.onMessage = (/** @type {string} */ text) => heard.push(text);
    room.onPeerJoin = (/** @type {string} */ id) => greeting.send(`from ${name}`, { target: id });
  }, /** @type {const} */ ([url, name]));

/**
 * Creates a client of bittorrent-tracker, as the global variable `name`. It logs the counts of the swarm and
 * the messages of its peers, which it greets.
 * @param {Page} page
 * @param {string} url
 * @param {string} name
 */
export const createClient = (page, url, name) =>
  page.evaluate(([url, name]) => {
    const globals = /** @type {any} */ (globalThis);
    const { swarm, heard } = globals;
    const client = new swarm.Client({
      infoHash: '01'.repeat(20),
      peerId: [...`${name}${'\u00fe'.repeat(20)}`.slice(0, 20)]
        .map((each) => each.charCodeAt(0).toString(16).padStart(2, '0'))
        .join(''),
      announce: [url],
      rtcConfig: { iceServers: [] },
    });
    const log = (/** @type {string} */ text) => heard.push(`${name}: ${text}`);
    client.on('warning', (/** @type {Error} */ error) => log(error.message));
    client.on('error', (/** @type {Error} */ error) => log(error.message));
    client.on('update', (/** @type {any} */ { complete, incomplete }) =>
      log(`${complete} complete, ${incomplete} incomplete`),
    );
    client.on('scrape', (/** @type {any} */ { complete, incomplete, downloaded }) =>
      log(`scraped ${complete}, ${incomplete}, ${downloaded}`),
    );
    client.on('peer', (/** @type {any} */ peer) => {
      peer.on('connect', () => peer.send(`from ${name}`));
      peer.on('data', (/** @type {Uint8Array} */ data) => log(new TextDecoder().decode(data)));
      peer.on('error', (/** @type {Error} */ error) => log(error.message));
    });
    globals[name] = client;
  }, /** @type {const} */ ([url, name]));

/** Calls a method of a client. @param {Page} page @param {string} name @param {string} method @param {unknown} [argument] */
export const call = (page, name, method, argument) =>
  page.evaluate(
    ([name, method, argument]) =>
      void (/** @type {any} */ (globalThis)[`${name}`][`${method}`](argument)),
    /** @type {const} */ ([name, method, argument]),
  );
