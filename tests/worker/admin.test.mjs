// @ts-check
/**
 * Tests the requests of the operator of the server: to list the peers of a room, to remove one, and to
 * remove all.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertError } from '../support/errors.mjs';
import { HttpPeer } from '../support/http-peer.mjs';
import { mint } from '../support/jwt.mjs';
import { LIVE_KEY, NO_MEDIA } from '../support/live.mjs';
import { Peer, within } from '../support/peer.mjs';
import { MODES, SocketIoPeer } from '../support/socketio-peer.mjs';
import { ROOM_SECRET, sign } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('../support/workerd.mjs').Server} Server */
/** @type {import('../support/workerd.mjs').Workerd<'main' | 'open' | 'listed'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({
    main: { ...NO_MEDIA, LIVE_KEY, ROOM_SECRET },
    open: {},
    listed: { ROOM_SECRET, ALLOWED_ORIGINS: 'https://game.example' },
  });
});
after(() => workerd?.stop());

/** @param {string} room */
const operator = (room) => mint({ room, admin: true });
/** @param {string} token */
const bearer = (token) => ({ Authorization: `Bearer ${token}` });

/**
 * Sends a request of the operator.
 * @param {Server} server
 * @param {string} room
 * @param {'list' | 'remove' | 'close'} action
 * @param {unknown} [body] a string is sent unchanged, any other value as JSON
 * @param {Record<string, string>} [headers]
 */
function ask(server, room, action, body, headers = bearer(operator(room))) {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const path = `/admin/${encodeURIComponent(room)}/${action}`;
  return server.request(path, { method: 'POST', headers, body: text });
}

/**
 * Sends a request of the operator, asserts that it succeeds, and returns the answer.
 * @param {string} room
 * @param {'list' | 'remove' | 'close'} action
 * @param {unknown} [body]
 */
async function asks(room, action, body) {
  const { status, text, headers } = await ask(workerd.at.main, room, action, body);
  assert.equal(status, 200, text);
  assert.equal(headers['content-type'], 'application/json');
  return JSON.parse(text);
}

/**
 * Joins with a token for the room.
 * @param {string} room
 * @param {string} id
 * @param {import('../support/peer.mjs').Join} [join]
 */
const join = (room, id, join) =>
  Peer.join(workerd.at.main, room, id, { token: mint({ room }), ...join });

/**
 * Asserts that a join is refused because of a removal.
 * @param {Server} server
 * @param {string} room
 * @param {import('../support/peer.mjs').Join} join
 */
async function isRemoved(server, room, join) {
  const peer = await Peer.connect(server, room, { token: mint({ room }), ...join });
  await peer.receivesError('removed');
  await peer.isClosed(4012, 'removed');
}

describe('list', () => {
  test('names all peers in the order of joining, whatever their dialect', async () => {
    const room = 'list of all';
    const token = mint({ room });
    assert.deepEqual(await asks(room, 'list'), { ids: [] });
    await join(room, 'ann');
    await new HttpPeer(workerd.at.main, room, 'bob', { token }).register();
    await Peer.connect(workerd.at.main, room, { id: 'cat', token, dialect: 'forum' });
    assert.deepEqual(await asks(room, 'list'), { ids: ['ann', 'bob', 'cat'] });
  });
});

describe('remove', () => {
  test('closes the WebSocket, informs the others, and refuses the id and the key', async () => {
    const room = 'remove ann';
    const bob = await join(room, 'bob');
    const ann = await join(room, 'ann', { key: 'key of ann' });
    await bob.receives({ type: 'peer-joined', id: 'ann', polite: true });
    assert.deepEqual(await asks(room, 'remove', { id: 'ann' }), { removed: 1 });
    await ann.isClosed(4012, 'removed');
    await bob.receives({ type: 'peer-left', id: 'ann' });
    assert.deepEqual(await asks(room, 'list'), { ids: ['bob'] });
    await isRemoved(workerd.at.main, room, { id: 'ann', key: 'key of ann' });
    await isRemoved(workerd.at.main, room, { id: 'ann' });
    await isRemoved(workerd.at.main, room, { id: 'zoe', key: 'key of ann' });
    await join(room, 'zoe');
    await join('another room', 'ann', { key: 'key of ann' });
  });

  test('refuses an id that nobody has, too', async () => {
    const room = 'remove nobody';
    assert.deepEqual(await asks(room, 'remove', { id: 'ann' }), { removed: 0 });
    await isRemoved(workerd.at.main, room, { id: 'ann' });
  });

  test('removes ids that a URL would change', async () => {
    for (const id of ['..', '.', 'a:b~c', 'list']) {
      const peer = await join('odd ids', id);
      await peer.settle();
      assert.deepEqual(await asks('odd ids', 'remove', { id }), { removed: 1 }, id);
      await peer.isClosed(4012, 'removed');
    }
  });

  for (const dialect of ['forum', 'lobby'])
    test(`closes the WebSocket of the dialect ${dialect}`, async () => {
      const join = { id: 'ann', token: mint({ room: dialect }), dialect };
      const ann = await Peer.connect(workerd.at.main, dialect, join);
      await ann.settle();
      assert.deepEqual(await asks(dialect, 'remove', { id: 'ann' }), { removed: 1 });
      await ann.isClosed(4012, 'removed');
      const again = await Peer.connect(workerd.at.main, dialect, join);
      await again.isClosed(4012, 'removed');
    });

  test('ends an event stream, and refuses the next requests of its peer', async () => {
    const room = 'remove http';
    const ann = new HttpPeer(workerd.at.main, room, 'ann', { token: mint({ room }) });
    const { key } = JSON.parse((await ann.register()).text);
    ann.credentials = { key };
    const stream = await ann.open();
    assert.deepEqual(await asks(room, 'remove', { id: 'ann' }), { removed: 1 });
    await within(stream.gone, 'the stream ends');
    assert.equal((await ann.request()).statusCode, 403);
    assertError(await ann.post({ type: 'hello' }), 403, 'removed');
    ann.credentials = { token: mint({ room }) };
    assertError(await ann.register(), 403, 'removed');
  });

  for (const mode of /** @type {import('../support/socketio-peer.mjs').Mode[]} */ (
    Object.keys(MODES)
  ))
    test(`disconnects a Socket.IO client for good, with ${mode}`, async () => {
      const room = `remove ${mode}`;
      const auth = { id: 'ann', token: mint({ room }) };
      const ann = await SocketIoPeer.join(workerd.at.main.origin, room, { auth, mode });
      try {
        await ann.upgraded();
        const disconnected = ann.fires('disconnect');
        assert.deepEqual(await asks(room, 'remove', { id: 'ann' }), { removed: 1 });
        // socket.io-client does not reconnect by itself after this reason.
        assert.deepEqual((await disconnected)[0], 'io server disconnect');
        assert.equal(ann.socket.active, false);
        ann.socket.connect();
        const [error] = await ann.fires('connect_error');
        assert.equal(error.data.code, 'removed');
      } finally {
        ann.close();
      }
    });

  test('is remembered after a crash', async () => {
    const persist = mkdtempSync(path.join(tmpdir(), 'partyline-admin-'));
    const start = () => startWorkerd({ crashed: { ROOM_SECRET } }, { persist });
    let crashing = await start();
    try {
      const removed = await ask(crashing.at.crashed, 'crash', 'remove', { id: 'ann' });
      assert.equal(removed.status, 200, removed.text);
      await crashing.stop();
      crashing = await start();
      await isRemoved(crashing.at.crashed, 'crash', { id: 'ann' });
    } finally {
      await crashing.stop();
      rmSync(persist, { recursive: true, force: true });
    }
  });

  test('needs a body that names one peer', async () => {
    /** @param {unknown} body */
    const remove = (body) => ask(workerd.at.main, 'bodies', 'remove', body);
    for (const body of [undefined, '', '[]', {}, { id: 7 }, { id: 'ann', key: 'k' }])
      assertError(await remove(body), 400, 'malformed');
    for (const id of ['', 'a b', '~live', 'x'.repeat(65)])
      assertError(await remove({ id }), 400, 'bad-id');
    assertError(await remove({ id: 'a'.repeat(16 * 1024) }), 413, 'too-large');
  });
});

describe('close', () => {
  test('removes all peers of the room, and bans nobody', async () => {
    const room = 'close';
    const token = mint({ room });
    const ann = await join(room, 'ann', { key: 'key of ann' });
    const bob = new HttpPeer(workerd.at.main, room, 'bob', { token });
    const { key } = JSON.parse((await bob.register()).text);
    bob.credentials = { key };
    const stream = await bob.open();
    const other = await join('not closed', 'ann');
    assert.deepEqual(await asks(room, 'close'), { removed: 2 });
    await ann.isClosed(4012, 'removed');
    await within(stream.gone, 'the stream ends');
    assert.deepEqual(await asks(room, 'list'), { ids: [] });
    assert.deepEqual(await asks(room, 'close'), { removed: 0 });
    await join(room, 'ann', { key: 'key of ann' });
    await other.settle();
    assert.ok(other.open);
  });

  test('ends the live session', async () => {
    const server = workerd.at.main;
    const headers = bearer(LIVE_KEY);
    const body = JSON.stringify({ sessionId: 'close live', deviceId: 'camera' });
    const created = await server.request('/create-session', { method: 'POST', headers, body });
    assert.equal(created.status, 201, created.text);
    const status = () => server.request('/live/close%20live', { headers });
    assert.equal((await status()).status, 200);
    assert.deepEqual(await asks('close live', 'close'), { removed: 0 });
    assertError(await status(), 404, 'no-such-session');
  });
});

describe('the token', () => {
  const claims = { room: 'guarded', admin: true };
  /** @type {Record<string, string>} */
  const refused = {
    'without the claim': mint({ room: 'guarded' }),
    'with the claim as text': mint({ ...claims, admin: 'true' }),
    'with the claim as a number': mint({ ...claims, admin: 1 }),
    'with the claim false': mint({ ...claims, admin: false }),
    'with the claim live': mint({ room: 'guarded', live: 'control' }),
    'for another room': mint({ ...claims, room: 'guarded2' }),
    'without a room': mint({ admin: true }),
    'of another secret': mint(claims, `${ROOM_SECRET}2`),
    'that has expired': mint({ ...claims, exp: Math.floor(Date.now() / 1000) - 1 }),
    'without a signature': sign({ ...claims, exp: 9e9 }, { alg: 'none' }),
    'that is empty': '',
  };
  for (const [name, token] of Object.entries(refused))
    test(`${name} permits nothing`, async () => {
      const ann = await join('guarded', 'ann');
      for (const action of /** @type {const} */ (['list', 'remove', 'close'])) {
        const answer = await ask(
          workerd.at.main,
          'guarded',
          action,
          { id: 'ann' },
          token ? bearer(token) : {},
        );
        assertError(answer, 401, 'unauthorized');
        assert.equal(answer.headers['www-authenticate'], 'Bearer');
      }
      await ann.settle();
      assert.ok(ann.open);
      await ann.close(1000);
    });

  test('is accepted for all rooms, for any sub, and in the URL', async () => {
    const server = workerd.at.main;
    for (const token of [
      mint({ room: '*', admin: true }),
      mint({ ...claims, sub: 'ann' }),
      mint({ ...claims, sub: '~live' }),
    ])
      assert.equal((await ask(server, 'guarded', 'list', '', bearer(token))).status, 200);
    const path = `/admin/guarded/list?token=${mint(claims)}`;
    assert.equal((await server.request(path, { method: 'POST' })).status, 200);
    const twice = { method: 'POST', headers: bearer(mint(claims)) };
    assertError(await server.request(path, twice), 401, 'unauthorized');
  });

  test('that is missing is named by the message, with its claim', async () => {
    const message = assertError(
      await ask(workerd.at.main, 'guarded', 'list', '', {}),
      401,
      'unauthorized',
    );
    assert.match(message, /no token.*"admin".*true/);
  });

  test('is checked before the body is read', async () => {
    const { port } = workerd.at.main;
    const options = { host: '127.0.0.1', port, method: 'POST', path: '/admin/guarded/remove' };
    const request = http.request({ ...options, headers: { 'Content-Length': '100' } });
    request.on('error', () => {}); // the request is destroyed in the middle of its body
    request.write('{');
    const [response] = await within(once(request, 'response'), 'the server answers');
    assert.equal(response.statusCode, 401);
    request.destroy();
  });
});

test('without ROOM_SECRET, there is no operator', async () => {
  const server = workerd.at.open;
  const ann = await Peer.join(server, 'guarded', 'ann');
  for (const action of /** @type {const} */ (['list', 'remove', 'close'])) {
    const answer = await ask(server, 'guarded', action, { id: 'ann' });
    assert.match(assertError(answer, 503, 'not-configured'), /ROOM_SECRET/);
  }
  await ann.settle();
  assert.ok(ann.open);
});

test('the path allows POST, and pages of an allowed origin may send it', async () => {
  const server = workerd.at.listed;
  const Origin = 'https://game.example';
  const asked = await server.request('/admin/guarded/list', {
    method: 'OPTIONS',
    headers: { Origin },
  });
  assert.equal(asked.status, 204);
  assert.equal(asked.headers['access-control-allow-methods'], 'POST, OPTIONS');
  assert.match(asked.headers['access-control-allow-headers'] ?? '', /Authorization/);
  const headers = { ...bearer(operator('guarded')), Origin };
  const listed = await ask(server, 'guarded', 'list', '', headers);
  assert.equal(listed.headers['access-control-allow-origin'], Origin);
  const elsewhere = { ...headers, Origin: 'https://evil.example' };
  assertError(await ask(server, 'guarded', 'list', '', elsewhere), 403, 'forbidden-origin');
  const got = await server.request('/admin/guarded/list', { headers: { Origin } });
  assertError(got, 405, 'method-not-allowed');
  assert.equal(got.headers.allow, 'POST, OPTIONS');
});
