// @ts-check
/**
 * What it costs to run: requests, frames and writes are counted in an introduction of each dialect,
 * and multiplied by what Cloudflare asks for them. What is included in a plan is left out: it is
 * the price of one more.
 */

import { HttpPeer } from '../support/http-peer.mjs';
import { Peer } from '../support/peer.mjs';
import { Server } from '../support/workerd.mjs';
import { short, table } from './figures.mjs';
import { start } from './servers.mjs';

/**
 * Dollars, from developers.cloudflare.com/workers/platform/pricing and
 * /durable-objects/platform/pricing. Twenty frames that come in are billed as one request, frames
 * that go out not at all; an object that can hibernate is billed while it runs.
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

/** How long a room of two that cannot hibernate is open, in seconds: a call of ten minutes. */
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
 * @param {number} cpu how many microseconds an introduction takes, in all
 * @param {number} kib of memory a connection of PeerServer takes
 */
export async function cost(cpu, kib) {
  const process = await start('counted');
  const server = new Server(process.port);
  const counted = async () =>
    /** @type {Counted} */ (JSON.parse((await server.request('/counted')).text));
  /** @type {Record<string, Counted>} */
  const counts = {};
  for (const [dialect, introduce] of Object.entries(INTRODUCTIONS)) {
    await counted();
    await introduce(server, dialect);
    // Over HTTP nobody says goodbye: the room waits for them to come back, which is written down.
    let asked = 1;
    while ((await server.status(`cost-${dialect}`)).peers > 0) asked += 1;
    const { workerRequests, objectRequests, ...count } = await counted();
    const ours = { workerRequests: workerRequests - asked, objectRequests: objectRequests - asked };
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
      // Who speaks HTTP takes as much again for each request. All of it is billed twice, to be on
      // the safe side.
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
        'an introduction',
        'Worker requests',
        'object requests',
        'frames in',
        'writes',
        'a million of them',
      ],
      rows,
    ),
    '',
    'A million introductions in a room that cannot hibernate and is open for ten minutes: ' +
      `${money(open)}.`,
    'A million hours of an idle connection: nothing where rooms hibernate; ' +
      `${money((MILLION / 2) * 3600 * PRICES.objectSecond)} where rooms of two cannot.`,
    `A server with PeerServer: ${money(PRICES.server)} a month, whatever it does. ` +
      `A million hours in a month are ${short(connections)} connections at a time, ` +
      `${short((connections * kib) / 1024)} MiB.`,
    `Prices of ${PRICES.asOf}, in dollars, without what a plan includes.`,
  ];
  return { counts, dollars, prices: PRICES, text: lines.join('\n') };
}

/**
 * Two joins, offer, answer, 16 candidates, two leaves.
 * @type {Record<string, (server: Server, dialect: string) => Promise<void>>}
 */
const INTRODUCTIONS = {
  native: overSockets((kind, to) => ({ type: kind, to, payload: {} })),
  forum: overSockets((kind, toPeerId) => ({
    action: `forward-${kind === 'candidate' ? 'icecandidate' : kind}`,
    [kind]: {},
    toPeerId,
  })),
  lobby: overSockets((kind, toId) => ({ toId, [kind]: {} })),
  async http(server) {
    const ann = await HttpPeer.join(server, 'cost-http', 'ann');
    const bob = await HttpPeer.join(server, 'cost-http', 'bob');
    await ann.next();
    const say = async (
      /** @type {HttpPeer} */ from,
      /** @type {HttpPeer} */ to,
      /** @type {string} */ type,
      /** @type {string} */ target,
    ) => {
      await from.sends({ type, payload: {}, target });
      await to.next();
    };
    await exchange(
      (kind) => say(bob, ann, kind, 'ann'),
      (kind) => say(ann, bob, kind, 'bob'),
    );
    bob.stream?.cut();
    ann.stream?.cut();
  },
};

/** @param {(kind: string, to: string) => object} frame */
function overSockets(frame) {
  return async (/** @type {Server} */ server, /** @type {string} */ dialect) => {
    const room = `cost-${dialect}`;
    const ann = await Peer.connect(server, room, { id: 'ann', dialect });
    await ann.next();
    const bob = await Peer.connect(server, room, { id: 'bob', dialect });
    const say = async (
      /** @type {Peer} */ from,
      /** @type {Peer} */ to,
      /** @type {string} */ kind,
      /** @type {string} */ id,
    ) => {
      from.send(frame(kind, id));
      while (!(await to.next()).includes(`"${kind}"`));
    };
    await exchange(
      (kind) => say(bob, ann, kind, 'ann'),
      (kind) => say(ann, bob, kind, 'bob'),
    );
    await bob.close(1000);
    await ann.close(1000);
  };
}

/** @param {(kind: string) => Promise<void>} there @param {(kind: string) => Promise<void>} back */
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
