// @ts-check
/**
 * Groups of RxDB on workerd: who is refused, and how. The transcripts in `tests/transcripts/rxdb` show the
 * frames.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mint } from '../support/jwt.mjs';
import { Peer, expectQuiet } from '../support/peer.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const dialect = 'rxdb';
const topic = 'heroes';

/** @type {import('../support/workerd.mjs').Workerd<'main' | 'strict'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({ main: {}, strict: { ROOM_SECRET } });
});
after(() => workerd?.stop());

/**
 * Connects, enters the topic, and returns the client and its id.
 * @param {string} room
 * @param {import('../support/peer.mjs').Join} [join]
 */
async function connect(room, join, server = workerd.at.main) {
  const peer = await Peer.connect(server, room, { dialect, ...join });
  const { type, yourPeerId: id } = JSON.parse(await peer.next());
  assert.equal(type, 'init');
  assert.match(id, /^[0-9a-f]{32}$/);
  peer.send({ type: 'join', room: topic });
  return { peer, id };
}

test('clients meet in a room by path or query, with ids of the server, and meet no other family', async () => {
  const ann = await connect('a', { inPath: true, id: 'ann' });
  await ann.peer.receives({ type: 'joined', otherPeerIds: [ann.id] });
  const bob = await connect('a');
  const joined = { type: 'joined', otherPeerIds: [ann.id, bob.id] };
  for (const { peer } of [ann, bob]) await peer.receives(joined);
  const other = await connect('b');
  await other.peer.receives({ type: 'joined', otherPeerIds: [other.id] });
  const nat = await Peer.join(workerd.at.main, 'a', 'nat');
  await expectQuiet(ann.peer, bob.peer);
  await expectQuiet(nat);
  const { awakeSince, ...status } = await workerd.at.main.status('a', undefined, dialect);
  assert.deepEqual(status, { status: 'ok', room: 'a', family: dialect, peers: 2 });
  assert.ok(awakeSince);
  await bob.peer.cut();
  await ann.peer.receives({ type: 'joined', otherPeerIds: [ann.id] });
  await Promise.all([ann.peer, other.peer, nat].map((peer) => peer.close(1000)));
});

test('a heartbeat is answered, and a frame that differs from it is ignored', async () => {
  const { peer, id } = await connect('heartbeat');
  await peer.receives({ type: 'joined', otherPeerIds: [id] });
  for (const frame of ['ping', '{"type": "ping"}', '{"type":"ping"}']) peer.send(frame);
  assert.equal(await peer.next(), '{"type":"pong"}');
  peer.send(Buffer.from('{"type":"join","room":"villains"}'));
  await expectQuiet(peer);
  peer.send({ type: 'signal', data: 'x'.repeat(65_536) });
  await peer.isClosed(1009, 'too-large');
});

test('a token for the room is needed', async () => {
  const { strict } = workerd.at;
  for (const wrong of [undefined, mint({ room: 'other' })]) {
    const { status } = await strict.upgrade(
      `/parties/main/db/rxdb${wrong ? `?token=${wrong}` : ''}`,
    );
    assert.equal(status, 401, 'the client would connect again at once after a WebSocket');
  }
  const { peer, id } = await connect('db', { token: mint({ room: 'db' }) }, strict);
  await peer.receives({ type: 'joined', otherPeerIds: [id] });
  await peer.close(1000);
});
