// @ts-check
/**
 * `npm run bench -- --profile`: what a signal and a join are made of, layer by layer, for ours
 * beside the others in workerd. It is what tells a cost of ours from one of the platform's.
 *
 * The samples are those of Linux's `perf`; without it there is no profile. Shares of a layer are of
 * all that was sampled, and the CPU time they are shares of was measured in the same run.
 */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root, stop, tell } from '../../scripts/run.mjs';
import { median, short, table } from './figures.mjs';
import { KINDS, start } from './servers.mjs';

const DATA = join(root, 'target', 'bench', 'perf.data');

/**
 * The layers, each with what tells it in a stack, which has the innermost function in its first
 * line: the first layer that a stack shows is the one that it counts for.
 * @type {[name: string, tell: (stack: string) => boolean][]}
 */
const LAYERS = [
  [
    'compiling what is called often',
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
    'the object of a room, started and kept',
    (stack) => /Actor::Actor|ActorContainer|Sqlite|sqlite3/.test(stack),
  ],
  ['sending, in workerd', (stack) => /api::WebSocket::send/.test(stack)],
  ['our Rust', (stack) => innermost(stack).includes('wasm-function')],
  ['calls out of Rust, texts carried over', (stack) => stack.includes('wasm-function')],
  ['JavaScript, and what it calls', (stack) => innermost(stack) !== ''],
  ['workerd around all of this', () => true],
];

/**
 * The innermost function in a stack that V8 has compiled: what workerd does is theirs who called it.
 * @param {string} stack
 */
const innermost = (stack) => /^JS:.*/m.exec(stack)?.[0] ?? '';

/** @typedef {ReturnType<typeof import('./load.mjs').startLoad>} Load */
/** @typedef {import('./servers.mjs').Server} Server */

/** What is profiled, and which samples are of something else. */
const WORK = [
  {
    title: 'a signal of 1.5 KB, µs',
    ask: { measure: 'signals', kind: 'offer', rooms: 50, each: 80 },
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
    return 'No profile: Linux has `perf` for that, which is not here.';
  /** @type {Server[]} */
  const servers = [];
  // The flag has V8 write the names of functions that it compiles, to /tmp.
  for (const name of Object.keys(KINDS))
    if (KINDS[name].workerd) servers.push(await start(name, ['--perf-basic-prof']));
  const tables = [];
  for (const work of WORK) {
    tell(`a profile of ${work.title}`);
    const columns = await layers(load, servers, work);
    const rows = [...LAYERS.map(([layer]) => layer), 'in all'];
    const lines = rows.map((layer) => [
      layer,
      ...columns.map((column) => short(column[layer] ?? 0)),
    ]);
    tables.push(table([work.title, ...servers.map(({ name }) => KINDS[name].label)], lines));
  }
  for (const server of servers) {
    await server.stop();
    rmSync(`/tmp/perf-${server.pid}.map`, { force: true });
  }
  rmSync(DATA, { force: true });
  return tables.join('\n\n');
}

/**
 * How much of each server's time goes where, in microseconds. They take turns every few
 * milliseconds.
 * @param {Load} load
 * @param {Server[]} servers
 * @param {typeof WORK[0]} work
 */
async function layers(load, servers, work) {
  const addresses = servers.map(({ pid, port, speech }) => ({ pid, port, speech }));
  const ask = () => load.ask(work.ask.measure, { servers: addresses, ...work.ask });
  // What is called often is compiled by then.
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
    stop('`perf` may not look at processes here: see /proc/sys/kernel/perf_event_paranoid.');
  perf.kill('SIGINT');
  await gone;
  /** @type {Record<string, number>[]} */
  const counts = servers.map(() => ({}));
  for await (const { pid, stack } of samples()) {
    const place = servers.findIndex((server) => server.pid === pid);
    const layer = LAYERS.find(([, tells]) => tells(stack))?.[0] ?? '';
    if (!work.other.test(stack)) counts[place][layer] = (counts[place][layer] ?? 0) + 1;
  }
  return counts.map((layers, place) => {
    const all = Object.values(layers).reduce((sum, count) => sum + count, 0);
    const cost = median(results.map((round) => round[place][work.figure]));
    const shares = Object.entries(layers).map(([layer, count]) => [layer, (count / all) * cost]);
    return { ...Object.fromEntries(shares), 'in all': cost };
  });
}

/** What was sampled: a process, and its stack with a function in each line. */
async function* samples() {
  const script = spawn('perf', ['script', '-i', DATA, '-F', 'pid,ip,sym'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let pid = 0;
  /** @type {string[]} */
  let stack = [];
  for await (const line of createInterface(script.stdout)) {
    // A number in a line of its own begins one, an empty line ends it.
    if (/^ *\d+ *$/.test(line)) pid = Number(line);
    else if (line.trim()) stack.push(line.trim().replace(/^[0-9a-f]+ /, ''));
    else if (stack.length) {
      yield { pid, stack: stack.join('\n') };
      stack = [];
    }
  }
}
