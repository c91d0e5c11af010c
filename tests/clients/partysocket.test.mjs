// @ts-check
/** The real `partysocket`, as its users have it, over a network that can go away. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import PartySocket from 'partysocket';
import { WebSocket } from 'ws';
import { Line } from '../support/line.mjs';
import { noticed, Peer, quiet, within } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Server} */
let server;
/** @type {() => Promise<void>} */
let stop;
/** The way to the server of everyone who has a PartySocket. @type {Line} */
let line;
/** @type {Party[]} */
const parties = [];

before(async () => {
  const workerd = await startWorkerd({ open: {} });
  server = workerd.at.open;
  stop = workerd.stop;
  line = await Line.to(server);
});
afterEach(() => parties.splice(0).forEach((party) => party.socket.close()));
after(async () => {
  line?.stop();
  await stop?.();
});

/** Somebody who uses PartySocket, and the frames that came, which are read one by one. */
class Party {
  /** @type {string[]} */
  #unread = [];
  #wake = () => {};

  /** @param {string} room @param {{ id?: string, key?: string }} [as] */
  constructor(room, { id, key } = {}) {
    this.socket = new PartySocket({
      host: new URL(line.origin).host,
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
  say(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  /** The next frame is this object, key for key. @param {any} expected */
  async hears(expected) {
    while (this.#unread.length === 0) {
      const woken = new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
        this.#wake = resolve;
      });
      await within(woken, `a frame comes: ${JSON.stringify(expected)}`);
    }
    assert.deepEqual(JSON.parse(/** @type {string} */ (this.#unread.shift())), expected);
  }

  /**
   * The connection opens, closes, or could not be opened.
   * @param {'open' | 'close' | 'error'} type
   */
  becomes(type) {
    const happened = new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      this.socket.addEventListener(type, () => resolve(), { once: true });
    });
    return within(happened, `PartySocket says ${type}`);
  }
}

test('a partysocket joins under its own id, and signals another', async () => {
  const room = 'party';
  const ann = new Party(room);
  const id = ann.socket.id;
  assert.match(id, /^[0-9a-f-]{36}$/, 'it has made one by itself');
  await ann.hears({ type: 'welcome', id, room, peers: [] });
  const bob = new Party(room, { id: 'bob' });
  await bob.hears({ type: 'welcome', id: 'bob', room, peers: [{ id, polite: false }] });
  await ann.hears({ type: 'peer-joined', id: 'bob', polite: true });
  bob.say({ type: 'offer', to: id, payload: { sdp: 'v=0' } });
  await ann.hears({ type: 'offer', from: 'bob', payload: { sdp: 'v=0' } });
  ann.say({ type: 'answer', to: 'bob', payload: { sdp: 'v=0' } });
  await bob.hears({ type: 'answer', from: id, payload: { sdp: 'v=0' } });
});

test('a partysocket that is closed leaves at once', async () => {
  const room = 'left';
  const bob = await Peer.meet(server, room, 'bob');
  const ann = new Party(room, { id: 'ann' });
  await ann.hears({ type: 'welcome', id: 'ann', room, peers: [{ id: 'bob', polite: false }] });
  await bob.hears({ type: 'peer-joined', id: 'ann', polite: true });
  ann.socket.close();
  await bob.hears({ type: 'peer-left', id: 'ann' });
  await quiet(bob);
});

test('a partysocket that is cut comes back by itself, and nothing is lost or told', async () => {
  const room = 'cut';
  const bob = await Peer.meet(server, room, 'bob');
  const ann = new Party(room, { id: 'ann', key: 'secret of ann' });
  const welcome = { type: 'welcome', id: 'ann', room, peers: [{ id: 'bob', polite: false }] };
  await ann.hears(welcome);
  await bob.hears({ type: 'peer-joined', id: 'ann', polite: true });

  const closed = ann.becomes('close');
  line.down();
  await closed;
  await noticed(server, room);
  for (let n = 0; n < 20; n += 1) bob.say({ type: 'candidate', to: 'ann', payload: n });
  bob.say({ type: 'hello', payload: 'to all' });
  await quiet(bob);
  // What it is to send meanwhile, PartySocket keeps by itself.
  for (let n = 0; n < 3; n += 1) ann.say({ type: 'late', to: 'bob', payload: n });
  await ann.becomes('error'); // an attempt in vain

  line.mend();
  await ann.hears(welcome);
  for (let n = 0; n < 20; n += 1) await ann.hears({ type: 'candidate', from: 'bob', payload: n });
  await ann.hears({ type: 'hello', from: 'bob', payload: 'to all' });
  for (let n = 0; n < 3; n += 1) await bob.hears({ type: 'late', from: 'ann', payload: n });

  bob.say({ type: 'done', to: 'ann' });
  await ann.hears({ type: 'done', from: 'bob' });
  await quiet(bob);
});
