// @ts-check
/**
 * Runs the built Worker in one workerd process on loopback, with one instance for each set of
 * settings.
 *
 * Each instance has its own port, bindings and Durable Objects, so a test file needs only one
 * process. There is no proxy in front of the Worker, because a proxy might repair or change frames.
 * This module builds the static files, but not the Worker: run `npm run build` first.
 */
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { Log, LogLevel, Miniflare } from 'miniflare';
import { buildSite, SITE } from '../../scripts/site.mjs';
import { within } from './peer.mjs';

const ROOT = new URL('../../', import.meta.url);
const BUILD = new URL('build/release/', ROOT);
/**
 * The timeout for the start of workerd in milliseconds. A start takes much less on two busy cores.
 */
const START_TIMEOUT = 30_000;
/**
 * The duration of a wait for an eviction, in milliseconds: 2.5 s longer than an idle object stays in
 * memory.
 */
export const IDLE = 12_500;

/**
 * Adds the class `Engine` to an entry module that exports no class of this name. The import is dynamic,
 * because a static one would load our module before the code of the entry module runs.
 * @param {string} around
 */
const withEngine = (around) =>
  /export class Engine\b/.test(around)
    ? around
    : `${around}\nexport const { Engine } = await import('./index.js');`;

/** @typedef {Record<string, string>} Settings */
/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {http.IncomingHttpHeaders} headers
 * @property {string} text
 */

/** Reads the settings, rate limits, compatibility date and flags from `wrangler.toml`. */
function shipped() {
  const toml = readFileSync(new URL('wrangler.toml', ROOT), 'utf8');
  const date = /^compatibility_date\s*=\s*"([^"]+)"/m.exec(toml)?.[1];
  if (!date) throw new Error('wrangler.toml has no compatibility_date');
  const flags = /^compatibility_flags\s*=\s*\[([^\]]*)\]/m.exec(toml)?.[1] ?? '';
  const vars = /^\[vars\]\n([^[]*)/m.exec(toml)?.[1] ?? '';
  const limits = [
    ...toml.matchAll(
      /^\[\[ratelimits\]\]\nname = "(\w+)"\n.*\nsimple = \{ limit = (\d+), period = (\d+) \}/gm,
    ),
  ];
  return {
    date,
    ratelimits: Object.fromEntries(
      limits.map(([, name, limit, period]) => [
        name,
        { simple: { limit: Number(limit), period: /** @type {10 | 60} */ (Number(period)) } },
      ]),
    ),
    flags: [...flags.matchAll(/"([^"]+)"/g)].map((m) => m[1]),
    vars: Object.fromEntries(
      [...vars.matchAll(/^(\w+)\s*=\s*"([^"]*)"/gm)].map((m) => [m[1], m[2]]),
    ),
  };
}

/** @param {string} file */
function esModule(file) {
  return { type: /** @type {const} */ ('ESModule'), path: fileURLToPath(new URL(file, BUILD)) };
}

/** One instance of the Worker, with its own port. */
export class Server {
  /** @param {number} port */
  constructor(port) {
    this.port = port;
    this.host = `127.0.0.1:${port}`;
    this.origin = `http://${this.host}`;
  }

  /**
   * Sends an HTTP request. The path is sent unchanged, without normalization or encoding.
   * @param {string} path
   * @param {{ method?: string, headers?: Record<string, string>, body?: string }} [init]
   * @returns {Promise<Answer>}
   */
  request(path, { method = 'GET', headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
      const request = http.request({
        host: '127.0.0.1',
        port: this.port,
        path,
        method,
        headers,
        agent: false,
        timeout: 20_000,
      });
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
      });
      request.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: '' });
      });
      request.on('timeout', () =>
        request.destroy(new Error(`${method} ${path}: no response within 20 s`)),
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  /**
   * Requests a WebSocket upgrade and closes the connection after the response.
   * @param {string} path
   * @param {Record<string, string>} [headers]
   */
  upgrade(path, headers = {}) {
    return this.request(path, {
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
        ...headers,
      },
    });
  }

  /**
   * Reads the status of a room.
   * @param {string} room
   * @param {string} [token] without it, a server that requires tokens hides the number of peers
   * @param {string} [dialect] without it, the status is that of the party family
   * @returns {Promise<any>}
   */
  async status(room, token, dialect) {
    const path = `/parties/main/${encodeURIComponent(room)}${dialect ? `/${dialect}` : ''}`;
    const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
    const { status, text } = await this.request(path, { headers });
    if (status !== 200) throw new Error(`room ${room}: ${status} ${text}`);
    return JSON.parse(text);
  }
}

/**
 * @template {string} Name
 * @typedef {object} Workerd
 * @property {Record<Name, Server>} at
 * @property {() => Promise<void>} stop
 */

/**
 * @typedef {object} StartOptions
 * @property {string} [persist] the folder for the storage of the Durable Objects
 * @property {boolean} [assets] whether to serve the files of `public/`, too
 * @property {string} [around] the source of an entry module that wraps our module `./index.js`
 * @property {(text: string) => void} [log] a callback for the output of workerd
 * @property {Record<string, number>} [limits] the requests that each rate limit allows in a minute.
 *   Default: the limits in `wrangler.toml`
 */

/**
 * Starts one workerd process with an instance of the Worker for each set of settings.
 * @template {string} Name
 * @param {Record<Name, Settings>} instances settings that override `wrangler.toml`
 * @param {StartOptions} [options]
 * @returns {Promise<Workerd<Name>>}
 */
export async function startWorkerd(instances, options) {
  assertBuilt();
  if (options?.assets) await buildSite();
  const started = lastStart.then(() => startNow(instances, options ?? {}));
  lastStart = started.catch(() => {});
  return started;
}

/**
 * The last call of `startWorkerd`. Each call waits for the previous call, because two concurrent
 * calls could not distinguish their workerd processes.
 */
let lastStart = /** @type {Promise<unknown>} */ (Promise.resolve());

/**
 * @template {string} Name
 * @param {Record<Name, Settings>} instances
 * @param {StartOptions} options
 * @returns {Promise<Workerd<Name>>}
 */
async function startNow(instances, { persist, assets, around, log, limits = {} }) {
  const { date, flags, vars, ratelimits } = shipped();
  for (const [name, limit] of Object.entries(limits)) ratelimits[name].simple.limit = limit;
  const names = /** @type {Name[]} */ (Object.keys(instances));
  const before = new Set(children());
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    cf: false,
    log: new Log(LogLevel.NONE),
    /** @param {import('node:stream').Readable} out @param {import('node:stream').Readable} err */
    handleRuntimeStdio: (out, err) => {
      for (const stream of [out, err]) {
        stream.resume();
        if (log) stream.setEncoding('utf8').on('data', log);
      }
    },
    durableObjectsPersist: persist,
    workers: names.map((name) => ({
      name,
      modulesRoot: fileURLToPath(BUILD),
      modules: [
        ...(around ? [{ ...esModule('around.js'), contents: withEngine(around) }] : []),
        esModule('index.js'),
        { type: 'CompiledWasm', path: fileURLToPath(new URL('rust_bg.wasm', BUILD)) },
      ],
      compatibilityDate: date,
      compatibilityFlags: flags,
      bindings: { ...vars, ...instances[name] },
      ratelimits,
      durableObjects: {
        ROOM: { className: 'Room', useSQLite: true },
        ENGINE: { className: 'Engine', useSQLite: true },
      },
      ...(assets
        ? {
            assets: {
              directory: SITE,
              workerName: name,
              routerConfig: { has_user_worker: true },
            },
          }
        : {}),
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    })),
  });
  /** The processes that this call has started. A later call may start other processes. */
  let mine = /** @type {ReturnType<typeof children>} */ ([]);
  const kill = () => mine.forEach((child) => child.kill('SIGKILL'));
  const stop = async () => {
    // dispose() never resolves if the isolate has crashed, so workerd is killed after 5 s.
    const timer = setTimeout(kill, 5000);
    await miniflare.dispose();
    clearTimeout(timer);
    kill();
  };

  try {
    await within(miniflare.ready, 'workerd starts', START_TIMEOUT).finally(
      () => (mine = children().filter((child) => !before.has(child))),
    );
    const at = /** @type {Record<Name, Server>} */ ({});
    for (const name of names)
      at[name] = new Server(Number((await miniflare.unsafeGetDirectURL(name)).port));
    return { at, stop };
  } catch (error) {
    // A running workerd would keep the test process alive until the runner kills it.
    kill();
    miniflare.dispose().catch(() => {});
    throw error;
  }
}

function assertBuilt() {
  for (const file of ['index.js', 'rust_bg.wasm'])
    if (!existsSync(new URL(file, BUILD)))
      throw new Error(
        `build/release/${file} does not exist. Run \`npm run build\` before the tests.`,
      );
}

/** A server with the Worker and the built-in page. */
export class Deployed {
  /** @type {Workerd<'main'> | undefined} */
  #workerd;
  #settings;

  /** @param {Record<string, string>} [settings] settings that differ from the defaults */
  constructor(settings = {}) {
    this.#settings = settings;
  }

  async start() {
    this.#workerd = await startWorkerd({ main: this.#settings }, { assets: true });
  }

  get server() {
    if (!this.#workerd) throw new Error('the server has not started');
    return this.#workerd.at.main;
  }

  get origin() {
    return this.#workerd?.at.main.origin ?? '';
  }

  get port() {
    return this.#workerd?.at.main.port ?? 0;
  }

  async stop() {
    await this.#workerd?.stop();
  }
}

/**
 * Returns the workerd processes that this process has started and that are still running.
 * @returns {import('node:child_process').ChildProcess[]}
 */
function children() {
  const handles = /** @type {any[]} */ (/** @type {any} */ (process)._getActiveHandles());
  return handles.filter(
    (handle) => typeof handle?.spawnfile === 'string' && handle.spawnfile.includes('workerd'),
  );
}
