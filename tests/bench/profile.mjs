// @ts-check
/**
 * `npm run bench -- --profile` divides the CPU time of a signal and a join into layers, for
 * partyline and the other servers in workerd. The layers separate the cost of our code from the
 * cost of the platform.
 *
 * Linux's `perf` takes the samples. The time of a layer is its share of the samples, multiplied by
 * the CPU time that was measured in the same run.
 */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root, stop, tell } from '../../scripts/run.mjs';
import { median, short, table } from './figures.mjs';
import { SERVERS, start } from './servers.mjs';

const DATA = join(root, 'target', 'bench', 'perf.data');

/**
 * The layers, each with a function that recognizes its stacks. The first line of a stack contains
 * the innermost function. A sample counts for the first layer that matches its stack.
 * @type {[name: string, matches: (stack: string) => boolean][]}
 */
const LAYERS = [
  [
    'compiling hot code',
    (stack) => /wasm::\S*Compil|OptimizingCompile|Pipeline::|CompileLazy|Compiler::/.test(stack),
  ],
  [
    'collecting garbage',
    (stack) =>
      /CollectGarbage|MinorGC|ConcurrentMarking|Scaveng|Sweep|FinalizationRegistry/.test(stack),
  ],
  [
    'the network, in the kernel',
    (stack) => /\b(tcp|inet|sock|epoll|ep)_|__napi|sys_accept/.test(stack),
  ],
  [
    'starting and keeping the Durable Object',
    (stack) => /Actor::Actor|ActorContainer|Sqlite|sqlite3/.test(stack),
  ],
  ['sending, in workerd', (stack) => /api::WebSocket::send/.test(stack)],
  ['our Rust', (stack) => innermost(stack).includes('wasm-function')],
  ['calls from Rust to JavaScript, strings copied', (stack) => stack.includes('wasm-function')],
  ['JavaScript and its callees', (stack) => innermost(stack) !== ''],
  ['the rest of workerd', () => true],
];

/**
 * Returns the innermost function in the stack that V8 has compiled (JavaScript or WebAssembly), or
 * an empty string. Samples in workerd's own functions count for the compiled function that called
 * workerd.
 * @param {string} stack
 */
const innermost = (stack) => /^JS:.*/m.exec(stack)?.[0] ?? '';

/** @typedef {ReturnType<typeof import('./load.mjs').startLoad>} Load */
/** @typedef {import('./servers.mjs').Server} Server */

/** The profiled measurements. A sample does not count if its stack matches `other`. */
const WORK = [
  {
    title: 'a signal of 1.5 KB, µs',
    ask: { measure: 'signals', signalType: 'offer', rooms: 50, each: 80 },
    figure: 'cpu',
    other:
      /GlobalScope::request|Actor::Actor|WorkerEntrypoint|Connection::loop|HibernatableWebSocketClose/,
  },
  {
    title: 'a join, µs',
    ask: { measure: 'connections', rooms: 80 },
    figure: 'join',
    other: /sendHibernatable|HibernationManager|Actor::~Actor|WebSocketPipe/,
  },
];

/** @param {Load} load */
export async function profile(load) {
  if (spawnSync('perf', ['--version']).status !== 0)
    return 'No profile: `perf` is not installed. Install the Linux perf tools.';
  /** @type {Server[]} */
  const servers = [];
  // With `--perf-basic-prof`, V8 writes the names of compiled functions to /tmp, where perf reads
  // them.
  for (const name of Object.keys(SERVERS))
    if (SERVERS[name].workerd) servers.push(await start(name, ['--perf-basic-prof']));
  const tables = [];
  for (const work of WORK) {
    tell(`a profile of ${work.title}`);
    const columns = await layers(load, servers, work);
    const rows = [...LAYERS.map(([layer]) => layer), 'total'];
    const lines = rows.map((layer) => [
      layer,
      ...columns.map((column) => short(column[layer] ?? 0)),
    ]);
    tables.push(table([work.title, ...servers.map(({ name }) => SERVERS[name].label)], lines));
  }
  for (const server of servers) {
    await server.stop();
    rmSync(`/tmp/perf-${server.pid}.map`, { force: true });
  }
  rmSync(DATA, { force: true });
  return tables.join('\n\n');
}

/**
 * Returns the time that each server spends in each layer, in microseconds. The load generator
 * measures the servers alternately, for a few milliseconds each.
 * @param {Load} load
 * @param {Server[]} servers
 * @param {typeof WORK[0]} work
 */
async function layers(load, servers, work) {
  const addresses = servers.map(({ pid, port, protocol }) => ({ pid, port, protocol }));
  const ask = () => load.ask(work.ask.measure, { servers: addresses, ...work.ask });
  // After these rounds, V8 has compiled hot code, so the samples contain little compilation.
  for (let round = 0; round < 10; round++) await ask();
  const pids = servers.map(({ pid }) => pid).join(',');
  const perf = spawn('perf', ['record', '-F', '2000', '-g', '-p', pids, '-o', DATA], {
    stdio: 'ignore',
  });
  const gone = once(perf, 'exit');
  /** @type {any[][]} */
  const results = [];
  for (let round = 0; round < 15; round++) results.push(await ask());
  if (perf.exitCode !== null)
    stop(
      '`perf` has no permission to sample processes. As root, set ' +
        '/proc/sys/kernel/perf_event_paranoid to 1 or less.',
    );
  perf.kill('SIGINT');
  await gone;
  /** @type {Record<string, number>[]} */
  const counts = servers.map(() => ({}));
  for await (const { pid, stack } of samples()) {
    const place = servers.findIndex((server) => server.pid === pid);
    const layer = LAYERS.find(([, matches]) => matches(stack))?.[0] ?? '';
    if (!work.other.test(stack)) counts[place][layer] = (counts[place][layer] ?? 0) + 1;
  }
  return counts.map((layers, place) => {
    const all = Object.values(layers).reduce((sum, count) => sum + count, 0);
    const cost = median(results.map((round) => round[place][work.figure]));
    const shares = Object.entries(layers).map(([layer, count]) => [layer, (count / all) * cost]);
    return { ...Object.fromEntries(shares), total: cost };
  });
}

/** Yields the samples. Each has a process id, and a stack with one function per line. */
async function* samples() {
  const script = spawn('perf', ['script', '-i', DATA, '-F', 'pid,ip,sym'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let pid = 0;
  /** @type {string[]} */
  let stack = [];
  for await (const line of createInterface(script.stdout)) {
    // A sample begins with a line that contains only the process id, and ends with an empty line.
    if (/^ *\d+ *$/.test(line)) pid = Number(line);
    else if (line.trim()) stack.push(line.trim().replace(/^[0-9a-f]+ /, ''));
    else if (stack.length) {
      yield { pid, stack: stack.join('\n') };
      stack = [];
    }
  }
}
