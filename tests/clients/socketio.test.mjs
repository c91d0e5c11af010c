// @ts-check
/**
 * Tests the npm package `socket.io-client`, unmodified: with its default settings (polling, then a
 * WebSocket), with a WebSocket only, and with polling only.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Peer, expectQuiet, within } from '../support/peer.mjs';
import { MODES, SocketIoPeer } from '../support/socketio-peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const SECRET = 'a secret of more than thirty-two bytes, for the tests';

/** @type {import('../support/workerd.mjs').Workerd<'open' | 'tokens' | 'pinging'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({
    open: {},
    tokens: { ROOM_SECRET: SECRET },
    pinging: { PING_INTERVAL: '1' },
  });
});
after(() => workerd?.stop());

const modes = /** @type {(keyof typeof MODES)[]} */ (Object.keys(MODES));
for (const mode of modes) {
  describe(mode, { concurrency: true }, () => {
    test('a client exchanges signals with clients of other dialects', async (t) => {
      const room = `signals ${mode}`;
      const server = workerd.at.open;
      const nat = await Peer.join(server, room, 'nat');
      const peers = [{ id: 'nat', polite: false }];
      const bob = await SocketIoPeer.join(
        server.origin,
        room,
        { mode, auth: { id: 'bob' } },
        peers,
      );
      t.after(() => bob.close());
      assert.equal(bob.socket.id, 'bob');
      await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
      const forum = await Peer.connect(server, room, { id: 'for', dialect: 'forum' });
      await forum.receives({ type: 'connected-peers', peerIds: ['nat', 'bob'] });
      await nat.receives({ type: 'peer-joined', id: 'for', polite: true });
      await bob.receives('new-peer', { senderId: 'for' });

      bob.socket.emit('offerSdp', { type: 'offer', sdp: 'ä' }, 'nat');
      await nat.receives({ type: 'offer', from: 'bob', payload: { type: 'offer', sdp: 'ä' } });
      nat.send({ type: 'answer', to: 'bob', payload: { sdp: 1 } });
      await bob.receives('answerSdp', { sdp: 1 }, 'nat');
      forum.send({ action: 'forward-icecandidate', candidate: { c: 1 }, toPeerId: 'bob' });
      await bob.receives('ice-candidate', { c: 1 }, 'for');
      bob.socket.emit('hello', [1]);
      await nat.receives({ type: 'hello', from: 'bob', payload: [1] });
      await forum.receives({ type: 'hello', hello: [1], fromPeerId: 'bob' });
      nat.send({ type: 'hello', payload: 2 });
      await bob.receives('hello', 2, 'nat');
      await forum.receives({ type: 'hello', hello: 2, fromPeerId: 'nat' });

      await forum.close();
      await bob.receives('peer-left', { senderId: 'for' });
      await nat.receives({ type: 'peer-left', id: 'for' });
      bob.close();
      await nat.receives({ type: 'peer-left', id: 'bob' });
    });

    test('many signals arrive once and in order while the client connects', async (t) => {
      const room = `order ${mode}`;
      const server = workerd.at.open;
      const nat = await Peer.join(server, room, 'nat');
      const bob = new SocketIoPeer(server.origin, room, { mode, auth: { id: 'bob' } });
      t.after(() => bob.close());
      await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
      const count = 40;
      for (let n = 0; n < count; n += 1) {
        bob.socket.emit('from-bob', n, 'nat');
        nat.send({ type: 'from-nat', to: 'bob', payload: n });
        // Some of the signals are sent during the change to a WebSocket, with any mode.
        await new Promise((resolve) => setImmediate(resolve));
      }
      await bob.receives('peers', [{ id: 'nat', polite: false }]);
      for (let n = 0; n < count; n += 1) {
        await nat.receives({ type: 'from-bob', from: 'bob', payload: n });
        await bob.receives('from-nat', n, 'nat');
      }
      await bob.upgraded();
      bob.socket.emit('last', 0, 'nat');
      await nat.receives({ type: 'last', from: 'bob', payload: 0 });
      await expectQuiet(nat);
      assert.deepEqual(bob.unread, []);
    });

    test('an event is acknowledged, and refused with the reason', async (t) => {
      const room = `acks ${mode}`;
      const server = workerd.at.open;
      const nat = await Peer.join(server, room, 'nat');
      const options = { mode, auth: { id: 'bob' } };
      const peers = [{ id: 'nat', polite: false }];
      const bob = await SocketIoPeer.join(server.origin, room, options, peers);
      t.after(() => bob.close());
      await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
      assert.deepEqual(await bob.ask('hello', 1, 'nat'), { ok: true });
      await nat.receives({ type: 'hello', from: 'bob', payload: 1 });
      assert.equal((await bob.ask('hello', 1, 'zed')).error.code, 'no-such-peer');
      assert.equal((await bob.ask('answerSdp', {})).error.code, 'no-such-peer', 'no live session');
      bob.socket.emit('hello', 1, 'zed');
      await bob.receivesError('no-such-peer', { to: 'zed' });
    });

    test('a token is required if the server requires tokens', async (t) => {
      const { origin } = workerd.at.tokens;
      const room = 'demo';
      const refused = new SocketIoPeer(origin, room, { mode, auth: { token: 'x.y.z' } });
      t.after(() => refused.close());
      const [error] = await refused.fires('connect_error');
      assert.equal(error.data.code, 'unauthorized');
      const token = sign({ room, sub: 'bob', exp: Math.floor(Date.now() / 1000) + 60 });
      const bob = await SocketIoPeer.join(origin, room, { mode, auth: { id: 'bob', token } });
      assert.equal(bob.socket.id, 'bob');
      bob.close();
    });

    test('an expired token and the key of a seat readmit a client to it', async (t) => {
      const { origin } = workerd.at.tokens;
      const room = `expired ${mode}`;
      const now = Math.floor(Date.now() / 1000);
      const [valid, token] = [now + 60, now - 60].map((exp) => sign({ room, sub: 'bob', exp }));
      const nat = await Peer.join(workerd.at.tokens, room, 'nat', {
        token: sign({ room, exp: now + 60 }),
      });
      const expired = { id: 'bob', key: 'k ä', token };
      const refused = new SocketIoPeer(origin, room, { mode, auth: expired });
      t.after(() => refused.close());
      const [error] = await refused.fires('connect_error');
      assert.equal(error.data.code, 'unauthorized');
      const peers = [{ id: 'nat', polite: false }];
      const auth = { ...expired, token: valid };
      const first = await SocketIoPeer.join(origin, room, { mode, auth }, peers);
      t.after(() => first.close());
      await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
      const back = await SocketIoPeer.join(origin, room, { mode, auth: expired }, peers);
      t.after(() => back.close());
      await expectQuiet(nat);
    });

    test('a join with an invalid id or key, or with the id of another client, is refused', async (t) => {
      const { origin } = workerd.at.open;
      const room = `taken ${mode}`;
      const bob = await SocketIoPeer.join(origin, room, { mode, auth: { id: 'bob', key: 'k ä' } });
      t.after(() => bob.close());
      for (const [auth, code] of /** @type {[Record<string, string>, string][]} */ ([
        [{ id: 'a b' }, 'bad-id'],
        [{ key: 'k'.repeat(129) }, 'bad-key'],
        [{ id: 'bob' }, 'id-taken'],
        [{ id: 'bob', key: 'other' }, 'id-taken'],
      ])) {
        const eve = new SocketIoPeer(origin, room, { mode, auth });
        const [error] = await eve.fires('connect_error');
        assert.equal(error.data.code, code);
        assert.ok(error.message.length > 0);
        eve.close();
      }
    });

    test('every other namespace is invalid', async (t) => {
      const eve = new SocketIoPeer(workerd.at.open.origin, 'demo', { mode, namespace: '/chat' });
      t.after(() => eve.close());
      const [error] = await eve.fires('connect_error');
      assert.equal(error.message, 'Invalid namespace');
    });

    test('a binary event is refused', async (t) => {
      const bob = await SocketIoPeer.join(workerd.at.open.origin, `binary ${mode}`, { mode });
      t.after(() => bob.close());
      bob.socket.emit('picture', Buffer.from([1, 2]));
      // The first refusal is for the event, and the second for its attachment.
      await bob.receivesError('malformed');
      await bob.receivesError('malformed');
      assert.equal((await bob.ask('hello', 1, 'zed')).error.code, 'no-such-peer');
    });

    test('an event that is too large is refused, and the client does not reconnect', async (t) => {
      const bob = await SocketIoPeer.join(workerd.at.open.origin, `large ${mode}`, { mode });
      t.after(() => bob.close());
      const disconnected = bob.fires('disconnect');
      bob.socket.emit('picture', 'x'.repeat(66_000));
      await bob.receivesError('too-large');
      assert.equal((await disconnected)[0], 'io server disconnect');
    });

    test('a client that is replaced does not reconnect', async (t) => {
      const { origin } = workerd.at.open;
      const room = `replaced ${mode}`;
      const options = { mode, auth: { id: 'bob', key: 'k' } };
      const first = await SocketIoPeer.join(origin, room, options);
      await first.upgraded();
      const disconnected = first.fires('disconnect');
      const second = await SocketIoPeer.join(origin, room, options);
      t.after(() => second.close());
      assert.equal((await disconnected)[0], 'io server disconnect');
      assert.equal(first.socket.active, false, 'the client does not reconnect');
    });

    test('pings keep a silent client connected', async (t) => {
      const room = `pings ${mode}`;
      const server = workerd.at.pinging;
      const bob = await SocketIoPeer.join(server.origin, room, { mode, auth: { id: 'bob' } });
      t.after(() => bob.close());
      await bob.upgraded();
      let pings = 0;
      await within(
        new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
          bob.engine.on('ping', () => (pings += 1) === 3 && resolve());
        }),
        'three pings arrive',
      );
      const nat = await Peer.join(server, room, 'nat');
      await bob.receives('new-peer', { senderId: 'nat' });
      assert.deepEqual(await bob.ask('hello', 1, 'nat'), { ok: true });
      await nat.receives({ type: 'hello', from: 'bob', payload: 1 });
    });
  });
}

test('a client without a room cannot connect', async (t) => {
  const eve = new SocketIoPeer(workerd.at.open.origin, undefined, { mode: 'polling only' });
  t.after(() => eve.close());
  const [error] = await eve.fires('connect_error');
  assert.equal(error.context.status, 400);
});

/** Returns a room token. @param {object} claims */
function sign(claims) {
  const encode = (/** @type {object} */ part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}
