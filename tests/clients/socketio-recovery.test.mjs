// @ts-check
/**
 * socket.io-client, unmodified, returns to its seat: after its connection breaks at any step, after
 * the Worker's half of its session ends, and after the object of a polling session is lost. The other
 * peers notice nothing.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Peer, expectQuiet, waitUntilNoticed, within } from '../support/peer.mjs';
import { MODES, SocketIoPeer } from '../support/socketio-peer.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/**
 * A module that wraps the Worker. `/end` closes all WebSockets that the Worker holds, which is what
 * the platform does when it ends the Worker. `/lose/:sid` destroys the object of a polling session.
 * `/polls/:sid` returns the number of polls that wait. With the setting `HOLD_PROBES`, a probe is
 * answered after `/answer/:sid`.
 */
const AROUND = `
  import ours, { Engine as OurEngine } from './index.js';
  export { Room } from './index.js';
  let ended = 0;
  const { accept } = WebSocket.prototype;
  WebSocket.prototype.accept = function () {
    accept.call(this);
    const start = ended;
    // Only the request that has accepted a WebSocket may close it.
    const timer = setInterval(() => {
      if (ended === start) return;
      clearInterval(timer);
      this.close(1011);
    }, 20);
    this.addEventListener('close', () => clearInterval(timer));
  };
  export class Engine extends OurEngine {
    #state;
    #polls = 0;
    #answer = () => {};
    #mayAnswer;
    constructor(state, env) {
      super(state, env);
      this.#state = state;
      this.#mayAnswer = env.HOLD_PROBES && new Promise((resolve) => (this.#answer = resolve));
    }
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === '/lose') this.#state.abort();
      if (pathname === '/polls') return Response.json(this.#polls);
      if (pathname === '/answer') return new Response(this.#answer());
      if (pathname === '/probe') await this.#mayAnswer;
      if (pathname === '/poll') this.#polls += 1;
      const response = await super.fetch(request);
      if (pathname === '/poll') this.#polls -= 1;
      return response;
    }
  }
  export default {
    async fetch(request, env, ctx) {
      const { pathname } = new URL(request.url);
      if (pathname === '/end') {
        ended += 1;
        return new Response();
      }
      const [, path, sid] = pathname.split('/');
      if (path === 'polls' || path === 'answer')
        return env.ENGINE.getByName(sid).fetch('https://engine/' + path);
      if (pathname.startsWith('/lose/')) {
        await env.ENGINE.getByName(pathname.slice(6)).fetch('https://engine/lose').catch(() => {});
        return new Response();
      }
      return ours.fetch(request, env, ctx);
    },
  };
`;

/** @type {import('../support/workerd.mjs').Server} */
let server;
/** A server whose pings do not interfere. @type {import('../support/workerd.mjs').Server} */
let slow;
/** A server that answers probes late. @type {import('../support/workerd.mjs').Server} */
let held;
/** @type {() => Promise<void>} */
let stop;
/** @type {TcpProxy} */
let proxy;
before(async () => {
  const main = { RECONNECT_GRACE: '30', PING_INTERVAL: '2' };
  const instances = { main, slow: {}, held: { PING_INTERVAL: '1', HOLD_PROBES: 'true' } };
  const workerd = await startWorkerd(instances, { around: AROUND });
  server = workerd.at.main;
  slow = workerd.at.slow;
  held = workerd.at.held;
  stop = workerd.stop;
  proxy = await TcpProxy.to(server);
});
after(async () => {
  proxy?.stop();
  await stop?.();
});

/** @typedef {import('../support/socketio-peer.mjs').Mode} Mode */
const modes = /** @type {Mode[]} */ (Object.keys(MODES));

/**
 * Lets a native peer join, and a Socket.IO client behind the proxy.
 * @param {import('node:test').TestContext} t
 * @param {string} room
 * @param {import('../support/socketio-peer.mjs').Options} options
 */
async function meet(t, room, options) {
  const nat = await Peer.join(server, room, 'nat');
  const peers = [{ id: 'nat', polite: false }];
  const bob = await SocketIoPeer.join(proxy.origin, room, options, peers);
  t.after(() => bob.close());
  const id = /** @type {string} */ (bob.socket.id);
  await nat.receives({ type: 'peer-joined', id, polite: true });
  return { nat, bob, id };
}

/**
 * Asserts that the client is in its seat again, and that signals arrive in both directions.
 * @param {Awaited<ReturnType<typeof meet>>} peers
 * @param {number} [kept] the number of signals that were sent in the meantime
 */
async function isBack({ nat, bob, id }, kept = 0) {
  const events = [];
  while (events.length < kept + 1) events.push(await bob.next());
  // The events that the last session has kept arrive before the list of peers, and others after it.
  const expected = Array.from({ length: kept }, (_, n) => ['kept', n, 'nat']);
  assert.deepEqual(
    events.filter(([name]) => name === 'kept'),
    expected,
  );
  const peers = [{ id: 'nat', polite: false }];
  assert.deepEqual(
    events.filter(([name]) => name !== 'kept'),
    [['peers', peers]],
  );
  assert.equal(bob.socket.id, id, 'the id is the same');
  assert.equal(bob.socket.recovered, false, 'the server does not promise that nothing was lost');
  nat.send({ type: 'back', to: id, payload: 1 });
  await bob.receives('back', 1, 'nat');
  bob.socket.emit('back', 2, 'nat');
  await nat.receives({ type: 'back', from: id, payload: 2 });
  await expectQuiet(nat);
}

describe('a client returns to its seat', () => {
  for (const mode of modes) {
    test(`after its connection breaks: ${mode}`, async (t) => {
      const room = `cut ${mode}`;
      const peers = await meet(t, room, { mode });
      await peers.bob.upgraded();
      const disconnected = peers.bob.fires('disconnect');
      proxy.down();
      await disconnected;
      await waitUntilNoticed(server, room);
      for (let n = 0; n < 5; n += 1) peers.nat.send({ type: 'kept', to: peers.id, payload: n });
      await peers.nat.settle();
      proxy.restore();
      await isBack(peers, 5);
    });

    test(`after the Worker's half ends: ${mode}`, async (t) => {
      const peers = await meet(t, `ended ${mode}`, { mode });
      await peers.bob.upgraded();
      await server.request('/end');
      await isBack(peers);
    });
  }

  test('after its connection breaks during a poll, and no signal is lost in that poll', async (t) => {
    const nat = await Peer.join(slow, 'poll', 'nat');
    const own = await TcpProxy.to(slow);
    t.after(() => own.stop());
    const options = /** @type {const} */ ({ mode: 'polling only', auth: { id: 'bob', key: 'k' } });
    const peers = [{ id: 'nat', polite: false }];
    const bob = await SocketIoPeer.join(own.origin, 'poll', options, peers);
    t.after(() => bob.close());
    await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
    await polls(slow, bob, 1);
    own.down();
    await polls(slow, bob, 0);
    nat.send({ type: 'kept', to: 'bob', payload: 1 });
    await nat.settle();
    own.restore();
    await bob.receives('peers', peers);
    await bob.receives('kept', 1, 'nat');
    await expectQuiet(nat);
  });

  test('after its WebSocket breaks during the change to it, and no signal is lost', async (t) => {
    const nat = await Peer.join(held, 'stopped', 'nat');
    const peers = [{ id: 'nat', polite: false }];
    const auth = { id: 'bob', key: 'k' };
    const bob = await SocketIoPeer.join(held.origin, 'stopped', { auth }, peers);
    t.after(() => bob.close());
    await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
    await polls(held, bob, 1);
    // socket.io-client now stops polling, and nevertheless does not change to the WebSocket.
    bob.engine.once('upgrading', (/** @type {any} */ { ws }) => ws.terminate());
    const disconnected = bob.fires('disconnect');
    await held.request(`/answer/${bob.engine.id}`);
    await polls(held, bob, 0);
    for (let n = 0; n < 3; n += 1) nat.send({ type: 'kept', to: 'bob', payload: n });
    await nat.settle();
    assert.equal((await disconnected)[0], 'ping timeout');
    for (let n = 0; n < 3; n += 1) await bob.receives('kept', n, 'nat');
    await bob.receives('peers', peers);
    await expectQuiet(nat);
  });

  test('after the object of its polling session is lost', async (t) => {
    const peers = await meet(t, 'lost', { mode: 'polling only' });
    await server.request(`/lose/${peers.bob.engine.id}`);
    await isBack(peers);
  });

  test('after the object of its polling session is lost during the change to a WebSocket', async (t) => {
    const nat = await Peer.join(server, 'lost early', 'nat');
    const bob = new SocketIoPeer(proxy.origin, 'lost early', { auth: { id: 'bob', key: 'k' } });
    t.after(() => bob.close());
    bob.socket.io.once('open', () => void server.request(`/lose/${bob.engine.id}`));
    await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
    await settles(nat, bob);
  });

  /** The steps at which the connection breaks. @type {Record<string, (bob: SocketIoPeer, nat: Peer) => Promise<unknown>>} */
  const steps = {
    'after the session opens': (bob) =>
      new Promise((resolve) => bob.socket.io.once('open', () => resolve(0))),
    'after the room admits it': (_, nat) =>
      nat.receives({ type: 'peer-joined', id: 'bob', polite: true }),
    'after it connects': (bob) => bob.fires('connect'),
    'during the change to a WebSocket': (bob) =>
      new Promise((resolve) => {
        bob.socket.io.once('open', () => bob.engine.once('upgrading', resolve));
      }),
    'after the change to a WebSocket': (bob) =>
      new Promise((resolve) => {
        bob.socket.io.once('open', () => bob.engine.once('upgrade', resolve));
      }),
  };
  for (const [step, reached] of Object.entries(steps))
    for (const mode of modes.filter(
      (mode) => mode === 'default settings' || !step.includes('change'),
    )) {
      test(`after its connection breaks ${step}: ${mode}`, async (t) => {
        const room = `${step} ${mode}`;
        const nat = await Peer.join(server, room, 'nat');
        const bob = new SocketIoPeer(proxy.origin, room, { mode, auth: { id: 'bob', key: 'k' } });
        t.after(() => bob.close());
        await reached(bob, nat);
        proxy.cut();
        if (step !== 'after the room admits it')
          await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
        await settles(nat, bob);
      });
    }
});

/**
 * Waits until this many polls of a client wait.
 * @param {import('../support/workerd.mjs').Server} at
 * @param {SocketIoPeer} bob
 * @param {number} count
 */
async function polls(at, bob, count) {
  const path = `/polls/${bob.engine.id}`;
  const become = async () => {
    while (Number((await at.request(path)).text) !== count) await delay(20);
  };
  await within(become(), `${count} polls wait`);
}

/**
 * Asserts that signals arrive after a disturbance, and that the native peer has received no notice.
 * @param {Peer} nat
 * @param {SocketIoPeer} bob
 */
async function settles(nat, bob) {
  // Signals that are sent during the disturbance may be lost, so the client asks until one arrives.
  for (let attempts = 1; ; attempts += 1) {
    assert(
      attempts < 20,
      `no signal arrives: ${bob.socket.connected ? 'connected' : 'disconnected'}`,
    );
    const asked = bob.socket.timeout(1_000).emitWithAck('settled', 0, 'nat');
    if (
      await asked.then(
        () => true,
        () => false,
      )
    )
      break;
  }
  // One reader for all attempts: the reader of an earlier attempt would take the signal of a later one.
  const arrival = bob.until('settled', 1, 'nat');
  for (let attempts = 1; ; attempts += 1) {
    assert(attempts < 20, 'no signal arrives');
    nat.send({ type: 'settled', to: 'bob', payload: 1 });
    await nat.settle();
    if (await Promise.race([arrival, delay(1_000)])) break;
  }
  await nat.settle();
  for (const frame of nat.unread) assert.equal(JSON.parse(frame).type, 'settled');
}

const delay = (/** @type {number} */ time) =>
  new Promise((resolve) => setTimeout(() => resolve(false), time));
