// @ts-check
/** Pages with an unmodified RxDB, whose collections replicate over WebRTC. */
import { build } from 'esbuild';
import { CONNECTION_PATIENCE, until } from './browser.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** RxDB with the storage in memory, as the global variable `rxdb` of a page. */
const { outputFiles } = await build({
  stdin: {
    contents: `export { createRxDatabase } from 'rxdb/plugins/core';
      export { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
      export * from 'rxdb/plugins/replication-webrtc';`,
    resolveDir: import.meta.dirname,
  },
  bundle: true,
  write: false,
  format: 'iife',
  globalName: 'rxdb',
  // The signaling server in the same plugin is for Node. RxDB's documentation asks pages to define nextTick.
  external: ['ws'],
  define: { global: 'globalThis' },
  banner: {
    js: 'globalThis.process = { nextTick: (f, ...args) => queueMicrotask(() => f(...args)), env: {} };',
  },
});

/** Loads RxDB into a page. @param {Page} page */
export const load = (page) => page.addScriptTag({ content: outputFiles[0].text });

/**
 * Starts a replica with one document.
 * @param {Page} page
 * @param {string} id the id of the document
 * @param {string} signalingServerUrl
 * @param {string} [topic]
 */
export const start = (page, id, signalingServerUrl, topic = 'heroes') =>
  page.evaluate(
    async ({ id, signalingServerUrl, topic }) => {
      const globals = /** @type {any} */ (globalThis);
      const { rxdb } = globals;
      const db = await rxdb.createRxDatabase({
        name: id,
        storage: rxdb.getRxStorageMemory(),
        multiInstance: false,
      });
      const schema = {
        version: 0,
        primaryKey: 'id',
        type: 'object',
        properties: { id: { type: 'string', maxLength: 100 } },
        required: ['id'],
      };
      const { heroes } = await db.addCollections({ heroes: { schema } });
      globals.heroes = heroes;
      globals.problems = [];
      heroes.find().$.subscribe((/** @type {{ id: string }[]} */ documents) => {
        globals.found = documents.map((each) => each.id).sort();
      });
      await heroes.insert({ id });
      const pool = await rxdb.replicateWebRTC({
        collection: heroes,
        topic,
        connectionHandlerCreator: rxdb.getConnectionHandlerSimplePeer({
          signalingServerUrl,
          config: { iceServers: [] },
        }),
        pull: {},
        push: {},
      });
      pool.error$.subscribe((/** @type {any} */ error) => globals.problems.push(error.message));
      globals.pool = pool;
    },
    { id, signalingServerUrl, topic },
  );

/** Writes a document. @param {Page} page @param {string} id */
export const write = (page, id) =>
  page.evaluate((id) => /** @type {any} */ (globalThis).heroes.insert({ id }), id);

/**
 * Waits until a page has exactly the documents with these ids.
 * @param {Page} page
 * @param {string[]} ids
 */
export const has = (page, ids) =>
  until(
    page,
    `the page has the documents ${ids}`,
    (ids) => /** @type {any} */ (globalThis).found?.join() === ids,
    [...ids].sort().join(),
    CONNECTION_PATIENCE,
  );
