// @ts-check
/**
 * A room reads the body of a posted signal only after it has admitted the peer, and outside
 * WebAssembly memory. It limits the bodies that are in progress at the same time.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { within } from '../support/peer.mjs';
import { reset } from '../support/tcp-proxy.mjs';
import { WorkerLog } from '../support/worker-log.mjs';
import { MEMORY_PROBE } from '../support/memory-probe.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/**
 * A module that wraps the Worker, counts the requests in progress, and measures the memory. Bodies
 * have no timeout, so that the tests do not depend on the speed of the machine.
 */
const MEASURED = `
  globalThis.setTimeout = () => {};
  ${MEMORY_PROBE}
  const { default: ours, Room: OurRoom } = await import('./index.js');
  let unanswered = 0;
  export class Room extends OurRoom {
    async fetch(request) {
      unanswered += 1;
      try {
        return await super.fetch(request);
      } finally {
        unanswered -= 1;
      }
    }
  }
  export default {
    fetch(request, env, ctx) {
      if (!request.url.endsWith('/measure')) return ours.fetch(request, env, ctx);
      console.error('{"event":"measured"}');
      return Response.json({ unanswered, bytes: memory.buffer.byteLength });
    },
  };
`;

/** @typedef {import('../support/workerd.mjs').Server} Server */

/** The maximum size of a body. */
const MAX = 65_536;
/** Memory that does not contain the incomplete bodies of a test. */
const SMALL = 4 * 2 ** 20;

const log = new WorkerLog();
/** @type {import('../support/workerd.mjs').Workerd<'main' | 'closed'>} */
let workerd;

before(async () => {
  const closed = { ROOM_SECRET: 'a secret that is long enough to be one' };
  workerd = await startWorkerd({ main: {}, closed }, { around: MEASURED, log: log.add });
});
after(() => workerd?.stop());
afterEach(() => cutUploads());

/** @type {(server?: Server) => Promise<{ unanswered: number, bytes: number }>} */
const measure = async (server = workerd.at.main) =>
  JSON.parse((await server.request('/measure')).text);

/** Waits until the rooms have this number of requests in progress. @param {number} count */
async function hasUnanswered(count) {
  let unanswered;
  for (let tries = 0; unanswered !== count; tries += 1) {
    assert.ok(tries < 5_000, `${unanswered} requests are in progress, expected ${count}`);
    ({ unanswered } = await measure());
  }
}

/** @type {net.Socket[]} */
const uploads = [];

/**
 * Sends a request with an incomplete body. Returns the first line of the response.
 * @param {HttpPeer} peer
 * @param {{ head?: string, part?: string }} [body]
 * @returns {Promise<string>}
 */
async function upload(peer, { head = `Content-Length: ${MAX}`, part = '{' } = {}) {
  const socket = net.connect({ host: '127.0.0.1', port: peer.server.port });
  uploads.push(socket);
  socket.on('error', () => {}); // a refused upload may be reset
  await once(socket, 'connect');
  socket.write(`POST ${peer.path('message')} HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n${part}`);
  const [data] = await once(socket, 'data');
  return `${data}`.split('\r\n')[0];
}

/** Cuts all uploads by `cut`, and waits until the rooms have noticed. */
async function cutUploads(cut = reset) {
  uploads.splice(0).forEach(cut);
  await hasUnanswered(0);
}

const times = (/** @type {number} */ count) => Array.from({ length: count }, (_, n) => n);

/**
 * Registers peers, which open no stream.
 * @param {string} room
 * @param {number} count
 */
async function registered(room, count) {
  const peers = times(count).map((n) => new HttpPeer(workerd.at.main, room, `peer-${n}`));
  for (const peer of peers) assert.equal((await peer.register()).status, 200);
  return peers;
}

for (const [name, answer] of /** @type {const} */ ([
  ['main', '409 Conflict'], // by the room
  ['closed', '401 Unauthorized'], // by the Worker
]))
  test(`300 unfinished bodies of strangers are refused at once and take no memory (${name})`, async () => {
    const server = workerd.at[name];
    const stranger = new HttpPeer(server, 'strangers', 'eve', { key: 'any key' });
    const part = 'x'.repeat(MAX - 1);
    const answers = await within(
      Promise.all(times(300).map(() => upload(stranger, { part }))),
      'every upload is answered',
    );
    assert.deepEqual([...new Set(answers)], [`HTTP/1.1 ${answer}`]);
    assert.ok((await measure(server)).bytes < SMALL);
  });

test('an upload with the wrong key is refused at once', async () => {
  const ann = new HttpPeer(workerd.at.main, 'keys', 'ann', { key: 'the right key' });
  assert.equal((await ann.register()).status, 200);
  const eve = new HttpPeer(workerd.at.main, 'keys', 'ann', { key: 'a wrong key' });
  assert.match(await within(upload(eve), 'the upload is answered'), / 409 /);
});

test('a body that is sent to /register is not read', async () => {
  const bob = new HttpPeer(workerd.at.main, 'register', 'bob');
  bob.path = () => '/register/register/bob';
  assert.match(await within(upload(bob), 'the upload is answered'), / 200 /);
});

test('unfinished bodies are limited for each peer, room and isolate', async () => {
  const { main } = workerd.at;
  const rooms = await Promise.all(times(8).map((n) => registered(`room ${n}`, 9)));
  const outsider = await HttpPeer.join(main, 'another room', 'outsider');
  const hello = { type: 'x', target: 'outsider' };
  const refused = async (/** @type {HttpPeer} */ peer) => {
    const { status, text, headers } = await peer.post({ type: 'x' });
    assert.deepEqual([status, JSON.parse(text).error.code], [429, 'too-fast']);
    assert.equal(headers['retry-after'], '1');
  };
  let unfinished = 0;
  const fill = async (/** @type {HttpPeer[]} */ ...peers) => {
    for (const peer of peers)
      for (const _ of times(8)) upload(peer, { part: 'x'.repeat(1000) }).catch(() => {});
    await hasUnanswered((unfinished += 8 * peers.length));
  };

  const [[ann, bob]] = rooms;
  await fill(ann);
  await refused(ann);
  await bob.sends({ type: 'x', target: ann.id });

  await fill(...rooms[0].slice(1, 8));
  await refused(rooms[0][8]);
  await outsider.sends(hello);

  await fill(...rooms.slice(1).flatMap((room) => room.slice(0, 8)));
  await refused(outsider);
  assert.ok((await measure()).bytes < SMALL);

  await cutUploads();
  await outsider.sends(hello);
  await ann.sends({ type: 'x', target: bob.id });
});

test('a peer can post 100 small bodies at the same time', async () => {
  const ann = await HttpPeer.join(workerd.at.main, 'candidates', 'ann');
  await Promise.all(times(100).map(() => ann.sends({ type: 'candidate', target: 'ann' })));
});

test('a character that is split between two chunks is read as one', async () => {
  const ann = await HttpPeer.join(workerd.at.main, 'split', 'ann');
  const text = Buffer.from('{"type":"x","target":"ann","payload":"😀"}');
  const at = text.indexOf('😀') + 2;
  const chunk = (/** @type {Buffer} */ part) =>
    Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]);
  const answered = upload(ann, { head: 'Transfer-Encoding: chunked', part: '' });
  await hasUnanswered(1);
  const [socket] = uploads;
  socket.write(chunk(text.subarray(0, at)));
  await measure();
  socket.write(chunk(text.subarray(at)));
  socket.write('0\r\n\r\n');
  assert.match(await within(answered, 'the upload is answered'), / 200 /);
  await ann.receives('{"type":"x","payload":"😀","senderId":"ann"}');
});

test('a body that is cut is not logged', async () => {
  const [ann] = await registered('cut', 1);
  for (const head of ['Content-Length: 100', 'Transfer-Encoding: chunked'])
    for (const cut of [reset, (/** @type {net.Socket} */ socket) => socket.end()]) {
      for (const _ of times(8)) upload(ann, { head, part: '1\r\n' }).catch(() => {});
      await hasUnanswered(8);
      await cutUploads(cut);
    }
  const { length } = await log.lines('measured', 1);
  await measure();
  await log.lines('measured', length + 1);
  const others = log.text.split('\n').filter((line) => line && !line.includes('"measured"'));
  assert.deepEqual(others, []);
});
