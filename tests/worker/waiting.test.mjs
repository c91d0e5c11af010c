// @ts-check
/**
 * Requests that wait hold no WebAssembly memory, which never shrinks. If a client disconnects, the
 * platform drops its request and never settles the promises that the request waits for.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { reset } from '../support/tcp-proxy.mjs';
import { MEMORY_PROBE } from '../support/memory-probe.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/**
 * A module that wraps the Worker, and measures its memory. The rate limiter, the rooms and the TURN
 * service answer no request for `waiting`.
 */
const WAITING = `
  ${MEMORY_PROBE}
  let waiting = 0;
  const wait = () => {
    waiting += 1;
    return scheduler.wait(60_000); // without a timer, workerd would abort the request
  };
  const { fetch } = globalThis;
  globalThis.fetch = (...args) => (String(args[0]).includes('turn.example') ? wait() : fetch(...args));
  const { default: ours, Room: OurRoom } = await import('./index.js');
  export class Room extends OurRoom {
    async fetch(request) {
      if (request.url.includes('room-waits')) await wait();
      return super.fetch(request);
    }
  }
  export default {
    fetch(request, env, ctx) {
      if (request.url.endsWith('/measure'))
        return Response.json({ waiting, bytes: memory.buffer.byteLength });
      const limiter = request.url.includes('/message/') ? 'ASKS' : 'JOINS';
      const limit = request.url.includes('limiter-waits') ? { limit: wait } : undefined;
      return ours.fetch(
        request,
        { ...env, JOINS: undefined, ASKS: undefined, [limiter]: limit },
        ctx,
      );
    },
  };
`;

/** The requests of each kind. They are sent to a room with the name of the kind. */
const COUNT = 300;

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;

before(async () => {
  const main = {
    CLOUDFLARE_TURN_API: 'https://turn.example',
    CLOUDFLARE_TURN_KEY_ID: 'key',
    CLOUDFLARE_TURN_API_TOKEN: 'token',
    TURN_OPEN: 'true',
  };
  workerd = await startWorkerd({ main }, { around: WAITING });
});
after(() => workerd?.stop());

/** @returns {Promise<{ waiting: number, bytes: number }>} */
const measure = async () => JSON.parse((await workerd.at.main.request('/measure')).text);

/**
 * Sends requests, and cuts their connections when all of them wait.
 * @param {string} request
 * @param {number} count
 */
async function cutWaiting(request, count) {
  const goal = (await measure()).waiting + count;
  const sockets = Array.from({ length: count }, () =>
    net.connect({ host: '127.0.0.1', port: workerd.at.main.port }),
  );
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  for (const socket of sockets) socket.write(request);
  let waiting;
  for (let tries = 0; waiting !== goal; tries += 1) {
    assert.ok(tries < 5_000, `${waiting} requests have waited, expected ${goal}`);
    ({ waiting } = await measure());
  }
  sockets.forEach(reset);
}

const UPGRADE = [
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

for (const [name, line, ...headers] of [
  ['a join waits for the rate limiter', 'GET /parties/main/limiter-waits?id=ann', ...UPGRADE],
  ['a registration waits for the rate limiter', 'POST /register/limiter-waits/ann'],
  ['an event stream waits for the rate limiter', 'GET /events/limiter-waits/ann'],
  ['a message waits for the rate limiter', 'POST /message/limiter-waits/ann', 'Content-Length: 0'],
  ['a join waits for the room', 'GET /parties/main/room-waits?id=ann', ...UPGRADE],
  ['a registration waits for the room', 'POST /register/room-waits/ann'],
  ['an event stream waits for the room', 'GET /events/room-waits/ann'],
  ['a message waits for the room', 'POST /message/room-waits/ann', 'Content-Length: 0'],
  ['the status waits for the room', 'GET /parties/main/room-waits'],
  ['ICE servers wait for the TURN service', 'GET /ice-servers'],
])
  test(`${COUNT} requests hold no memory: ${name}`, async () => {
    // The rate limiter counts only requests with an address.
    const head = ['Host: partyline', 'CF-Connecting-IP: 192.0.2.1', ...headers];
    const request = [`${line} HTTP/1.1`, ...head, '', ''].join('\r\n');
    await cutWaiting(request, 10); // the first requests may allocate memory that is reused
    const { bytes } = await measure();
    await cutWaiting(request, COUNT);
    assert.equal((await measure()).bytes, bytes);
  });
