// @ts-check
/** Pages with unmodified clients that use Nostr: trystero, and the connection handler of RxDB. */
import { build } from 'esbuild';
import { CONNECTION_PATIENCE, until } from './browser.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** Both libraries, as the global variable `libraries` of a page. */
const { outputFiles } = await build({
  stdin: {
    contents: `export * as trystero from '@trystero-p2p/nostr';
      export { getConnectionHandlerNostr } from 'rxdb/plugins/replication-webrtc';`,
    resolveDir: import.meta.dirname,
  },
  bundle: true,
  write: false,
  format: 'iife',
  globalName: 'libraries',
  define: { global: 'globalThis', 'process.env': '{}' },
});

/** What the documentation of RxDB asks of a page. */
const PROCESS =
  'globalThis.process = { nextTick: (step, ...args) => setTimeout(step, 0, ...args) };';

/** Loads the libraries into a page. @param {Page} page */
export const load = (page) => page.addScriptTag({ content: PROCESS + outputFiles[0].text });

/**
 * Joins a room of trystero. Sends "hello from" and the name to each peer, and collects what peers send.
 * @param {Page} page
 * @param {string} room
 * @param {string} url the URL of the relay
 * @param {string} name
 */
export const join = (page, room, url, name) =>
  page.evaluate(([roomId, url, name]) => {
    const globals = /** @type {any} */ (globalThis);
    const room = globals.libraries.trystero.joinRoom(
      { appId: 'partyline', relayConfig: { urls: [url] }, rtcConfig: { iceServers: [] } },
      roomId,
    );
    const action = room.makeAction('hello');
    globals.heard ??= {};
    globals.heard[roomId] = [];
    globals.rooms ??= {};
    globals.rooms[roomId] = room;
    action.onMessage = (/** @type {string} */ text) => globals.heard[roomId].push(text);
    room.onPeerJoin = (/** @type {string} */ target) =>
      void action.send(`hello from ${name}`, { target });
  }, /** @type {const} */ ([room, url, name]));

/**
 * Opens a connection handler of RxDB for a topic. Sends its name to each peer, and collects what peers
 * send.
 * @param {Page} page
 * @param {string} topic
 * @param {string} url the URL of the relay
 * @param {string} name
 */
export const replicate = (page, topic, url, name) =>
  page.evaluate(async ([topic, url, name]) => {
    const globals = /** @type {any} */ (globalThis);
    globals.heard ??= {};
    globals.heard[topic] = [];
    const create = globals.libraries.getConnectionHandlerNostr({
      relays: [url],
      config: { iceServers: [] },
    });
    const handler = await create({ topic });
    const result = `hello from ${name}`;
    handler.connect$.subscribe((/** @type {unknown} */ peer) =>
      handler.send(peer, { id: name, method: 'token', params: [result] }),
    );
    handler.message$.subscribe((/** @type {any} */ { message }) =>
      globals.heard[topic].push(message.params[0]),
    );
  }, /** @type {const} */ ([topic, url, name]));

/**
 * Waits until a page has heard exactly these names in a room.
 * @param {Page} page
 * @param {string} room
 * @param {string[]} names
 */
export const hears = (page, room, names) =>
  until(
    page,
    `it hears ${names} in ${room}`,
    ([room, names]) => {
      const { heard } = /** @type {any} */ (globalThis);
      return [...(heard?.[room] ?? [])].sort().join() === names;
    },
    /** @type {const} */ ([
      room,
      names
        .map((name) => `hello from ${name}`)
        .sort()
        .join(),
    ]),
    CONNECTION_PATIENCE,
  );
