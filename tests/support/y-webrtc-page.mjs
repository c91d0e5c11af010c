// @ts-check
/** Pages with an unmodified y-webrtc, whose documents sync over WebRTC. */
import { build } from 'esbuild';
import { CONNECTION_PATIENCE, until } from './browser.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** The library and Yjs, as the global variable `collab` of a page. */
const { outputFiles } = await build({
  stdin: {
    contents: `export { Doc } from 'yjs'; export { WebrtcProvider } from 'y-webrtc';`,
    resolveDir: import.meta.dirname,
  },
  bundle: true,
  write: false,
  format: 'iife',
  globalName: 'collab',
  define: { global: 'globalThis' },
});

/** Loads y-webrtc into a page. @param {Page} page */
export const load = (page) => page.addScriptTag({ content: outputFiles[0].text });

/**
 * Opens a document in a page.
 * @param {Page} page
 * @param {string} name
 * @param {string} signaling the URL of the signaling server
 * @param {string} [password]
 */
export const open = (page, name, signaling, password) =>
  page.evaluate(([name, signaling, password]) => {
    const globals = /** @type {any} */ (globalThis);
    const doc = new globals.collab.Doc();
    const provider = new globals.collab.WebrtcProvider(name, doc, {
      signaling: [signaling],
      password,
      peerOpts: { config: { iceServers: [] } },
    });
    globals.documents ??= {};
    globals.documents[name] = { doc, provider };
  }, /** @type {const} */ ([name, signaling, password]));

/** Writes an entry into a document. @param {Page} page @param {string} name @param {string} key */
export const write = (page, name, key) =>
  page.evaluate(
    ([name, key]) => /** @type {any} */ (globalThis).documents[name].doc.getMap('m').set(key, 1),
    /** @type {const} */ ([name, key]),
  );

/** Returns the keys of a document. @param {Page} page @param {string} name */
export const read = (page, name) =>
  page.evaluate(
    (name) => [.../** @type {any} */ (globalThis).documents[name].doc.getMap('m').keys()].sort(),
    name,
  );

/**
 * Waits until a document has these keys, has as many connections over WebRTC, and none over
 * BroadcastChannel.
 * @param {Page} page
 * @param {string} name
 * @param {string[]} keys
 * @param {number} [connections]
 */
export const has = (page, name, keys, connections = 1) =>
  until(
    page,
    `"${name}" has ${keys}`,
    ([name, keys, connections]) => {
      const { doc, provider } = /** @type {any} */ (globalThis).documents[name];
      const isSynced = [...doc.getMap('m').keys()].sort().join() === keys;
      // The provider derives its key from a password before it opens the room.
      const { webrtcConns, bcConns } = provider.room ?? {};
      return isSynced && webrtcConns?.size === connections && bcConns.size === 0;
    },
    /** @type {const} */ ([name, [...keys].sort().join(), connections]),
    CONNECTION_PATIENCE,
  );
