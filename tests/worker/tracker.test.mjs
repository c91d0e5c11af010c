// @ts-check
/**
 * Swarms on workerd: who receives offers, and how clients are refused. The transcripts in
 * `tests/transcripts/tracker` show the frames.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mint } from '../support/jwt.mjs';
import { Peer, expectQuiet } from '../support/peer.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const dialect = 'tracker';
const HASH = 'h'.repeat(20);
/** @param {string} peer one character @param {object} [more] */
const announce = (peer, more) => ({
  action: 'announce',
  info_hash: HASH,
  peer_id: peer.repeat(20),
  ...more,
});
/** @param {number} complete @param {number} incomplete */
const counts = (complete, incomplete) => ({
  complete,
  incomplete,
  action: 'announce',
  interval: 120,
  info_hash: HASH,
});

/** @type {import('../support/workerd.mjs').Workerd<'main' | 'strict' | 'small'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({ main: {}, strict: { ROOM_SECRET }, small: { MAX_CLIENTS: '1' } });
});
after(() => workerd?.stop());

/**
 * Connects, and announces a peer.
 * @param {string} room
 * @param {string} id one character
 * @param {import('../support/peer.mjs').Join} [join]
 */
async function connect(room, id, join) {
  const peer = await Peer.connect(workerd.at.main, room, { dialect, ...join });
  peer.send(announce(id));
  assert.equal(JSON.parse(await peer.next()).action, 'announce');
  return peer;
}

/** Reads the frame of a refusal, and returns its reason. @param {Peer} peer */
async function refusal(peer) {
  const { 'failure reason': reason, ...frame } = JSON.parse(await peer.next());
  assert.deepEqual(frame, { action: 'announce', info_hash: '' });
  return `${reason}`;
}

test('peers meet in a room by path or query, and in no other room', async () => {
  const ann = await connect('a', 'a', { inPath: true });
  const [bob, eve] = [await connect('a', 'b'), await connect('b', 'e')];
  bob.send(announce('b', { offers: [{ offer: 1, offer_id: '1' }] }));
  await bob.receives(counts(0, 2));
  const { peer_id, info_hash } = announce('b');
  await ann.receives({ action: 'announce', offer: 1, offer_id: '1', peer_id, info_hash });
  await expectQuiet(ann, bob);
  await expectQuiet(eve);
  const status = await workerd.at.main.status('a', undefined, dialect);
  assert.deepEqual([status.family, status.peers], ['tracker', 2]);
  await Promise.all([ann, bob, eve].map((peer) => peer.close(1000)));
});

test('random peers receive offers', async () => {
  const ann = await connect('random', 'a');
  const others = await Promise.all(['b', 'c', 'd'].map((id) => connect('random', id)));
  const COUNT = 60;
  for (let n = 0; n < COUNT; n += 1)
    ann.send(announce('a', { offers: [{ offer: n, offer_id: `${n}` }] }));
  await ann.settle();
  await Promise.all(others.map((other) => other.settle()));
  const received = others.map(({ unread }) => unread.length);
  assert.equal(
    received.reduce((sum, count) => sum + count),
    COUNT,
  );
  // One of three peers receives none of 60 offers with a probability of 3 · (2/3)^60 = 10^-10.
  assert.ok(
    received.every((count) => count > 0),
    `${received}`,
  );
  await Promise.all([ann, ...others].map((peer) => peer.close(1000)));
});

test('a frame that is not used is refused with a reason, and a large frame is closed', async () => {
  const ann = await connect('large', 'a');
  ann.send(Buffer.from('{}'));
  assert.match(await refusal(ann), /binary frame of 2 bytes/);
  ann.send('ping');
  assert.match(await refusal(ann), /JSON object/);
  ann.send(announce('a', { offers: [{ offer: 'x'.repeat(65_536) }] }));
  assert.match(await refusal(ann), /65536 bytes/);
  await ann.isClosed(1009, 'too-large');
});

test('a refused client receives the reason before the WebSocket is closed', async () => {
  const { small, strict } = workerd.at;
  const ann = await Peer.connect(small, 'full', { dialect });
  const bob = await Peer.connect(small, 'full', { dialect });
  assert.match(await refusal(bob), /1 clients are connected/);
  await bob.isClosed(4003, 'room-full');
  await ann.close(1000);
  const eve = await Peer.connect(strict, 'swarm', { dialect, token: mint({ room: 'other' }) });
  assert.match(await refusal(eve), /token/);
  await eve.isClosed(4010, 'unauthorized');
  const dan = await Peer.connect(strict, 'swarm', { dialect, token: mint({ room: 'swarm' }) });
  dan.send(announce('d'));
  await dan.receives(counts(0, 1));
  await dan.close(1000);
});
