// @ts-check
/**
 * `npm run bench` compares partyline with other servers on this machine, in less than 10 minutes.
 * `npm run bench -- --quick` takes less than 2 minutes, but its figures are too noisy to publish.
 * `npm run bench -- --clients` compares partyline with the own server of each client in
 * docs/clients.md, in less than 5 minutes.
 * `npm run bench -- --round-trips` counts the round trips until a data channel is open, in less than 5
 * minutes.
 * `npm run bench -- --profile` divides the CPU time of a signal and a join into layers, in less
 * than 3 minutes.
 *
 * Each server is one process. The load generator measures the servers alternately within each
 * round, and the report contains the medians of all rounds. Absolute figures depend on the machine.
 * Ratios between servers are almost independent of the machine.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root, show, stop, tell } from '../../scripts/run.mjs';
import { setup } from '../../scripts/setup.mjs';

const quick = process.argv.includes('--quick');
const rounds = quick ? 2 : 5;
/** The factor that scales the amount of work in a round. */
const size = quick ? 0.4 : 1;

const start = Date.now();
const countsTrips = process.argv.includes('--round-trips');
await setup();
for (const command of [
  [process.execPath, 'scripts/build.mjs'],
  ...(countsTrips ? [] : [['cargo', 'build', '--release', '--example', 'load']]),
])
  if (!show(command)) stop(`\`${command.join(' ')}\` failed. See its output above for the cause.`);

if (countsTrips) {
  const { roundTrips } = await import('./round-trips.mjs');
  console.log(`\n${await roundTrips(quick)}\n`);
  process.exit();
}
// These modules are imported dynamically, because they import npm packages that setup() may
// install.
const { SERVERS, start: startServer } = await import('./servers.mjs');
const { startLoad } = await import('./load.mjs');
const { Figures, short, table } = await import('./figures.mjs');
const { growth } = await import('./growth.mjs');
const { cost } = await import('./cost.mjs');

/** @typedef {import('./servers.mjs').Server} Server */

const names = Object.keys(SERVERS);
const inWorkerd = names.filter((name) => SERVERS[name].workerd);
const load = startLoad();
if (process.argv.includes('--profile')) {
  const { profile } = await import('./profile.mjs');
  console.log(`\n${await profile(load)}\n`);
  load.stop();
  process.exit();
}
if (process.argv.includes('--clients')) {
  const { clients } = await import('./clients.mjs');
  console.log(`\n${(await clients(load, quick)).text}\n`);
  load.stop();
  process.exit();
}
const figures = new Figures();

/** @param {Server} server */
const address = ({ pid, port, protocol }) => ({ pid, port, protocol });

/**
 * Returns the order of the servers in a round. The order rotates, so that a server's position does
 * not bias its figures.
 * @param {number} round
 */
const turns = (round) => names.map((_, place) => names[(place + round) % names.length]);

await measureWork();
await measureHibernation();
const grown = await growth(load, inWorkerd, quick);
load.stop();
const costs = await cost(
  figures.median('setup', 'ours') ?? 0,
  figures.median('connectionKib', 'peer') ?? 0,
);
report();

/**
 * Measures the cost of signals, joins, leaves and connection setups, and the latency of signals.
 */
async function measureWork() {
  const servers = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await startServer(name)])),
  );
  for (let round = -1; round < rounds; round++) {
    tell(round < 0 ? 'warming up' : `round ${round + 1} of ${rounds}`);
    const order = turns(round + 1);
    const all = order.map((name) => address(servers[name]));
    /** @param {string} row @param {any[]} results @param {string} [figure] */
    const keep = (row, results, figure = 'cpu') => {
      if (round >= 0)
        order.forEach((name, place) => figures.add(row, name, results[place][figure]));
    };
    const [offer, candidate] = [
      await load.ask('signals', { servers: all, signalType: 'offer', rooms: 50, each: 80 * size }),
      await load.ask('signals', {
        servers: all,
        signalType: 'candidate',
        rooms: 50,
        each: 80 * size,
      }),
    ];
    const connections = await load.ask('connections', { servers: all, rooms: 40 * size });
    keep('offer', offer);
    keep('candidate', candidate);
    keep('join', connections, 'join');
    keep('leave', connections, 'leave');
    keep('setup', await load.ask('setups', { servers: all, count: 40 * size }));
    // Measures connection setups again, with several candidates in one frame, as room.js sends
    // them. The other servers do not support arrays of signals.
    const withLists = all.map((each, place) => ({ ...each, lists: order[place] === 'ours' }));
    keep('setupWithLists', await load.ask('setups', { servers: withLists, count: 40 * size }));
    const rates = candidate.map((/** @type {any} */ { perSecond }) => perSecond);
    // All servers get the same rate: half of the slowest server's maximum rate.
    const perSecond = Math.min(...rates) / 2;
    /** @type {any[]} */
    const times = [];
    for (const server of all)
      times.push(await load.ask('latency', { server, perSecond, trips: 30 * size }));
    keep('p50', times, 'p50');
    keep('p99', times, 'p99');
  }
  await Promise.all(Object.values(servers).map((server) => server.stop()));
}

/** Measures cold starts, memory per connection, and the memory and wake-up of hibernating rooms. */
async function measureHibernation() {
  for (let round = 0; round < (quick ? 2 : 3); round++) {
    tell(`hibernation, round ${round + 1}`);
    /** @type {Server[]} */
    const servers = [];
    for (const name of turns(round)) {
      const server = await startServer(name);
      figures.add('coldStart', name, server.coldStart);
      servers.push(server);
    }
    // workerd evicts a Durable Object that has been idle for 10 s.
    const results = await load.ask('idle', {
      servers: servers.map(address),
      rooms: 100,
      seconds: 12,
    });
    servers.forEach(({ name }, place) => {
      const { awakeKib, asleepKib, wake, wakeCpu } = results[place];
      figures.add('connectionKib', name, awakeKib / 2);
      if (!SERVERS[name].workerd) return;
      figures.add('asleepKib', name, asleepKib);
      figures.add('wake', name, wake.p50);
      figures.add('wakeCpu', name, wakeCpu);
    });
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/**
 * Returns a line for each target, which says whether the target is met.
 * @param {number} gzip the size of the compressed WebAssembly module in bytes
 */
function targets(gzip) {
  /** @type {[row: string, server: string, most: number][]} */
  const goals = [
    ['offer', 'floor', 1.05],
    ['offer', 'party', 0.8],
    ['join', 'floor', 1.1],
    ['join', 'party', 0.7],
    ['setupWithLists', 'party', 0.67],
  ];
  const lines = goals.map(([row, server, most]) => {
    const ratio = figures.ratio(row, 'ours', server) ?? Infinity;
    const name = `${row} to ${SERVERS[server].label}`;
    return `${ratio <= most ? '✓' : '✗'} ${name}: ${short(ratio)}, target ${most}`;
  });
  return [
    ...lines,
    `${gzip <= 150_000 ? '✓' : '✗'} wasm with gzip: ${short(gzip / 1000)} KB, target 150`,
  ];
}

function report() {
  const rows = {
    offer: 'a signal of 1.5 KB, µs',
    candidate: 'a signal of 200 bytes, µs',
    join: 'a join, µs',
    leave: 'a leave, µs',
    setup: 'a connection setup, µs',
    setupWithLists: 'a connection setup with lists (room.js), µs',
    p50: 'round trip at half load, p50, µs',
    p99: 'round trip at half load, p99, µs',
    connectionKib: 'memory per connection, KiB',
    asleepKib: 'memory per hibernating room of two, KiB',
    wake: 'first frame after eviction, µs',
    wakeCpu: 'first frame after eviction, CPU µs',
    coldStart: 'cold start, ms',
  };
  const others = inWorkerd.slice(1);
  const head = [
    '',
    ...names.map((name) => SERVERS[name].label),
    ...others.map((name) => `to ${SERVERS[name].label}`),
  ];
  const lines = Object.entries(rows).map(([row, label]) => [
    label,
    ...names.map((name) => short(figures.median(row, name))),
    ...others.map((name) => short(figures.ratio(row, 'ours', name))),
  ]);
  const wasm = readFileSync(join(root, 'build', 'release', 'rust_bg.wasm'));
  const bytes = { raw: wasm.length, gzip: gzipSync(wasm, { level: 9 }).length };
  console.log(`\n${table(head, lines)}\n`);
  for (const line of targets(bytes.gzip)) console.log(line);
  console.log(
    `\nSize of the Wasm module: ${short(bytes.raw / 1000)} KB, ${short(bytes.gzip / 1000)} KB with gzip.\n`,
  );
  console.log(`${grown.table}\n\n${costs.text}\n`);
  const folder = join(root, 'target', 'bench');
  mkdirSync(folder, { recursive: true });
  const all = {
    date: new Date().toISOString(),
    quick,
    rounds,
    figures,
    growth: grown.figures,
    wasm: bytes,
    costs,
  };
  writeFileSync(join(folder, 'report.json'), `${JSON.stringify(all, null, 1)}\n`);
  writeFileSync(join(folder, 'growth.svg'), grown.picture);
  const seconds = Math.round((Date.now() - start) / 1000);
  tell(`wrote report.json and growth.svg to target/bench after ${seconds} seconds`);
}
