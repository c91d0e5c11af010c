// @ts-check
/** Starts the measured servers. Each server is a process on loopback, without a proxy. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildSync } from 'esbuild';
import { root } from '../../scripts/run.mjs';

const HERE = join(root, 'tests', 'bench', 'servers');
const BUILD = join(root, 'build', 'release');
/** The folder for temporary files of a run. */
const SCRATCH = join(root, 'target', 'bench');
/**
 * The folder for the storage of the servers, in memory if possible. Creating a room's file on disk
 * costs the same for all servers, and would hide the differences between the servers.
 */
const DISKS = join(existsSync('/dev/shm') ? '/dev/shm' : SCRATCH, `partyline-${process.pid}`);

/** The folder with programs that `cargo install` builds for the benchmarks. */
export const TOOLS = join(SCRATCH, 'tools');
const MATCHBOX = join(TOOLS, 'bin', 'matchbox_server');

/**
 * @typedef {object} ServerType
 * @property {string} label
 * @property {string} protocol the protocol that the load generator uses for this server
 * @property {boolean} workerd whether the server runs in workerd, where rooms hibernate
 * @property {(folder: string, v8Flags: string[]) => Promise<Started>} run
 */

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */
/** @typedef {{ child: ChildProcess, port: number, since: number }} Started */

/**
 * @typedef {object} Server
 * @property {string} name
 * @property {number} pid
 * @property {number} port
 * @property {string} protocol
 * @property {number} coldStart milliseconds from the start of the process to its first response
 * @property {() => Promise<void>} stop
 */

/**
 * All measured servers, in the order of the report's columns.
 * @type {Record<string, ServerType>}
 */
export const SERVERS = {
  ours: {
    label: 'partyline',
    protocol: 'native',
    workerd: true,
    run: (folder, flags) => workerd(folder, flags, 'ROOM', ours),
  },
  floor: {
    label: 'floor object',
    protocol: 'floor',
    workerd: true,
    run: (folder, flags) => workerd(folder, flags, 'ROOM', bundled('floor')),
  },
  object: {
    label: 'JavaScript object',
    protocol: 'native',
    workerd: true,
    run: (folder, flags) => workerd(folder, flags, 'ROOM', bundled('object')),
  },
  party: {
    label: 'partyserver',
    protocol: 'native',
    workerd: true,
    run: (folder, flags) => workerd(folder, flags, 'Main', bundled('party')),
  },
  peer: {
    label: 'PeerServer',
    protocol: 'peer',
    workerd: false,
    run: () =>
      node('node_modules/peer/dist/bin/peerjs.js', (port) => [
        '--port',
        `${port}`,
        '--host',
        '127.0.0.1',
        '--alive_timeout',
        '600000',
      ]),
  },
  topic: {
    label: 'y-webrtc',
    protocol: 'topic',
    workerd: false,
    run: () => node('node_modules/y-webrtc/bin/server.js', () => []),
  },
};

/**
 * The own servers of other clients, which only clients.mjs measures.
 * @type {Record<string, ServerType>}
 */
export const CLIENT_SERVERS = {
  tracker: {
    label: 'bittorrent-tracker',
    protocol: 'tracker',
    workerd: false,
    run: () => node('tests/bench/clients/tracker.mjs', (port) => [`${port}`]),
  },
  matchbox: {
    label: 'matchbox_server',
    protocol: 'matchbox',
    workerd: false,
    run: async () => {
      const port = await freePort();
      const args = [`127.0.0.1:${port}`];
      return { port, since: performance.now(), child: spawn(MATCHBOX, args, { stdio: 'ignore' }) };
    },
  },
  rxdb: {
    label: 'signaling server of RxDB',
    protocol: 'rxdb',
    workerd: false,
    run: () => node('tests/bench/clients/rxdb.mjs', (port) => [`${port}`]),
  },
};

/**
 * Settings with short timeouts. With the defaults, removing a disconnected peer takes up to 40 s.
 */
const SHORT_TIMEOUTS = { PING_INTERVAL: '1', RECONNECT_GRACE: '1' };

/**
 * Our Worker with counters of the billed operations. cost.mjs uses it, but no benchmark measures
 * it.
 */
const COUNTED = {
  ...SERVERS.ours,
  run: (/** @type {string} */ folder) => workerd(folder, [], 'ROOM', counted, SHORT_TIMEOUTS),
};

/**
 * Starts a server with its own process and storage.
 * @param {string} name
 * @param {string[]} [v8Flags]
 * @param {string} [instance] a name of the process, which two processes at the same time do not share
 * @returns {Promise<Server>}
 */
export async function start(name, v8Flags = [], instance = name) {
  const folder = join(SCRATCH, instance);
  for (const empty of [folder, join(DISKS, instance)]) {
    rmSync(empty, { recursive: true, force: true });
    mkdirSync(empty, { recursive: true });
  }
  const { protocol, workerd, run } = SERVERS[name] ?? CLIENT_SERVERS[name] ?? COUNTED;
  const { child, port, since } = await run(folder, v8Flags);
  running.add(child);
  // In workerd, the first request goes to a room, so that a cold start includes the Durable Object.
  await answers(port, workerd ? '/parties/main/cold' : '/');
  return {
    name,
    port,
    protocol,
    pid: child.pid ?? 0,
    coldStart: performance.now() - since,
    stop: async () => {
      const exited =
        child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGKILL');
      await exited;
      running.delete(child);
    },
  };
}

/**
 * Waits until the server responds.
 * @param {number} port
 * @param {string} path
 * @returns {Promise<void>}
 */
async function answers(port, path) {
  for (const late = performance.now() + 20_000; performance.now() < late;) {
    const answered = await new Promise((resolve) => {
      const request = get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
        response.resume().on('end', () => resolve(true));
      });
      request.on('error', () => resolve(false));
    });
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`the server sent no response for ${path} within 20 s`);
}

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.on('exit', () => {
  running.forEach((child) => child.kill('SIGKILL'));
  rmSync(DISKS, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/**
 * The files of a Worker, by module name. The first module is the entry point.
 * @typedef {Record<string, string>} Modules
 */

/** @returns {Modules} */
function ours() {
  return { 'index.js': join(BUILD, 'index.js'), 'rust_bg.wasm': join(BUILD, 'rust_bg.wasm') };
}

/** @returns {Modules} */
function counted() {
  return { 'counted.js': join(HERE, 'counted.js'), ...ours() };
}

/** @param {string} name @returns {() => Modules} */
function bundled(name) {
  return () => {
    const outfile = join(SCRATCH, `${name}.js`);
    const entryPoints = [join(HERE, `${name}.js`)];
    buildSync({
      entryPoints,
      outfile,
      bundle: true,
      format: 'esm',
      minify: true,
      external: ['cloudflare:workers'],
      logLevel: 'error',
    });
    return { 'index.js': outfile };
  };
}

/**
 * Starts workerd with one Worker and one Durable Object class.
 * @param {string} folder the working directory
 * @param {string[]} v8Flags
 * @param {string} binding the name of the Durable Object binding
 * @param {() => Modules} modules
 * @param {Record<string, string>} [vars]
 */
async function workerd(folder, v8Flags, binding, modules, vars = {}) {
  const listed = Object.entries(modules()).map(([name, file]) => {
    copyFileSync(file, join(folder, name));
    return `(name = "${name}", ${name.endsWith('.wasm') ? 'wasm' : 'esModule'} = embed "${name}")`;
  });
  const date = /^compatibility_date = "(.+)"/m.exec(
    readFileSync(join(root, 'wrangler.toml'), 'utf8'),
  )?.[1];
  writeFileSync(
    join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = [${v8Flags.map((flag) => `"${flag}"`).join(', ')}],
  services = [
    (name = "worker", worker = .worker),
    (name = "disk", disk = (path = "${join(DISKS, basename(folder))}", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "worker")],
);
const worker :Workerd.Worker = (
  modules = [${listed.join(', ')}],
  compatibilityDate = "${date}",
  bindings = [
    (name = "${binding}", durableObjectNamespace = "Room"),
${Object.entries({ MAX_PEERS: '16384', ...vars })
  .map(([name, text]) => `    (name = "${name}", text = "${text}"),`)
  .join('\n')}
  ],
  durableObjectNamespaces = [(className = "Room", uniqueKey = "room", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
);
`,
  );
  const since = performance.now();
  const child = spawn(
    join(
      root,
      'node_modules',
      '@cloudflare',
      `workerd-${process.platform}-${process.arch === 'x64' ? '64' : process.arch}`,
      'bin',
      'workerd',
    ),
    ['serve', 'config.capnp', '--control-fd=3'],
    { cwd: folder, stdio: ['ignore', 'inherit', 'inherit', 'pipe'] },
  );
  const control = /** @type {import('node:stream').Readable} */ (child.stdio[3]);
  for await (const line of createInterface(control)) {
    const { event, port } = JSON.parse(line);
    if (event === 'listen') return { child, since, port: Number(port) };
  }
  throw new Error(
    'workerd exited before it listened on a port. See its output above for the cause.',
  );
}

/**
 * @param {string} script a path in the repository
 * @param {(port: number) => string[]} args
 */
async function node(script, args) {
  const port = await freePort();
  const since = performance.now();
  const child = spawn(process.execPath, [join(root, script), ...args(port)], {
    env: { ...process.env, PORT: `${port}`, HOST: '127.0.0.1', NODE_ENV: 'production' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return { child, since, port };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}
