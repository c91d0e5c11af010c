// @ts-check
/**
 * Groups of matchbox on workerd: who is refused, and how. The transcripts in `tests/transcripts/matchbox`
 * show the frames.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mint } from '../support/jwt.mjs';
import { Peer, expectQuiet } from '../support/peer.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const dialect = 'matchbox';

/** @type {import('../support/workerd.mjs').Workerd<'main' | 'strict' | 'small'>} */
let workerd;
before(async () => {
  const strict = { ROOM_SECRET, CLOSE_EXPIRED: 'true' };
  workerd = await startWorkerd({ main: {}, strict, small: { MAX_CLIENTS: '5', MAX_PEERS: '3' } });
});
after(() => workerd?.stop());

/**
 * Connects, and returns the client and its id.
 * @param {string} room
 * @param {import('../support/peer.mjs').Join} [join]
 * @param {import('../support/workerd.mjs').Server} [server]
 */
async function connect(room, join, server = workerd.at.main) {
  const peer = await Peer.connect(server, room, { dialect, ...join });
  const { IdAssigned: id } = JSON.parse(await peer.next());
  assert.match(id, /^[0-9a-f]{32}$/);
  return { peer, id };
}

test('clients meet in a room by path or query, with ids of the server, and meet no other family', async () => {
  const ann = await connect('a', { inPath: true, id: 'ann' });
  const bob = await connect('a');
  await ann.peer.receives({ NewPeer: bob.id });
  const other = await connect('b');
  const nat = await Peer.join(workerd.at.main, 'a', 'nat');
  const hyphens = bob.id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  ann.peer.send({ Signal: { receiver: hyphens, data: { Offer: 'v=0' } } });
  await bob.peer.receives({ Signal: { sender: ann.id, data: { Offer: 'v=0' } } });
  await expectQuiet(ann.peer, bob.peer);
  await expectQuiet(other.peer);
  await expectQuiet(nat);
  const { awakeSince, ...status } = await workerd.at.main.status('a', undefined, dialect);
  assert.deepEqual(status, { status: 'ok', room: 'a', family: dialect, peers: 2 });
  assert.ok(awakeSince);
  for (const { peer } of [ann, bob, other]) await peer.close(1000);
  await nat.close(1000);
});

test('an invalid `next` is refused over HTTP, in plain words', async () => {
  const { small } = workerd.at;
  for (const [next, words] of [
    ['x', '`next` is "x": expected the number of clients that meet, at least 2'],
    ['1', '`next` is "1": expected the number of clients that meet, at least 2'],
    ['4', '`next` is 4: expected at most 3, which is MAX_PEERS. Use a lower number'],
  ]) {
    const { status, text } = await small.upgrade(`/parties/main/demo/matchbox?next=${next}`);
    assert.equal(status, 400);
    assert.deepEqual(JSON.parse(text), { error: { code: 'bad-next', message: words } });
  }
  const { status } = await small.upgrade('/parties/main/demo?next=x');
  assert.equal(status, 101, 'other clients may use the name for their own');
});

test('MAX_PEERS limits a group, and MAX_CLIENTS the clients of an object', async () => {
  const { small } = workerd.at;
  const trio = [];
  for (let n = 0; n < 3; n += 1) trio.push(await connect('full', {}, small));
  const refused = await Peer.connect(small, 'full', { dialect });
  await refused.isClosed(4003, 'room-full');
  const pair = [];
  for (let n = 0; n < 2; n += 1) pair.push(await connect('full', { next: '2' }, small));
  await pair[0].peer.receives({ NewPeer: pair[1].id });
  const sixth = await Peer.connect(small, 'full', { dialect, next: '2' });
  await sixth.isClosed(4003, 'room-full');
  for (const { peer } of [...trio, ...pair]) await peer.close(1000);
});

test('a token for the room is needed, and its client is closed when it expires', async () => {
  const { strict } = workerd.at;
  const token = (/** @type {object} */ claims) => mint({ room: 'game', ...claims });
  for (const wrong of [undefined, token({ room: 'other' }), token({ exp: 1 })]) {
    const eve = await Peer.connect(strict, 'game', { dialect, token: wrong });
    await eve.isClosed(4010, 'unauthorized');
    assert.deepEqual(eve.unread, []);
  }
  const lasting = await connect('game', { token: token({}) }, strict);
  const exp = Math.floor(Date.now() / 1000) + 4;
  const ann = await connect('game', { token: token({ exp }) }, strict);
  await lasting.peer.receives({ NewPeer: ann.id });
  await ann.peer.isClosed(4014, 'expired');
  await lasting.peer.receives({ PeerLeft: ann.id });
  await lasting.peer.close(1000);
});

test('the owner removes all clients', async () => {
  const { strict } = workerd.at;
  const token = mint({ room: 'owned' });
  const clients = [
    await connect('owned', { token }, strict),
    await connect('owned', { token }, strict),
  ];
  await clients[0].peer.receives({ NewPeer: clients[1].id });
  const headers = { Authorization: `Bearer ${mint({ room: 'owned', admin: true })}` };
  const path = '/admin/owned/close?dialect=matchbox';
  const { text } = await strict.request(path, { method: 'POST', headers });
  assert.deepEqual(JSON.parse(text), { removed: 2 });
  for (const { peer } of clients) {
    await peer.isClosed(4012, 'removed');
    assert.deepEqual(peer.unread, []);
  }
});
