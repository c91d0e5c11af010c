// @ts-check
/**
 * Clients of trystero with the strategy `ws-relay` on workerd. The transcripts in
 * `tests/transcripts/trystero` show the frames.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Peer, expectQuiet } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const dialect = 'trystero';
const subscribe = { type: 'subscribe', topic: 'd' };
const publish = { type: 'publish', topic: 'd', payload: 1 };
const received = { topic: 'd', payload: 1 };

/** @type {import('../support/workerd.mjs').Workerd<'main' | 'small'>} */
let workerd;
before(async () => (workerd = await startWorkerd({ main: {}, small: { MAX_CLIENTS: '1' } })));
after(() => workerd?.stop());

/** Connects and subscribes. @param {string} room @param {import('../support/peer.mjs').Join} [join] */
async function connect(room, join, server = workerd.at.main) {
  const peer = await Peer.connect(server, room, { dialect, ...join });
  peer.send(subscribe);
  await peer.settle();
  return peer;
}

test('clients meet in a room by path or query, and meet no other room or family', async () => {
  const [ann, bob] = [await connect('a', { inPath: true }), await connect('a')];
  const other = await connect('b');
  const eve = await Peer.connect(workerd.at.main, 'a', { dialect: 'y-webrtc' });
  eve.send({ type: 'subscribe', topics: ['d'] });
  bob.send(publish);
  for (const peer of [ann, bob]) await peer.receives(received);
  await expectQuiet(ann, bob);
  await expectQuiet(other);
  await expectQuiet(eve);
  const { awakeSince, ...status } = await workerd.at.main.status('a', undefined, dialect);
  assert.deepEqual(status, { status: 'ok', room: 'a', family: 'trystero', peers: 2 });
  assert.ok(awakeSince);
  await Promise.all([ann, bob, other, eve].map((peer) => peer.close(1000)));
});

test('no frame is answered, and a WebSocket is closed only after a large frame or a flood', async () => {
  const ann = await connect('silent');
  for (const frame of ['ping', '{"type":"ping"}', '{"type":"publish"', '[]']) ann.send(frame);
  ann.send(Buffer.from(JSON.stringify(publish)));
  await expectQuiet(ann);
  ann.send({ ...publish, payload: 'x'.repeat(65_536) });
  await ann.isClosed(1009, 'too-large');
  const bob = await connect('silent');
  for (let n = 0; n < 2_000; n += 1) bob.send('{}');
  await bob.isClosed(4008, 'too-fast');
  assert.deepEqual([...ann.unread, ...bob.unread], []);
});

test('MAX_CLIENTS limits the clients', async () => {
  const { small } = workerd.at;
  const ann = await connect('full', {}, small);
  const eve = await Peer.connect(small, 'full', { dialect });
  await eve.isClosed(4003, 'room-full');
  assert.deepEqual(eve.unread, []);
  await ann.close(1000);
});
