// @ts-check
/**
 * Limits on the resources that a stranger can use: unread bytes, and rows for signals to event
 * streams. tests/core/cost.rs tests the same limits in detail.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer, within } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** Counts what the rooms write, and reports it at `/written`. */
const COUNTING = `
  import ours, { Room as OurRoom } from './index.js';
  const written = { rows: 0, erased: 0, bytes: 0, alarms: 0 };
  const count = (target, extra) =>
    new Proxy(target, {
      get(target, name) {
        if (name in extra) return extra[name];
        const value = target[name];
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  export class Room extends OurRoom {
    constructor(state, env) {
      const { storage } = state;
      const kv = count(storage.kv, {
        put(key, value) {
          written.rows += 1;
          written.bytes += key.length + value.length;
          storage.kv.put(key, value);
        },
        delete(key) {
          written.erased += 1;
          return storage.kv.delete(key);
        },
      });
      const setAlarm = (...time) => {
        written.alarms += 1;
        return storage.setAlarm(...time);
      };
      super(count(state, { storage: count(storage, { kv, setAlarm }) }), env);
    }
  }
  export default {
    fetch(request, env, ctx) {
      if (new URL(request.url).pathname === '/written') return Response.json(written);
      return ours.fetch(request, env, ctx);
    },
  };
`;

/** @type {import('../support/workerd.mjs').Workerd<'main' | 'brief'>} */
let workerd;

before(async () => {
  const brief = { RECONNECT_GRACE: '1' };
  workerd = await startWorkerd({ main: {}, brief }, { around: COUNTING });
});
after(() => workerd?.stop());

/** @returns {Promise<{ rows: number, erased: number, bytes: number, alarms: number }>} */
const written = async () => JSON.parse((await workerd.at.main.request('/written')).text);

describe('a WebSocket peer that does not read', () => {
  /** The size of a signal, and the number that a peer may send in a burst. */
  const BYTES = 60_000;
  const BURST = 17;

  /** @param {string} room @param {number} count */
  async function senders(room, count) {
    const peers = [];
    for (let n = 0; n < count; n += 1)
      peers.push(await Peer.join(workerd.at.main, room, `sender${n}`));
    return peers;
  }

  /** @param {Peer[]} peers @param {string} to */
  async function flood(peers, to) {
    for (const peer of peers)
      for (let n = 0; n < BURST; n += 1) peer.send({ type: 'big', to, payload: 'x'.repeat(BYTES) });
    for (const peer of peers) await peer.settle();
  }

  test('is closed with 4013 when 4 MiB are unread, and keeps its seat', async () => {
    const bob = await Peer.join(workerd.at.main, 'unread', 'bob');
    const peers = await senders('unread', 6);
    bob.socket.pause();
    await flood(peers, 'bob');
    const { peers: count } = await workerd.at.main.status('unread');
    assert.equal(count, 7, 'bob is absent');
    bob.socket.resume();
    const closed = await within(bob.closed, "bob's WebSocket closes");
    assert.deepEqual(closed, { code: 4013, reason: 'unread' });
    const big = bob.unread.filter((frame) => frame.includes('"big"'));
    // 64 KiB a second count as read, so a slow machine delivers a few more than 4 MiB.
    const limit = (4 * 1024 * 1024) / BYTES;
    assert(big.length > 60 && big.length < limit + 20, `${big.length} of 102 arrived`);
    const again = await Peer.join(workerd.at.main, 'unread', 'bob');
    assert.match(await again.next(), /"big"/, 'the next signals were queued');
  });

  test('is not closed if the server has heard from it', async () => {
    const eve = await Peer.join(workerd.at.main, 'heard', 'eve');
    await flood(await senders('heard', 3), 'eve');
    await eve.settle(); // the platform answers `ping` without waking the room
    const others = [];
    for (const id of ['ann', 'dan', 'fay'])
      others.push(await Peer.join(workerd.at.main, 'heard', id));
    await flood(others, 'eve');
    assert(eve.open);
  });
});

test('of 50 peers that send pings and do not read, most are closed before 384 MB are unread', async () => {
  const join = (/** @type {string} */ id) => Peer.join(workerd.at.main, 'unread-by-all', id);
  const deaf = [];
  for (let n = 0; n < 50; n += 1) deaf.push(await join(`deaf${n}`));
  const senders = [];
  for (let n = 0; n < 8; n += 1) senders.push(await join(`sender${n}`));
  for (const peer of deaf) await peer.settle();
  for (const { socket } of deaf) socket.pause();
  for (let n = 0; n < 15; n += 1) {
    for (const peer of senders) peer.send({ type: 'big', payload: 'x'.repeat(64_000) });
    for (const peer of deaf) peer.send('ping');
  }
  await workerd.at.main.status('unread-by-all');
  for (const { socket } of deaf) socket.resume();
  const ends = deaf.map((peer) => Promise.race([peer.closed, peer.settle()]));
  const closed = (await Promise.all(ends)).filter((end) => end?.code === 4013);
  assert(closed.length > 25, `${closed.length} are closed`);
  for (const { socket } of [...deaf, ...senders]) socket.terminate();
});

test('of 384 MB to 200 subscribers that do not read, 32 MiB are sent, and nobody is closed', async () => {
  const dialect = 'y-webrtc';
  const connect = () => Peer.connect(workerd.at.main, 'fan-out', { dialect });
  const sender = await connect();
  const deaf = [];
  for (let n = 0; n < 200; n += 1) deaf.push(await connect());
  for (const peer of deaf) peer.send({ type: 'subscribe', topics: ['a', 'b'] });
  for (const peer of deaf) await peer.settle();
  for (const { socket } of deaf) socket.pause();
  for (let n = 0; n < 30; n += 1)
    sender.send({ type: 'publish', topic: n % 2 ? 'a' : 'b', data: 'x'.repeat(64_000) });
  await sender.settle();
  const { peers } = await workerd.at.main.status('fan-out', undefined, dialect);
  assert.equal(peers, 201);
  for (const { socket } of deaf) socket.resume();
  for (const peer of deaf) await peer.settle();
  // 8 MiB are added each second.
  const most = Math.max(...deaf.map((peer) => peer.unread.length));
  assert(most >= 2 && most < 15, `${most} of 30 messages are sent`);
  for (const { socket } of [...deaf, sender]) socket.terminate();
});

describe('event streams', () => {
  test('a broadcast to 20 streams writes one row at most', async () => {
    const server = workerd.at.main;
    const ann = await Peer.join(server, 'amp', 'ann');
    const streams = [];
    for (let n = 0; n < 20; n += 1) streams.push(await HttpPeer.join(server, 'amp', `p${n}`));
    const before = await written();
    for (let n = 0; n < 100; n += 1) ann.send({ type: 'blob', payload: 'x'.repeat(4_000) });
    await ann.settle();
    const after = await written();
    assert(after.rows - before.rows <= 100, `${after.rows - before.rows} rows`);
    assert(after.bytes - before.bytes <= 100 * 4_600, `${after.bytes - before.bytes} bytes`);
    for (const { stream } of streams)
      for (let n = 0; n < 100;) if ((await stream?.next())?.data?.includes('blob')) n += 1;
  });

  test('a registration writes three rows at most in a room of 60 peers', async () => {
    const server = workerd.at.brief;
    const before = await written();
    for (let n = 0; n < 60; n += 1) await HttpPeer.join(server, 'cost', `p${n}`);
    const after = await written();
    assert(after.rows - before.rows <= 60, `${after.rows - before.rows} rows`);
  });
});
