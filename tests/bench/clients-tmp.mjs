// @ts-check
/**
 * Compares partyline with the own server of each client in docs/clients.md. The load generator sends
 * the frames of the client, without WebRTC.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { step, tell } from '../../scripts/run.mjs';
import { Figures, short, table } from './figures.mjs';
import { CLIENT_SERVERS, SERVERS, TOOLS, start } from './servers.mjs';

/** @typedef {import('./servers.mjs').Server} Server */
/** @typedef {ReturnType<typeof import('./load.mjs').startLoad>} Load */
/** @typedef {{ client: string, protocol: string, own?: string }} Client */

const MATCHBOX_SERVER = 'matchbox_server@0.15.0';

/**
 * The clients. `own` is the name of their own server in servers.mjs. The relay of trystero is in no
 * registry. A Nostr relay checks signatures and stores events, so a comparison would not be fair.
 * @type {Client[]}
 */
const CLIENTS0 = [
  { client: 'PeerJS', protocol: 'peer', own: 'peer' },
  { client: 'y-webrtc', protocol: 'topic', own: 'topic' },
  { client: 'trystero (ws-relay)', protocol: 'trystero' },
  { client: 'trystero (Nostr)', protocol: 'nostr' },
  { client: 'WebTorrent, trystero (torrent)', protocol: 'tracker', own: 'tracker' },
  { client: 'matchbox', protocol: 'matchbox', own: 'matchbox' },
  { client: 'RxDB', protocol: 'rxdb', own: 'rxdb' },
];

const CLIENTS = CLIENTS0.filter(({protocol}) => (process.env.ONLY ?? protocol).split(',').includes(protocol));
/** The columns of the table, by the name of the figure. */
const COLUMNS = {
  signal: 'message, CPU µs',
  p50: 'round trip, p50 µs',
  p99: 'round trip, p99 µs',
  joinTime: 'connect, p50 µs',
  join: 'connect, CPU µs',
  memory: 'memory, KiB',
  cpuPerMinute: 'idle minute, CPU µs',
};

/**
 * Returns the table and its figures.
 * @param {Load} load
 * @param {boolean} quick
 */
export async function clients(load, quick) {
  const measured = true
    ? CLIENTS
    : CLIENTS.map(({ own, ...rest }) => ({ ...rest, own: own === 'matchbox' ? undefined : own }));
  const figures = new Figures();
  for (const client of measured) await measureWork(load, figures, client, quick);
  await measureWaiting(load, figures, measured, quick);
  const lines = measured.flatMap((client) =>
    servers(client).map((name) => [
      client.client,
      (SERVERS[name] ?? CLIENT_SERVERS[name]).label,
      ...Object.keys(COLUMNS).map((row) => short(figures.median(row, key(client, name)))),
    ]),
  );
  return { text: table(['client', 'server', ...Object.values(COLUMNS)], lines), figures };
}

/** @param {Client} client */
const servers = ({ own }) => ['ours', ...(own ? [own] : [])];

/** @param {Client} client @param {string} server */
const key = ({ protocol }, server) => `${protocol} on ${server}`;

/** @param {Client} client @param {Server} server */
const address = ({ protocol }, { name, pid, port }) => ({
  pid,
  port,
  protocol,
  inRoom: name === 'ours',
});

/** Returns whether matchbox's server is installed. Installs it if necessary. */
async function hasMatchbox() {
  if (existsSync(join(TOOLS, 'bin', 'matchbox_server'))) return true;
  const command = ['cargo', 'install', '--locked', '--root', TOOLS, MATCHBOX_SERVER];
  return step('building the server of matchbox (once, about 3 minutes)', command);
}

/**
 * Measures messages and joins.
 * @param {Load} load
 * @param {Figures} figures
 * @param {Client} client
 * @param {boolean} quick
 */
async function measureWork(load, figures, client, quick) {
  tell(client.client);
  const started = await Promise.all(servers(client).map((name) => start(name)));
  for (let round = -1; round < (quick ? 1 : 3); round++) {
    // The order alternates, so that a server's position does not bias its figures.
    const order = round % 2 ? [...started].reverse() : started;
    const all = order.map((server) => address(client, server));
    /** @param {string} row @param {any[]} results @param {string} figure */
    const keep = (row, results, figure) => {
      if (round >= 0)
        order.forEach(({ name }, place) =>
          figures.add(row, key(client, name), results[place][figure]),
        );
    };
    const work = { servers: all, signalType: 'candidate', rooms: 20, each: 60 };
    const signals = await load.ask('signals', work);
    keep('signal', signals, 'cpu');
    keep('join', await load.ask('connections', { servers: all, rooms: 24 }), 'join');
    keep('joinTime', await load.ask('joins', { servers: all, rooms: 24 }), 'p50');
    // All servers get the same rate: half of the slower server's maximum rate.
    const perSecond = Math.min(...signals.map((/** @type {any} */ each) => each.perSecond)) / 2;
    const times = [];
    for (const server of all)
      times.push(await load.ask('latency', { server, perSecond, trips: 20 }));
    keep('p50', times, 'p50');
    keep('p99', times, 'p99');
  }
  await Promise.all(started.map((server) => server.stop()));
}

/**
 * Measures connections of which each sends only what its client sends while it waits, for a minute.
 * @param {Load} load
 * @param {Figures} figures
 * @param {Client[]} measured
 * @param {boolean} quick
 */
async function measureWaiting(load, figures, measured, quick) {
  const seconds = quick ? 20 : 60;
  tell(`idle connections (${seconds} s)`);
  const all = measured.flatMap((client) => servers(client).map((name) => ({ client, name })));
  const started = [];
  for (const { client, name } of all)
    started.push(await start(name, [], `${name}-${client.protocol}`));
  const addresses = started.map((server, place) => address(all[place].client, server));
  const results = await load.ask('waiting', { servers: addresses, rooms: 100, seconds });
  all.forEach(({ client, name }, place) => {
    for (const row of ['memory', 'cpuPerMinute'])
      figures.add(row, key(client, name), results[place][row]);
  });
  await Promise.all(started.map((server) => server.stop()));
}
