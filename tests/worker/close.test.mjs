// @ts-check
/**
 * Either side may close a WebSocket with any code. The connection always ends, and the room keeps
 * working.
 *
 * The peers under test use raw WebSockets, because WebSocket libraries send no invalid codes and
 * reply to every Close frame. `RECONNECT_GRACE` is an hour in these rooms, so a lost connection
 * causes no `peer-left`.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitUntilNoticed, Peer, expectQuiet, within } from '../support/peer.mjs';
import { BINARY, CLOSE, RawWebSocket } from '../support/raw-websocket.mjs';
import { some } from '../support/tier.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('../support/workerd.mjs').Server} Server */

/**
 * Timeout in milliseconds: longer than any response takes, shorter than any timeout of the server.
 */
const SOON = 4_000;

const LONG_GRACE = { RECONNECT_GRACE: '3600' };

/** @type {Awaited<ReturnType<typeof startWorkerd>>} */
let workerd;
/** @type {Server} */
let server;

before(async () => {
  workerd = await startWorkerd({
    open: LONG_GRACE,
    small: { ...LONG_GRACE, MAX_PEERS: '2' },
    locked: { ...LONG_GRACE, ROOM_SECRET: 'a secret that is long enough to be one' },
  });
  server = workerd.at.open;
});
after(() => workerd?.stop());

/**
 * Joins with a raw WebSocket. Reads its `welcome`, and the `peer-joined` of the other peers.
 * @param {string} room
 * @param {string} id
 * @param {Peer[]} others
 */
async function joinRaw(room, id, ...others) {
  const raw = await RawWebSocket.connect(server, room, { id });
  assert.equal((await raw.receive()).type, 'welcome');
  for (const other of others) await other.receives({ type: 'peer-joined', id, polite: true });
  return raw;
}

/**
 * Waits until the server has closed the connection.
 * @param {RawWebSocket} raw
 * @param {string} claim
 */
const isGone = (raw, claim) => within(raw.gone, claim, SOON);

/**
 * Reads the next frame, which must be a Close frame, and returns its code and reason.
 * @param {RawWebSocket} raw
 * @param {string} claim
 */
const closing = (raw, claim) => within(raw.closing(), claim, SOON);

/** @type {[number | undefined, string][]} */
const VALID_CODES = [
  [undefined, 'without a code'],
  [1000, 'with 1000'],
  [4123, 'with 4123'],
  [1001, 'with 1001'],
  [3000, 'with 3000'],
  [4999, 'with 4999'],
];

for (const [code, name] of some(VALID_CODES, 3)) {
  test(`a Close frame ${name} is echoed, and its sender is removed`, async () => {
    const room = `close ${name}`;
    const bob = await Peer.join(server, room, 'bob');
    const ann = await joinRaw(room, 'ann', bob);
    ann.close(code, 'gone to lunch');
    const answer = code ? { code, reason: 'gone to lunch' } : { code: 1005, reason: '' };
    assert.deepEqual(await closing(ann, 'the Close frame is answered'), answer);
    await isGone(ann, 'the connection ends');
    await bob.receives({ type: 'peer-left', id: 'ann' }, SOON);
    assert.equal((await server.status(room)).peers, 1);
    await expectQuiet(bob);
  });

  test(`a library completes the closing handshake when it closes ${name}`, async () => {
    const room = `library ${name}`;
    const bob = await Peer.join(server, room, 'bob');
    const ann = await Peer.join(server, room, 'ann');
    await bob.receives({ type: 'peer-joined', id: 'ann', polite: true });
    const closed = await within(
      ann.close(code, code ? 'bye' : undefined),
      'the WebSocket of ann closes',
      SOON,
    );
    assert.deepEqual(closed, code ? { code, reason: 'bye' } : { code: 1005, reason: '' });
    await bob.receives({ type: 'peer-left', id: 'ann' }, SOON);
    await expectQuiet(bob);
  });
}

/**
 * Asserts that the server replies to a Close frame with a valid code and closes the connection. The
 * peer leaves at once, and the other peers can still exchange signals.
 * @param {Buffer} payload
 * @param {string} room
 */
async function leavesWith(payload, room) {
  const bob = await Peer.join(server, room, 'bob');
  const eve = await Peer.join(server, room, 'eve');
  await bob.receives({ type: 'peer-joined', id: 'eve', polite: true });
  const ann = await joinRaw(room, 'ann', bob, eve);
  ann.send(CLOSE, payload);
  const { code } = await closing(ann, 'the Close frame is answered');
  assert.ok(code >= 1000 && code < 5000 && ![1004, 1006, 1015].includes(code), `with ${code}`);
  await isGone(ann, 'the connection ends');
  for (const other of [bob, eve]) await other.receives({ type: 'peer-left', id: 'ann' }, SOON);
  bob.send({ type: 'chat', payload: room });
  await eve.receives({ type: 'chat', from: 'bob', payload: room });
  assert.equal((await server.status(room)).peers, 2);
  await expectQuiet(bob, eve);
}

/** @param {number} code */
const coded = (code) => Buffer.from([code >> 8, code & 0xff]);

for (const [payload, name] of /** @type {[Buffer, string][]} */ ([
  ...[0, 999, 1004, 1005, 5000, 65535].map((code) => [coded(code), `the code ${code}`]),
  [Buffer.from([3]), 'half a code'],
  [Buffer.concat([coded(1000), Buffer.from([0xff, 0xfe])]), 'a reason that is not utf-8'],
  // Each invalid byte becomes a character of three bytes, and a reason has at most 123 bytes.
  [Buffer.concat([coded(4123), Buffer.alloc(42, 0xff)]), 'a long reason that is not utf-8'],
])) {
  test(`a Close frame with ${name} gets a reply, and its sender is removed`, () =>
    leavesWith(payload, `close with ${name}`));
}

// RFC 6455 §7.4.1 forbids the codes 1006 and 1015 in a Close frame. The server must nevertheless
// reply to a Close frame that contains one of these codes.
test('a Close frame with 1006 or 1015 gets a reply, and its sender is removed', async () => {
  await Promise.all([1006, 1015].map((code) => leavesWith(coded(code), `close with ${code}`)));
});

for (const code of [1006, 1015]) {
  test(`a room keeps working after a Close frame with ${code}`, async () => {
    const room = `no harm by ${code}`;
    const bob = await Peer.join(server, room, 'bob');
    const eve = await Peer.join(server, room, 'eve');
    await bob.receives({ type: 'peer-joined', id: 'eve', polite: true });
    const ann = await joinRaw(room, 'ann', bob, eve);
    ann.send(CLOSE, coded(code));
    ann.sendText({ type: 'chat', payload: 'after the end' });
    await waitUntilNoticed(server, room);
    await Promise.all([bob.settle(), eve.settle()]);
    const left = bob.unread.length > 0;
    if (left) for (const one of [bob, eve]) await one.receives({ type: 'peer-left', id: 'ann' });
    assert.equal((await server.status(room)).peers, left ? 2 : 3);
    bob.send({ type: 'chat', payload: 'still here' });
    await eve.receives({ type: 'chat', from: 'bob', payload: 'still here' }, SOON);
    await expectQuiet(bob, eve);

    const again = await Peer.join(server, room, 'ann');
    if (left)
      for (const one of [bob, eve])
        await one.receives({ type: 'peer-joined', id: 'ann', polite: true });
    // If ann did not leave, she was absent, so the room has queued the signal.
    else await again.receives({ type: 'chat', from: 'bob', payload: 'still here' });
    assert.equal((await server.status(room)).peers, 3);
    await expectQuiet(again, bob, eve);
  });
}

test('frames after a Close frame are ignored', async () => {
  const bob = await Peer.join(server, 'after the end', 'bob');
  const ann = await joinRaw('after the end', 'ann', bob);
  ann.sendText({ type: 'chat', to: 'bob', payload: 'last words' });
  ann.close(1000);
  ann.sendText({ type: 'chat', to: 'bob', payload: 'one thing more' });
  assert.equal((await closing(ann, 'the Close frame is answered')).code, 1000);
  await isGone(ann, 'the connection ends');
  await bob.receives({ type: 'chat', from: 'ann', payload: 'last words' });
  await bob.receives({ type: 'peer-left', id: 'ann' });
  await expectQuiet(bob);
});

for (const [how, cut] of /** @type {[string, (raw: RawWebSocket) => unknown][]} */ ([
  ['reset', (raw) => raw.destroy()],
  ['ended without a Close frame', (raw) => raw.tcp.end()],
])) {
  test(`a peer keeps its seat, and its signals are queued, when its connection is ${how}`, async () => {
    const room = `a connection ${how}`;
    const bob = await Peer.join(server, room, 'bob');
    const ann = await joinRaw(room, 'ann', bob);
    cut(ann);
    await waitUntilNoticed(server, room);
    assert.equal((await server.status(room)).peers, 2);
    bob.send({ type: 'offer', to: 'ann', payload: 'for when you are back' });
    await expectQuiet(bob);
    const again = await Peer.join(server, room, 'ann');
    assert.deepEqual(again.welcome.peers, [{ id: 'bob', polite: false }]);
    await again.receives({ type: 'offer', from: 'bob', payload: 'for when you are back' });
    await again.close();
    await bob.receives({ type: 'peer-left', id: 'ann' }, SOON);
  });
}

test('a replaced connection is closed with 4001, and ends after the Close frame of the client', async () => {
  const ann = await Peer.join(server, 'taken over', 'ann');
  const old = await joinRaw('taken over', 'bob', ann);
  old.sendText({ type: 'chat', to: 'ann' });
  await ann.receives({ type: 'chat', from: 'bob' });
  const bob = await Peer.join(server, 'taken over', 'bob');
  assert.deepEqual(bob.welcome.peers, [{ id: 'ann', polite: false }]);
  assert.deepEqual(await closing(old, 'the replaced WebSocket is closed'), {
    code: 4001,
    reason: 'replaced',
  });
  old.close(4001, 'replaced');
  await isGone(old, 'the connection ends');
  assert.equal((await server.status('taken over')).peers, 2);
  await expectQuiet(ann, bob);
  ann.send({ type: 'chat', to: 'bob', payload: 'still there?' });
  await bob.receives({ type: 'chat', from: 'ann', payload: 'still there?' });
});

/**
 * Sends frames as fast as possible until the server closes the WebSocket, and returns the close
 * code. Two consecutive accepted frames reset the count of refusals, so the server does not close
 * the WebSocket of a slower sender.
 * @param {RawWebSocket} raw
 */
async function flood(raw) {
  for (let wave = 0; wave < 100; wave += 1) {
    // Buffers the frames until `uncork`, which then sends full TCP segments.
    raw.tcp.cork();
    for (let n = 0; n < 2_000; n += 1) raw.sendText('{}');
    raw.tcp.uncork();
    for (let n = 0; n < 2_000; n += 1) {
      const { opcode, payload } = await raw.next();
      if (opcode === CLOSE) return payload.readUInt16BE(0);
    }
  }
  return assert.fail('a flood of 200,000 frames did not close the WebSocket');
}

/**
 * Makes the server close the WebSocket of bob, and waits for the Close frame. Returns the peer that
 * replaces bob, or undefined if bob is not replaced.
 * @typedef {(room: string, old: RawWebSocket, others: Peer[]) => Promise<Peer | undefined>} Kick
 * @type {Record<string, Kick>}
 */
const KICKS = {
  'being replaced': async (room, old) => {
    const bob = await Peer.join(server, room, 'bob');
    assert.deepEqual(await closing(old, 'the replaced WebSocket is closed'), {
      code: 4001,
      reason: 'replaced',
    });
    return bob;
  },
  'sending too fast': async (room, old, others) => {
    assert.equal(await flood(old), 4008);
    for (const other of others) await other.receives({ type: 'peer-left', id: 'bob' });
    return undefined;
  },
};

for (const [how, kick] of Object.entries(KICKS)) {
  test(`a peer closed for ${how} is ignored when it keeps sending and never replies`, async () => {
    const room = `closed: ${how}`;
    const ann = await Peer.join(server, room, 'ann');
    const eve = await Peer.join(server, room, 'eve');
    await ann.receives({ type: 'peer-joined', id: 'eve', polite: true });
    const old = await joinRaw(room, 'bob', ann, eve);
    old.sendText({ type: 'chat', to: 'ann', payload: 'hello' });
    await ann.receives({ type: 'chat', from: 'bob', payload: 'hello' });

    const bob = await kick(room, old, [ann, eve]);
    const all = bob ? [ann, eve, bob] : [ann, eve];
    old.sendText({ type: 'chat', to: 'ann', payload: 'I am bob' });
    old.sendText({ type: 'chat', payload: 'I am bob, all of you' });
    old.sendText({ type: 'welcome' });
    old.sendText('not JSON');
    old.sendText('ping');
    old.send(BINARY, 'bytes');
    await waitUntilNoticed(server, room);
    assert.equal((await server.status(room)).peers, all.length);
    await expectQuiet(...all);

    // Bob's old WebSocket is not writable. The server must still deliver signals to the other
    // peers.
    ann.send({ type: 'chat', payload: 'to all' });
    for (const other of all.slice(1))
      await other.receives({ type: 'chat', from: 'ann', payload: 'to all' });
    ann.send({ type: 'chat', to: 'bob', payload: 'to bob' });
    if (bob) await bob.receives({ type: 'chat', from: 'ann', payload: 'to bob' });
    else await ann.receivesError('no-such-peer', { to: 'bob' });
    await expectQuiet(...all);

    // Closing the old connection sends no frame to the other peers.
    old.tcp.end();
    await isGone(old, 'the connection ends');
    await waitUntilNoticed(server, room);
    assert.equal((await server.status(room)).peers, all.length);
    eve.send({ type: 'chat', payload: 'once more' });
    for (const other of all.filter((one) => one !== eve))
      await other.receives({ type: 'chat', from: 'eve', payload: 'once more' });
    await expectQuiet(...all);
    await bob?.close();
    if (bob) for (const other of [ann, eve]) await other.receives({ type: 'peer-left', id: 'bob' });
  });
}

test('a join to a full room is refused without informing the peers in the room', async () => {
  const { small } = workerd.at;
  const ann = await Peer.join(small, 'full', 'ann');
  const bob = await Peer.join(small, 'full', 'bob');
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  const eve = await Peer.connect(small, 'full', { id: 'eve' });
  await eve.receivesError('room-full');
  await eve.isClosed(4003, 'room-full');
  assert.equal((await small.status('full')).peers, 2);
  await expectQuiet(ann, bob);
  await bob.close();
  await ann.receives({ type: 'peer-left', id: 'bob' });
  const again = await Peer.join(small, 'full', 'eve');
  assert.deepEqual(again.welcome.peers, [{ id: 'ann', polite: false }]);
});

test('an absent peer counts towards MAX_PEERS, and can reconnect when the room is full', async () => {
  const { small } = workerd.at;
  const ann = await Peer.join(small, 'full of absent', 'ann');
  const bob = await Peer.join(small, 'full of absent', 'bob');
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  await bob.cut();
  const eve = await Peer.connect(small, 'full of absent', { id: 'eve' });
  await eve.receivesError('room-full');
  await eve.isClosed(4003, 'room-full');
  const again = await Peer.join(small, 'full of absent', 'bob');
  await expectQuiet(ann, again);
});

test('an id with a key is refused when the join has another key or no key', async () => {
  const ann = await Peer.join(server, 'whose id', 'ann');
  const bob = await Peer.join(server, 'whose id', 'bob', { key: 'the right one' });
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  for (const key of ['a wrong one', undefined]) {
    const eve = await Peer.connect(server, 'whose id', { id: 'bob', key });
    await eve.receivesError('id-taken');
    await eve.isClosed(4009, 'id-taken');
  }
  await expectQuiet(ann, bob);
  bob.send({ type: 'chat', payload: 1 });
  await ann.receives({ type: 'chat', from: 'bob', payload: 1 });

  const again = await Peer.join(server, 'whose id', 'bob', { key: 'the right one' });
  await bob.isClosed(4001, 'replaced');
  await again.cut();
  const absent = await Peer.connect(server, 'whose id', { id: 'bob', key: 'a wrong one' });
  await absent.receivesError('id-taken');
  await absent.isClosed(4009, 'id-taken');
  assert.equal((await server.status('whose id')).peers, 2);
  await expectQuiet(ann);
});

for (const { name, code, reason, connectRefused } of [
  { name: 'a full room', code: 4003, reason: 'room-full', connectRefused: () => fromFullRoom() },
  { name: 'a taken id', code: 4009, reason: 'id-taken', connectRefused: () => fromTakenId() },
  { name: 'no token', code: 4010, reason: 'unauthorized', connectRefused: () => withoutToken() },
]) {
  test(`a join refused for ${name} gets an upgrade, an error frame and a close code`, async () => {
    const raw = await connectRefused();
    const { message, ...rest } = await within(raw.receive(), 'the error arrives', SOON);
    assert.deepEqual(rest, { type: 'error', code: reason });
    assert.ok(message.length > 0);
    assert.deepEqual(await closing(raw, 'the Close frame arrives'), { code, reason });
    raw.close(code, reason);
    await isGone(raw, 'the connection ends');
  });
}

async function fromFullRoom() {
  const { small } = workerd.at;
  await Peer.join(small, 'full, raw', 'ann');
  await Peer.join(small, 'full, raw', 'bob');
  return RawWebSocket.connect(small, 'full, raw', { id: 'eve' });
}

async function fromTakenId() {
  await Peer.join(server, 'taken, raw', 'bob', { key: 'the right one' });
  return RawWebSocket.connect(server, 'taken, raw', { id: 'bob', key: 'a wrong one' });
}

function withoutToken() {
  return RawWebSocket.connect(workerd.at.locked, 'locked, raw', { id: 'eve' });
}

test('frames of a refused join are ignored when its client never replies to the Close frame', async () => {
  const { small } = workerd.at;
  const ann = await Peer.join(small, 'goes on', 'ann');
  const bob = await Peer.join(small, 'goes on', 'bob');
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  const eve = await RawWebSocket.connect(small, 'goes on', { id: 'eve' });
  assert.equal((await eve.receive()).code, 'room-full');
  assert.equal((await closing(eve, 'the Close frame arrives')).code, 4003);
  eve.sendText({ type: 'chat', payload: 'let me in' });
  eve.sendText({ type: 'chat', to: 'ann', payload: 'let me in' });
  await waitUntilNoticed(small, 'goes on');
  await expectQuiet(ann, bob);
  eve.destroy();
  await waitUntilNoticed(small, 'goes on');
  ann.send({ type: 'chat', payload: 1 });
  await bob.receives({ type: 'chat', from: 'ann', payload: 1 });
  await expectQuiet(ann, bob);
});
