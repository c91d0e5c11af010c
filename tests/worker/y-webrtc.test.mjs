// @ts-check
/**
 * Topics on workerd: which clients of y-webrtc are refused or closed, and how. The transcripts in
 * `tests/transcripts/y-webrtc` show the frames.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mint } from '../support/jwt.mjs';
import { Peer, expectQuiet } from '../support/peer.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const dialect = 'y-webrtc';
const subscribe = { type: 'subscribe', topics: ['doc'] };
const publish = { type: 'publish', topic: 'doc', data: 1 };

/** @type {import('../support/workerd.mjs').Workerd<'main' | 'strict' | 'small'>} */
let workerd;
before(async () => {
  const strict = { ROOM_SECRET, CLOSE_EXPIRED: 'true', ALLOWED_ORIGINS: 'https://docs.example' };
  workerd = await startWorkerd({ main: {}, strict, small: { MAX_CLIENTS: '2', MAX_PEERS: '9' } });
});
after(() => workerd?.stop());

/**
 * Connects and subscribes.
 * @param {string} room
 * @param {import('../support/peer.mjs').Join} [join]
 * @param {import('../support/workerd.mjs').Server} [server]
 */
async function connect(room, join, server = workerd.at.main) {
  const peer = await Peer.connect(server, room, { dialect, ...join });
  peer.send(subscribe);
  await peer.settle();
  return peer;
}

/** Asserts that the WebSocket is closed with this code, and that the client received no frame. */
async function isClosedSilently(
  /** @type {Peer} */ peer,
  /** @type {number} */ code,
  /** @type {string} */ reason,
) {
  await peer.isClosed(code, reason);
  assert.deepEqual(peer.unread, []);
}

test('clients meet in a room by path or query, and meet no other room or family', async () => {
  const [ann, bob] = [await connect('a', { inPath: true }), await connect('a')];
  const other = await connect('b');
  const nat = await Peer.join(workerd.at.main, 'a', 'nat');
  bob.send(publish);
  for (const peer of [ann, bob]) await peer.receives({ ...publish, clients: 2 });
  await expectQuiet(ann, bob);
  await expectQuiet(other);
  await expectQuiet(nat);
  const { awakeSince, ...status } = await workerd.at.main.status('a', undefined, dialect);
  assert.deepEqual(status, { status: 'ok', room: 'a', family: 'y-webrtc', peers: 2 });
  assert.ok(awakeSince);
  await Promise.all([ann, bob, other, nat].map((peer) => peer.close(1000)));
});

test('the path names the dialect, whatever the query says', async () => {
  const { main } = workerd.at;
  const query = 'dialect=peerjs&id=ann&key=k&token=t';
  const status = await main.request(`/parties/main/named/y-webrtc?${query}`);
  assert.equal(status.status, 426, 'the query asks for a join');
  const plain = await main.request('/parties/main/named/y-webrtc?dialect=peerjs');
  assert.equal(plain.status, 426);
  const { status: upgraded } = await main.upgrade(`/parties/main/named/y-webrtc?${query}`);
  assert.equal(upgraded, 101);
  const created = await main.status('named', undefined, 'peerjs');
  assert.equal(created.peers, 0);
});

test('a heartbeat is answered, and a frame that differs from it is ignored', async () => {
  const ann = await connect('heartbeat');
  for (const frame of ['ping', '{"type": "ping"}', '{"type":"ping"}']) ann.send(frame);
  assert.equal(await ann.next(), '{"type":"pong"}');
  await expectQuiet(ann);
  await ann.close();
});

test('a binary frame and malformed frames are ignored, and a large frame is closed', async () => {
  const ann = await connect('large');
  ann.send(Buffer.from(JSON.stringify(publish)));
  ann.send('{"type":"publish","topic":"doc",');
  await expectQuiet(ann);
  ann.send({ ...publish, data: 'x'.repeat(65_536) });
  await isClosedSilently(ann, 1009, 'too-large');
  assert.equal((await workerd.at.main.status('large', undefined, dialect)).peers, 0);
});

test('a flood is ignored, and then closed', async () => {
  const ann = await connect('flood');
  for (let n = 0; n < 2_000; n += 1) ann.send('{}');
  await isClosedSilently(ann, 4008, 'too-fast');
});

test('clients that publish 2 MB each at the same moment do not close a quiet subscriber', async () => {
  // A ping would show that ann reads.
  const ann = await Peer.connect(workerd.at.main, 'busy', { dialect });
  ann.send(subscribe);
  await workerd.at.main.status('busy', undefined, dialect);
  const publishers = await Promise.all([1, 2, 3].map(() => connect('busy')));
  for (let n = 0; n < 31; n += 1)
    for (const peer of publishers) peer.send({ ...publish, data: 'x'.repeat(65_000) });
  await Promise.all(publishers.map((peer) => peer.settle()));
  await ann.settle();
  assert.ok(ann.open);
  assert.ok(ann.unread.length >= 32, 'the topic sends 2 MiB at once');
  await Promise.all([ann, ...publishers].map((peer) => peer.close(1000)));
});

test('MAX_CLIENTS limits the clients of an object, and MAX_PEERS does not', async () => {
  const { small } = workerd.at;
  const [ann, bob] = [await connect('full', {}, small), await connect('full', {}, small)];
  const { status } = await small.upgrade('/parties/main/full/y-webrtc');
  assert.equal(status, 409, 'the client would connect again at once after a WebSocket');
  await ann.close(1000);
  const dan = await connect('full', {}, small);
  await Promise.all([bob, dan].map((peer) => peer.close(1000)));
});

test('a token for the room is needed, and its client is closed when it expires', async () => {
  const { strict } = workerd.at;
  const token = (/** @type {object} */ claims) => mint({ room: 'docs', ...claims });
  for (const wrong of [undefined, token({ room: 'other' }), token({ exp: 1 })]) {
    const { status } = await strict.upgrade(
      `/parties/main/docs/y-webrtc${wrong ? `?token=${wrong}` : ''}`,
    );
    assert.equal(status, 401);
  }
  const lasting = await connect('docs', { token: token({}) }, strict);
  const exp = Math.floor(Date.now() / 1000) + 4;
  const ann = await connect('docs', { token: token({ exp }) }, strict);
  ann.send(publish);
  for (const peer of [ann, lasting]) await peer.receives({ ...publish, clients: 2 });
  await isClosedSilently(ann, 4014, 'expired');
  assert.ok(Date.now() >= exp * 1000, 'it is closed when the token has expired, not earlier');
  lasting.send(publish);
  await lasting.receives({ ...publish, clients: 1 });
  await lasting.close(1000);
});

test('a page of another origin is refused', async () => {
  const headers = { Origin: 'https://evil.example' };
  const join = { dialect, token: mint({ room: 'docs' }), headers };
  await assert.rejects(Peer.connect(workerd.at.strict, 'docs', join), /403/);
});

test('the owner removes all clients, who have no ids', async () => {
  const { strict } = workerd.at;
  const ann = await connect('owned', { token: mint({ room: 'owned' }) }, strict);
  const headers = { Authorization: `Bearer ${mint({ room: 'owned', admin: true })}` };
  const ask = async (/** @type {string} */ action, /** @type {string} */ body = '') => {
    const path = `/admin/owned/${action}?dialect=y-webrtc`;
    return JSON.parse((await strict.request(path, { method: 'POST', headers, body })).text);
  };
  assert.deepEqual(await ask('list'), { ids: [] });
  assert.deepEqual(await ask('remove', '{"id":"ann"}'), { removed: 0 });
  await expectQuiet(ann);
  assert.deepEqual(await ask('close'), { removed: 1 });
  await isClosedSilently(ann, 4012, 'removed');
});
