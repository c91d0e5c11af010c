// @ts-check
/**
 * Event streams and traps: a trap ends every stream, which then resumes without a loss. Clients
 * cannot cause a trap by cutting their streams.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer, expectQuiet, within } from '../support/peer.mjs';
import { startTrapping } from '../support/trapping.mjs';

/** @type {import('../support/trapping.mjs').Trapping} */
let worker;
let log = '';

before(async () => {
  worker = await startTrapping((text) => (log += text));
});
after(() => worker?.stop());

/**
 * Lets `ann` join over a WebSocket and `bob` over HTTP, and sends one signal to bob.
 * @param {string} room
 */
async function annAndBob(room) {
  const ann = await Peer.join(worker.server, room, 'ann');
  const bob = await HttpPeer.join(worker.server, room, 'bob', { key: 'k' });
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  ann.send({ type: 'first', to: 'bob' });
  await bob.receives('{"type":"first","payload":null,"senderId":"ann"}');
  return { ann, bob };
}

/**
 * Asserts that bob's stream ends, and that bob then receives what ann sends before and after he
 * resumes.
 * @param {Awaited<ReturnType<typeof annAndBob>>} peers
 */
async function endsAndResumes({ ann, bob }) {
  await within(/** @type {Promise<void>} */ (bob.stream?.gone), "bob's stream ends");
  ann.send({ type: 'between', to: 'bob' });
  await ann.settle();
  await bob.resume();
  await bob.receives('{"type":"between","payload":null,"senderId":"ann"}');
  ann.send({ type: 'after', to: 'bob' });
  await bob.receives('{"type":"after","payload":null,"senderId":"ann"}');
  await expectQuiet(ann);
}

test('a trap in a room ends the streams of all rooms, which resume', async () => {
  const here = await annAndBob('here');
  const there = await annAndBob('there');
  await worker.trapNext();
  here.ann.send({ type: 'lost', to: 'bob' });
  await endsAndResumes(here);
  await endsAndResumes(there);
});

test('a trap in the Worker ends the streams, which resume', async () => {
  const peers = await annAndBob('quiet');
  await worker.trapNext();
  assert.equal((await worker.server.request('/ice-servers?room=quiet')).status, 500);
  await endsAndResumes(peers);
});

test('after a trap in a room, the room closes the WebSockets of its streams, and no other', async () => {
  const ann = await Peer.join(worker.server, 'direct', 'ann');
  const bob = new HttpPeer(worker.server, 'direct', 'bob', { key: 'k' });
  await bob.register();
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  // Opens the WebSocket that the Worker would open for the stream. The Worker, which also ends
  // streams, may run on another machine than the room.
  const url = `ws://${worker.server.host}${bob.path('events')}`;
  // workerd keeps the TCP connection open after both Close frames, so the client ends it.
  const options = { headers: { direct: 'direct' }, ...{ closeTimeout: 100 } };
  const stream = new WebSocket(url, options);
  const closed = new Promise((resolve) => stream.on('close', resolve));
  await within(new Promise((resolve) => stream.on('open', resolve)), 'the room accepts the stream');
  await worker.trapNext();
  ann.send({ type: 'lost', to: 'bob' });
  assert.equal(await within(closed, 'the room closes the WebSocket'), 1012);
  ann.send({ type: 'between', to: 'bob' });
  await ann.settle();
  await bob.open();
  await bob.receives('{"type":"between","payload":null,"senderId":"ann"}');
  await expectQuiet(ann);
});

test('2,000 streams that are cut before their first byte cause no trap and log no error', async () => {
  const ids = Array.from({ length: 20 }, (_, n) => `device${n}`);
  const devices = ids.map((id) => new HttpPeer(worker.server, `cut-${id}`, id, { key: 'k' }));
  const { starts } = await worker.counts();
  log = '';
  let left = 2000;
  const cutAll = async () => {
    while ((left -= 1) >= 0) {
      const device = devices[left % devices.length];
      // A registered peer leaves after 30 s without a stream.
      if (left % 1000 < devices.length) await device.register();
      await cut(device.path('events'));
    }
  };
  await Promise.all(devices.map((device) => device.register()));
  await Promise.all(Array.from({ length: 60 }, cutAll));
  assert.equal((await worker.counts()).starts, starts);
  // workerd itself logs some of the lost connections.
  const ours = log.split('\n').filter((line) => !/ disconnected: |^stack: |^$/.test(line));
  assert.deepEqual(ours, []);
});

/** Sends a request and resets the connection at once. @param {string} path */
const cut = (path) =>
  new Promise((resolve) => {
    const tcp = net.connect({ host: '127.0.0.1', port: worker.server.port });
    tcp.on('error', () => {}).on('close', resolve);
    tcp.write(`GET ${path} HTTP/1.1\r\nHost: partyline\r\n\r\n`, () =>
      setTimeout(() => tcp.resetAndDestroy()),
    );
  });
