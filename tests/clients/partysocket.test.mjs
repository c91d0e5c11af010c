// @ts-check
/** Tests the npm package `partysocket` behind a proxy that can interrupt its connections. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import PartySocket from 'partysocket';
import { WebSocket } from 'ws';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { waitUntilNoticed, Peer, expectQuiet, within } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Server} */
let server;
/** @type {() => Promise<void>} */
let stop;
/** The proxy between each PartySocket and the server. @type {TcpProxy} */
let proxy;
/** @type {PartyPeer[]} */
const parties = [];

before(async () => {
  const workerd = await startWorkerd({ open: {} });
  server = workerd.at.open;
  stop = workerd.stop;
  proxy = await TcpProxy.to(server);
});
afterEach(() => parties.splice(0).forEach((party) => party.socket.close()));
after(async () => {
  proxy?.stop();
  await stop?.();
});

/** A peer that uses PartySocket. Received frames are queued, and the test reads them one by one. */
class PartyPeer {
  /** @type {string[]} */
  #unread = [];
  #wake = () => {};

  /** @param {string} room @param {{ id?: string, key?: string }} [as] */
  constructor(room, { id, key } = {}) {
    this.socket = new PartySocket({
      host: new URL(proxy.origin).host,
      room,
      id,
      query: { key },
      WebSocket,
      minReconnectionDelay: 20,
      maxReconnectionDelay: 100,
    });
    this.socket.addEventListener('message', ({ data }) => {
      this.#unread.push(data);
      this.#wake();
    });
    parties.push(this);
  }

  /** @param {unknown} frame */
  send(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  /** Asserts that the next frame is JSON and deeply equal to `expected`. @param {any} expected */
  async receives(expected) {
    while (this.#unread.length === 0) {
      const woken = new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
        this.#wake = resolve;
      });
      await within(woken, `a frame arrives: ${JSON.stringify(expected)}`);
    }
    assert.deepEqual(JSON.parse(/** @type {string} */ (this.#unread.shift())), expected);
  }

  /**
   * @param {'open' | 'close' | 'error'} type
   */
  fires(type) {
    const happened = new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      this.socket.addEventListener(type, () => resolve(), { once: true });
    });
    return within(happened, `PartySocket fires ${type}`);
  }
}

test('a peer joins with the id that PartySocket generates, and exchanges signals', async () => {
  const room = 'party';
  const ann = new PartyPeer(room);
  const id = ann.socket.id;
  assert.match(id, /^[0-9a-f-]{36}$/, 'PartySocket has generated an id');
  await ann.receives({ type: 'welcome', id, room, peers: [] });
  const bob = new PartyPeer(room, { id: 'bob' });
  await bob.receives({ type: 'welcome', id: 'bob', room, peers: [{ id, polite: false }] });
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  bob.send({ type: 'offer', to: id, payload: { sdp: 'v=0' } });
  await ann.receives({ type: 'offer', from: 'bob', payload: { sdp: 'v=0' } });
  ann.send({ type: 'answer', to: 'bob', payload: { sdp: 'v=0' } });
  await bob.receives({ type: 'answer', from: id, payload: { sdp: 'v=0' } });
});

test('a peer leaves immediately when PartySocket closes', async () => {
  const room = 'left';
  const bob = await Peer.join(server, room, 'bob');
  const ann = new PartyPeer(room, { id: 'ann' });
  await ann.receives({ type: 'welcome', id: 'ann', room, peers: [{ id: 'bob', polite: false }] });
  await bob.receives({ type: 'peer-joined', id: 'ann', polite: true });
  ann.socket.close();
  await bob.receives({ type: 'peer-left', id: 'ann' });
  await expectQuiet(bob);
});

test('a peer loses no signal when PartySocket reconnects after an interruption', async () => {
  const room = 'cut';
  const bob = await Peer.join(server, room, 'bob');
  const ann = new PartyPeer(room, { id: 'ann', key: 'secret of ann' });
  const welcome = { type: 'welcome', id: 'ann', room, peers: [{ id: 'bob', polite: false }] };
  await ann.receives(welcome);
  await bob.receives({ type: 'peer-joined', id: 'ann', polite: true });

  const closed = ann.fires('close');
  proxy.down();
  await closed;
  await waitUntilNoticed(server, room);
  for (let n = 0; n < 20; n += 1) bob.send({ type: 'candidate', to: 'ann', payload: n });
  bob.send({ type: 'hello', payload: 'to all' });
  await expectQuiet(bob);
  // PartySocket queues frames from the application until it has reconnected.
  for (let n = 0; n < 3; n += 1) ann.send({ type: 'late', to: 'bob', payload: n });
  await ann.fires('error'); // the proxy is down, so an attempt to reconnect fails

  proxy.restore();
  await ann.receives(welcome);
  for (let n = 0; n < 20; n += 1)
    await ann.receives({ type: 'candidate', from: 'bob', payload: n });
  await ann.receives({ type: 'hello', from: 'bob', payload: 'to all' });
  for (let n = 0; n < 3; n += 1) await bob.receives({ type: 'late', from: 'ann', payload: n });

  bob.send({ type: 'done', to: 'ann' });
  await ann.receives({ type: 'done', from: 'bob' });
  await expectQuiet(bob);
});
