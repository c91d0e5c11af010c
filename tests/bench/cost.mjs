// @ts-check
/**
 * The cost of running partyline. It counts the requests, frames and writes of a connection setup in each
 * dialect, and multiplies them by Cloudflare's prices. The free allowance of a plan is left out, so the
 * result is the marginal price.
 */

import { HttpPeer } from '../support/http-peer.mjs';
import { Peer } from '../support/peer.mjs';
import { Server } from '../support/workerd.mjs';
import { short, table } from './figures.mjs';
import { start } from './servers.mjs';

/**
 * Dollars, from developers.cloudflare.com/workers/platform/pricing and
 * /durable-objects/platform/pricing. Twenty incoming frames are billed as one request and outgoing
 * frames not at all. An object that can hibernate is billed only while it runs.
 */
const PRICES = {
  asOf: 'November 2026',
  workerRequest: 0.3e-6,
  workerMillisecond: 0.02e-6,
  objectRequest: 0.15e-6,
  objectSecond: 0.128 * 12.5e-6, // GB, and dollars for a GB-second
  frame: 0.15e-6 / 20,
  write: 1e-6,
  /** A month of a droplet with 512 MiB (digitalocean.com/pricing, September 2026). */
  server: 4,
};

/** The duration of a call in seconds, for rooms that cannot hibernate. */
const CALL = 600;
const MILLION = 1e6;

/**
 * @typedef {object} Counted
 * @property {number} workerRequests
 * @property {number} objectRequests
 * @property {number} frames
 * @property {number} writes
 */

/**
 * @param {number} cpu microseconds of CPU time for a connection setup
 * @param {number} kib memory of a connection to PeerServer
 */
export async function cost(cpu, kib) {
  const process = await start('counted');
  const server = new Server(process.port);
  const takeCounts = async () =>
    /** @type {Counted} */ (JSON.parse((await server.request('/counted')).text));
  /** @type {Record<string, Counted>} */
  const counts = {};
  for (const [dialect, connect] of Object.entries(SETUPS)) {
    await takeCounts();
    await connect(server, dialect);
    // HTTP clients have no close handshake. The room waits for them to return and stores their seats.
    let polls = 1;
    while ((await server.status(`cost-${dialect}`)).peers > 0) polls += 1;
    const { workerRequests, objectRequests, ...count } = await takeCounts();
    const ours = { workerRequests: workerRequests - polls, objectRequests: objectRequests - polls };
    counts[dialect] = { ...ours, ...count };
  }
  await process.stop();

  const seconds = cpu / 1e6;
  const dollars = Object.fromEntries(
    Object.entries(counts).map(([dialect, { workerRequests, objectRequests, frames, writes }]) => {
      const { workerRequest, workerMillisecond, objectRequest, objectSecond, frame, write } =
        PRICES;
      const requests =
        workerRequests * workerRequest + objectRequests * objectRequest + frames * frame;
      // Each request of the HTTP dialect takes the same CPU time again. All CPU time is counted for both
      // Worker and object, as an upper bound.
      const busy =
        seconds * Math.max(1, workerRequests / 2) * (workerMillisecond * 1000 + objectSecond);
      return [
        dialect,
        { requests: requests * MILLION, running: busy * MILLION, writes: writes * write * MILLION },
      ];
    }),
  );
  const open = (dollars.native.requests ?? 0) + CALL * PRICES.objectSecond * MILLION;
  const rows = Object.entries(counts).map(([dialect, count]) => {
    const { requests, running, writes } = dollars[dialect];
    return [
      dialect,
      ...[count.workerRequests, count.objectRequests, count.frames, count.writes].map(String),
      money(requests + running + writes),
    ];
  });
  const hours = 730;
  const connections = MILLION / hours;
  const lines = [
    table(
      [
        'a connection setup',
        'Worker requests',
        'object requests',
        'frames in',
        'writes',
        'a million of them',
      ],
      rows,
    ),
    '',
    'A million connection setups in rooms that cannot hibernate and stay open for ten minutes: ' +
      `${money(open)}.`,
    'A million hours of an idle connection: free where rooms hibernate; ' +
      `${money((MILLION / 2) * 3600 * PRICES.objectSecond)} for rooms of two that cannot hibernate.`,
    `A server for PeerServer: ${money(PRICES.server)} a month at any load. ` +
      `A million hours in a month are ${short(connections)} concurrent connections, ` +
      `${short((connections * kib) / 1024)} MiB.`,
    `Prices in dollars, ${PRICES.asOf}, without the free allowance of a plan.`,
  ];
  return { counts, dollars, prices: PRICES, text: lines.join('\n') };
}

/**
 * Two joins, offer, answer, 16 candidates, two leaves.
 * @type {Record<string, (server: Server, dialect: string) => Promise<void>>}
 */
const SETUPS = {
  native: overSockets((type, to) => ({ type, to, payload: {} })),
  forum: overSockets((type, toPeerId) => ({
    action: `forward-${type === 'candidate' ? 'icecandidate' : type}`,
    [type]: {},
    toPeerId,
  })),
  lobby: overSockets((type, toId) => ({ toId, [type]: {} })),
  async http(server) {
    const ann = await HttpPeer.join(server, 'cost-http', 'ann');
    const bob = await HttpPeer.join(server, 'cost-http', 'bob');
    await ann.next();
    const send = async (
      /** @type {HttpPeer} */ from,
      /** @type {HttpPeer} */ to,
      /** @type {string} */ type,
      /** @type {string} */ target,
    ) => {
      await from.sends({ type, payload: {}, target });
      await to.next();
    };
    await exchange(
      (type) => send(bob, ann, type, 'ann'),
      (type) => send(ann, bob, type, 'bob'),
    );
    bob.stream?.cut();
    ann.stream?.cut();
  },
};

/** @param {(type: string, to: string) => object} frame */
function overSockets(frame) {
  return async (/** @type {Server} */ server, /** @type {string} */ dialect) => {
    const room = `cost-${dialect}`;
    const ann = await Peer.connect(server, room, { id: 'ann', dialect });
    await ann.next();
    const bob = await Peer.connect(server, room, { id: 'bob', dialect });
    const send = async (
      /** @type {Peer} */ from,
      /** @type {Peer} */ to,
      /** @type {string} */ type,
      /** @type {string} */ id,
    ) => {
      from.send(frame(type, id));
      while (!(await to.next()).includes(`"${type}"`));
    };
    await exchange(
      (type) => send(bob, ann, type, 'ann'),
      (type) => send(ann, bob, type, 'bob'),
    );
    await bob.close(1000);
    await ann.close(1000);
  };
}

/** @param {(type: string) => Promise<void>} there @param {(type: string) => Promise<void>} back */
async function exchange(there, back) {
  await there('offer');
  await back('answer');
  for (let n = 0; n < 8; n++) {
    await there('candidate');
    await back('candidate');
  }
}

/** @param {number} dollars */
function money(dollars) {
  return `$${dollars >= 100 ? Math.round(dollars).toLocaleString('en') : dollars.toFixed(2)}`;
}
