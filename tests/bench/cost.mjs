// @ts-check
/**
 * Calculates the cost of running partyline. Counts the requests, frames and writes of a connection
 * setup in each dialect, and multiplies the counts by Cloudflare's prices. The result is the
 * marginal price, because the free allowance of a plan is not subtracted.
 */

import { HttpPeer } from '../support/http-peer.mjs';
import { Peer } from '../support/peer.mjs';
import { Server } from '../support/workerd.mjs';
import { short, table } from './figures.mjs';
import { start } from './servers.mjs';

/**
 * Prices in dollars, from developers.cloudflare.com/workers/platform/pricing and
 * /durable-objects/platform/pricing. Cloudflare bills 20 incoming frames as one request, and does
 * not bill outgoing frames. A Durable Object that can hibernate is billed only while it runs code.
 */
const PRICES = {
  asOf: 'November 2026',
  workerRequest: 0.3e-6,
  workerMillisecond: 0.02e-6,
  objectRequest: 0.15e-6,
  objectSecond: 0.128 * 12.5e-6, // memory of an object in GB * dollars per GB-second
  frame: 0.15e-6 / 20,
  write: 1e-6,
  /** The price per month of a droplet with 512 MiB (digitalocean.com/pricing, September 2026). */
  server: 4,
};

/** The duration of a call in seconds. A room that cannot hibernate is billed for the whole call. */
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
 * Calculates the cost of connection setups and of idle connections.
 * @param {number} cpu the CPU time of a connection setup in microseconds
 * @param {number} kib the memory of a connection to PeerServer in KiB
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
    // HTTP clients have no close handshake. The room stores their seats and waits for the grace
    // period, so this loop waits until the room is empty.
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
      // The result is an upper bound: it assumes the CPU time of a whole connection setup for each
      // pair of requests to the Worker, and counts all CPU time for both the Worker and the Durable
      // Object.
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
 * Functions that perform a connection setup, by dialect. A setup consists of two joins, an offer,
 * an answer, 16 candidates and two leaves.
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
