// @ts-check
/**
 * Counts the round trips between a page that joins a room and its open data channel, for `room.js` and
 * other libraries. The first page is there already. Both pages reach the server through a proxy that
 * delays each direction. What remains without a delay is local work, which is no round trip.
 *
 * The proxy does not delay TCP handshakes, and there is no TLS. A cold connection to a distant server
 * needs one round trip for TCP and one for TLS 1.3 in addition, with every library. There are no ICE
 * servers, and the packets between the pages are not delayed.
 */

import net from 'node:net';
import { once } from 'node:events';
import { build } from 'esbuild';
import { root, tell } from '../../scripts/run.mjs';
import { Pages } from '../support/chromium.mjs';
import { Site } from '../support/site.mjs';
import { Figures, table } from './figures.mjs';
import { start as startServer } from './servers.mjs';

/** Delays of one direction in milliseconds. */
const DELAYS = [0, 10, 50, 150];
const ROUNDS = 7;

/**
 * The libraries, and the server that each one uses.
 * @type {Record<string, { label: string, server: 'ours' | 'peer' }>}
 */
const LIBRARIES = {
  room: { label: 'room.js', server: 'ours' },
  peerjs: { label: 'PeerJS, with an id, and PeerServer', server: 'peer' },
  simple: { label: 'simple-peer, recipe of clients.md', server: 'ours' },
  trystero: { label: 'trystero (nostr), partyline as the relay', server: 'ours' },
};

/** Returns the table. @param {boolean} quick */
export async function roundTrips(quick) {
  const servers = { ours: await startServer('ours'), peer: await startServer('peer') };
  const site = new Site();
  const pages = new Pages(site);
  const figures = new Figures();
  try {
    await site.start();
    await pages.start();
    const script = await bundle();
    for (const delay of DELAYS) {
      const proxies = {
        ours: await delayed(servers.ours.port, delay),
        peer: await delayed(servers.peer.port, delay),
      };
      tell(`a delay of ${delay} ms`);
      for (let round = -1; round < (quick ? 2 : ROUNDS); round++) {
        for (const [name, { server }] of Object.entries(LIBRARIES)) {
          const [first, second] = await pages.pair();
          for (const page of [first, second]) await page.addScriptTag({ content: script });
          const { port } = /** @type {net.AddressInfo} */ (proxies[server].address());
          const room = `${name}-${delay}-${round + 1}`;
          const args = /** @type {const} */ ([name, port, room]);
          await first.evaluate(
            ([name, port, room]) => /** @type {any} */ (globalThis).wait[name](port, room),
            args,
          );
          const time = await second.evaluate(
            ([name, port, room]) => /** @type {any} */ (globalThis).connect[name](port, room),
            args,
          );
          if (round >= 0) figures.add(String(delay), name, time);
          await pages.tidy();
        }
      }
      for (const proxy of Object.values(proxies)) proxy.close();
    }
  } finally {
    await pages.stop();
    site.stop();
    await Promise.all(Object.values(servers).map((server) => server.stop()));
  }
  return report(figures);
}

/** @param {Figures} figures */
function report(figures) {
  const head = ['', ...DELAYS.map((delay) => (delay ? `${2 * delay} ms` : 'no delay'))];
  const rows = Object.entries(LIBRARIES).map(([name, { label }]) => {
    const local = figures.median('0', name) ?? NaN;
    const cells = DELAYS.map((delay) => {
      const time = figures.median(String(delay), name) ?? NaN;
      const trips = (time - local) / (2 * delay);
      return `${Math.round(time)} ms${delay ? `, ${trips.toFixed(2)} RTT` : ''}`;
    });
    return [label, ...cells];
  });
  return table(head, [...rows, ['the least possible', '', '2 RTT', '2 RTT', '2 RTT']]);
}

/** Starts a proxy that delays each direction. @param {number} port @param {number} delay */
async function delayed(port, delay) {
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.setNoDelay(true);
      // Timers of the same delay fire in the order in which they were set.
      from.on('data', (bytes) => void setTimeout(() => to.write(bytes), delay));
      from.on('close', () => setTimeout(() => to.destroy(), delay));
      from.on('error', () => {});
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Returns a script that defines `wait` and `connect` in a page. */
async function bundle() {
  const { outputFiles } = await build({
    stdin: {
      contents: `
        import { Room } from './public/room.js';
        import { Peer } from 'peerjs';
        import SimplePeer from 'simple-peer/simplepeer.min.js';
        import { joinRoom } from '@trystero-p2p/nostr';
        export const libraries = { Room, Peer, SimplePeer, joinRoom };
        globalThis.libraries = libraries;
        (${install})();`,
      resolveDir: root,
    },
    bundle: true,
    write: false,
    format: 'iife',
    define: { global: 'globalThis', 'process.env': '{}', 'process.browser': 'true' },
    logLevel: 'silent',
  });
  return outputFiles[0].text;
}

/** Runs in a page. Each function of `connect` resolves to milliseconds. */
function install() {
  const { Room, Peer, SimplePeer, joinRoom } = /** @type {any} */ (globalThis).libraries;
  const iceServers = /** @type {never[]} */ ([]);
  /** @type {(port: number, id: string) => any} */
  const peerjs = (port, id) =>
    new Peer(id, { host: '127.0.0.1', port, path: '/', config: { iceServers } });
  /** @type {(port: number, room: string) => any} */
  const room = (port, room) => new Room(room, { host: `127.0.0.1:${port}`, iceServers });
  /** The recipe of docs/clients.md. @type {(port: number, room: string, open?: () => void) => any} */
  const simple = (port, room, open = () => {}) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/parties/main/${room}`);
    /** @type {Record<string, any>} */
    const peers = {};
    const connect = (/** @type {string} */ id, /** @type {boolean} */ initiator) =>
      (peers[id] = new SimplePeer({ initiator, config: { iceServers } })
        .on('signal', (/** @type {any} */ payload) =>
          socket.send(JSON.stringify({ type: 'signal', to: id, payload })),
        )
        .on('connect', open));
    socket.onmessage = ({ data }) => {
      const { type, from, payload, peers: others } = JSON.parse(data);
      if (type === 'welcome')
        for (const { id, polite } of others) peers[id] ?? connect(id, !polite);
      if (type === 'signal') (peers[from] ?? connect(from, false)).signal(payload);
    };
    return socket;
  };
  /** @type {(port: number, room: string) => any} */
  const trystero = (port, room) =>
    joinRoom(
      {
        appId: 'bench',
        rtcConfig: { iceServers },
        relayConfig: { urls: [`ws://127.0.0.1:${port}/parties/main/${room}/nostr`] },
      },
      room,
    );
  const wait = {
    room: (/** @type {number} */ port, /** @type {string} */ name) =>
      new Promise((done) => {
        const it = room(port, name);
        it.on('state', () => it.state === 'joined' && done(undefined));
      }),
    peerjs: (/** @type {number} */ port, /** @type {string} */ name) =>
      new Promise((done) => peerjs(port, name).on('open', () => done(undefined))),
    simple: (/** @type {number} */ port, /** @type {string} */ name) =>
      new Promise((done) => simple(port, name).addEventListener('message', () => done(undefined))),
    // trystero reports neither its subscription nor its first announcement.
    trystero: (/** @type {number} */ port, /** @type {string} */ name) => {
      trystero(port, name);
      return new Promise((done) => setTimeout(done, 2_000));
    },
  };
  /** @param {(open: () => void) => void} start */
  const timed = async (start) => {
    const begin = performance.now();
    await new Promise((open) => start(() => open(undefined)));
    return performance.now() - begin;
  };
  const connect = {
    room: (/** @type {number} */ port, /** @type {string} */ name) =>
      timed((open) => {
        const it = room(port, name);
        it.on('change', (/** @type {any} */ { peer }) => peer.ready && open());
      }),
    peerjs: (/** @type {number} */ port, /** @type {string} */ name) =>
      timed((open) => {
        const peer = peerjs(port, `${name}-second`);
        peer.on('open', () => peer.connect(name).on('open', open));
      }),
    simple: (/** @type {number} */ port, /** @type {string} */ name) =>
      timed((open) => simple(port, name, open)),
    trystero: (/** @type {number} */ port, /** @type {string} */ name) =>
      timed((open) => void (trystero(port, name).onPeerJoin = open)),
  };
  Object.assign(globalThis, { wait, connect });
}
