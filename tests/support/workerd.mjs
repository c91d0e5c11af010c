// @ts-check
/**
 * One workerd process on loopback that runs the built worker, once for each set of settings.
 *
 * Every instance has a port, bindings and Durable Objects of its own, so a test file needs one
 * process however many settings it tries. Requests reach the worker directly: no proxy stands in
 * between that could mend or change a frame. It does not build: `node scripts/build.mjs` does.
 */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { Log, LogLevel, Miniflare } from 'miniflare';

const ROOT = new URL('../../', import.meta.url);
const BUILD = new URL('build/release/', ROOT);

/** @typedef {Record<string, string>} Settings */
/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {http.IncomingHttpHeaders} headers
 * @property {string} text
 */

/**
 * The settings that ship, and the date and flags the platform is asked for: read, so that they
 * cannot drift.
 */
function shipped() {
  const toml = readFileSync(new URL('wrangler.toml', ROOT), 'utf8');
  const date = /^compatibility_date\s*=\s*"([^"]+)"/m.exec(toml)?.[1];
  if (!date) throw new Error('wrangler.toml names no compatibility_date');
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

/** One worker with settings of its own. */
export class Server {
  /** @param {number} port */
  constructor(port) {
    this.port = port;
    this.host = `127.0.0.1:${port}`;
    this.origin = `http://${this.host}`;
  }

  /**
   * A plain HTTP request. The path goes out as it is written: nothing is normalised or encoded on
   * the way.
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
        request.destroy(new Error(`${method} ${path}: no answer in 20 s`)),
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  /**
   * The same for a WebSocket upgrade that is expected to be refused, or only looked at.
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

  /** What the room says of itself, as JSON. @param {string} room @returns {Promise<any>} */
  async status(room) {
    const { status, text } = await this.request(`/parties/main/${encodeURIComponent(room)}`);
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
 * @template {string} Name
 * @param {Record<Name, Settings>} instances the settings of each instance, over those that ship
 * @param {{ preventEviction?: boolean, persist?: string, assets?: boolean, verbose?: boolean,
 *   around?: string, log?: (text: string) => void }} [options] `around` is a module that stands
 *   around ours, which it imports from `./index.js`; `log` gets what the Workers log
 * @returns {Promise<Workerd<Name>>}
 */
export async function startWorkerd(
  instances,
  { preventEviction, persist, assets, verbose, around, log } = {},
) {
  const { date, flags, vars, ratelimits } = shipped();
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
        if (verbose) stream.pipe(process.stderr, { end: false });
        if (log) stream.setEncoding('utf8').on('data', log);
      }
    },
    durableObjectsPersist: persist,
    workers: names.map((name) => ({
      name,
      modulesRoot: fileURLToPath(BUILD),
      modules: [
        ...(around ? [{ ...esModule('around.js'), contents: around }] : []),
        esModule('index.js'),
        { type: 'CompiledWasm', path: fileURLToPath(new URL('rust_bg.wasm', BUILD)) },
      ],
      compatibilityDate: date,
      compatibilityFlags: flags,
      bindings: { ...vars, ...instances[name] },
      ratelimits,
      durableObjects: {
        ROOM: { className: 'Room', useSQLite: true, unsafePreventEviction: preventEviction },
      },
      ...(assets
        ? {
            assets: {
              directory: fileURLToPath(new URL('public/', ROOT)),
              workerName: name,
              routerConfig: { has_user_worker: true },
            },
          }
        : {}),
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    })),
  });
  await miniflare.ready;
  const mine = children().filter((child) => !before.has(child));
  const at = /** @type {Record<Name, Server>} */ ({});
  for (const name of names)
    at[name] = new Server(Number((await miniflare.unsafeGetDirectURL(name)).port));

  return {
    at,
    stop: async () => {
      // dispose() waits for ever when the isolate is dead
      const patience = setTimeout(() => mine.forEach((child) => child.kill('SIGKILL')), 5000);
      await miniflare.dispose();
      clearTimeout(patience);
      mine.forEach((child) => child.kill('SIGKILL'));
    },
  };
}

/** All that is deployed, the page with it, with the settings that ship. */
export class Deployed {
  /** @type {Workerd<'main'> | undefined} */
  #workerd;

  async start() {
    this.#workerd = await startWorkerd({ main: {} }, { assets: true });
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
 * The workerd processes that this process has started.
 * @returns {import('node:child_process').ChildProcess[]}
 */
function children() {
  const handles = /** @type {any[]} */ (/** @type {any} */ (process)._getActiveHandles());
  return handles.filter(
    (handle) => typeof handle?.spawnfile === 'string' && handle.spawnfile.includes('workerd'),
  );
}
