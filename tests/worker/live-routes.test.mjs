// @ts-check
/**
 * Tests the routes of live sessions: who may create, stop and read a session, the bodies, and the
 * answers. No device joins here, so no request to a media server is sent.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { once } from 'node:events';
import http from 'node:http';
import { newRoom } from '../support/browser.mjs';
import { assertError } from '../support/errors.mjs';
import { HttpPeer } from '../support/http-peer.mjs';
import { LIVE_KEY, NO_MEDIA } from '../support/live.mjs';
import { joinPath, Peer } from '../support/peer.mjs';
import { ROOM_SECRET, sign as signToken } from '../support/token.mjs';
import { WorkerLog } from '../support/worker-log.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const HOURS = 60 * 60;

/** @typedef {import('../support/workerd.mjs').Server} Server */
/** @type {import('../support/workerd.mjs').Workerd<'open' | 'keyed' | 'listed' | 'unset' | 'broken'>} */
let workerd;
const log = new WorkerLog();
before(async () => {
  const instances = {
    open: NO_MEDIA,
    keyed: { ...NO_MEDIA, LIVE_KEY, ROOM_SECRET },
    listed: { ...NO_MEDIA, LIVE_KEY, ALLOWED_ORIGINS: 'https://game.example' },
    unset: {},
    broken: { ...NO_MEDIA, LIVE_KEY: 'short' },
  };
  workerd = await startWorkerd(instances, { log: log.add });
});
after(() => workerd?.stop());

/**
 * Sends a request with a JSON body.
 * @param {Server} server
 * @param {string} path
 * @param {unknown} body a string is sent unchanged, any other value as JSON
 * @param {Record<string, string>} [headers]
 */
function post(server, path, body, headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return server.request(path, { method: 'POST', headers, body: text });
}

/** @param {string} token */
const bearer = (token) => ({ Authorization: `Bearer ${token}` });

/** Signs a token that expires in a minute. @param {Record<string, unknown>} claims */
const sign = (claims) => signToken({ exp: Math.floor(Date.now() / 1000) + 60, ...claims });

describe('creating a session', () => {
  test('the answer names the session, and says how to join it', async () => {
    const session = newRoom();
    const from = Math.floor(Date.now() / 1000);
    const created = await post(workerd.at.open, '/create-session', {
      deviceId: 'camera',
      sessionId: session,
    });
    const { expiresAt, ...rest } = JSON.parse(created.text);
    assert.deepEqual(
      [created.status, rest],
      [
        201,
        {
          sessionId: session,
          deviceId: 'camera',
          notified: false,
          socket: { path: '/socket.io/', query: { room: session } },
        },
      ],
    );
    const to = Math.floor(Date.now() / 1000);
    assert.ok(from + 4 * HOURS <= expiresAt && expiresAt <= to + 4 * HOURS, `${expiresAt}`);
  });

  test('the server names a session that the request does not name', async () => {
    const create = async () =>
      JSON.parse((await post(workerd.at.open, '/create-session', { deviceId: 'camera' })).text);
    const [one, other] = [await create(), await create()];
    assert.match(one.sessionId, /^[0-9a-f]{32}$/);
    assert.notEqual(one.sessionId, other.sessionId);
  });

  test('the same request again answers 200, and another device is refused', async () => {
    const server = workerd.at.open;
    const body = { deviceId: 'camera', sessionId: newRoom(), expiresIn: 60 };
    assert.equal((await post(server, '/create-session', body)).status, 201);
    assert.equal((await post(server, '/create-session', body)).status, 200);
    const other = await post(server, '/create-session', { ...body, deviceId: 'drone' });
    assert.match(assertError(other, 409, 'session-exists'), /camera/);
  });

  test('the tokens in the answer admit the device and the viewers, until the session ends', async () => {
    const server = workerd.at.keyed;
    const body = { deviceId: 'camera', sessionId: newRoom(), expiresIn: 60 };
    const { text } = await post(server, '/create-session', body, bearer(LIVE_KEY));
    const { deviceToken, viewerToken, expiresAt } = JSON.parse(text);
    const claims = (/** @type {string} */ token) =>
      JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
    const { room, sub } = { room: body.sessionId, sub: 'camera' };
    assert.deepEqual(claims(deviceToken), { room, sub, exp: expiresAt });
    assert.deepEqual(claims(viewerToken), { room, viewerOf: 'camera', exp: expiresAt });
    const eve = await Peer.connect(server, room, { id: 'camera', token: viewerToken });
    await eve.receivesError('unauthorized');
    await eve.isClosed(4010, 'unauthorized');
    await Peer.join(server, room, 'camera', { token: deviceToken });
    await Peer.join(server, room, 'ann', { token: viewerToken });
    for (const token of [deviceToken, viewerToken]) {
      const other = new HttpPeer(server, 'another', 'eve', { token });
      assert.equal((await other.register()).status, 401);
      const stopped = await post(server, '/live/stop', { sessionId: room }, bearer(token));
      assertError(stopped, 401, 'unauthorized');
    }
  });

  test('an invalid body is refused, and creates no session', async () => {
    const server = workerd.at.open;
    const sessionId = newRoom();
    const good = { deviceId: 'camera', sessionId };
    for (const [body, code] of [
      ['', 'malformed'],
      ['[]', 'malformed'],
      [{ sessionId }, 'malformed'],
      [{ ...good, deviceId: '~live' }, 'bad-id'],
      [{ ...good, sessionId: 'x'.repeat(129) }, 'bad-room'],
      [{ ...good, tracks: ['screen'] }, 'malformed'],
      [{ ...good, expiresIn: 24 * HOURS + 1 }, 'malformed'],
      [{ ...good, whip: true }, 'malformed'],
      [{ ...good, notify: 'https://push.example' }, 'bad-notify'],
    ])
      assertError(await post(server, '/create-session', body), 400, String(code));
    const large = JSON.stringify(good).padEnd(16 * 1024 + 1);
    assertError(await post(server, '/create-session', large), 413, 'too-large');
    assertError(await server.request(`/live/${sessionId}`), 404, 'no-such-session');
    const largest = JSON.stringify(good).padEnd(16 * 1024);
    assert.equal((await post(server, '/create-session', largest)).status, 201);
  });

  test('without a media server, the answer says what to set', async () => {
    const refused = await post(workerd.at.unset, '/create-session', { deviceId: 'camera' });
    assert.match(assertError(refused, 503, 'not-configured'), /MEDIA_APP.*MEDIA_SECRET/);
    // Anybody can send such requests, so they must not fill the log. The next line shows that the log
    // is read.
    const broken = await post(workerd.at.broken, '/create-session', { deviceId: 'camera' });
    assert.match(assertError(broken, 500, 'bad-setting'), /LIVE_KEY/);
    await log.lines('bad-setting', 1);
    assert.ok(!log.text.includes('not-configured'), log.text);
  });

  test('requests count towards the rate limit of an address, so that nobody guesses the key', async () => {
    const headers = { 'CF-Connecting-IP': '203.0.113.77' };
    const send = () => post(workerd.at.keyed, '/create-session', '{}', headers);
    // 600 a minute are allowed, and the minute may end meanwhile.
    for (let sent = 0; sent < 1250; sent += 50) {
      const answers = await Promise.all(Array.from({ length: 50 }, send));
      const refused = answers.find(({ status }) => status === 429);
      if (refused) return void assertError(refused, 429, 'too-fast');
      assert.ok(answers.every(({ status }) => status === 401));
    }
    assert.fail('no request is refused');
  });
});

describe('who may create a session', () => {
  const create = (/** @type {Server} */ server, /** @type {Record<string, string>} */ headers) =>
    post(server, '/create-session', { deviceId: 'camera' }, headers);

  test('with LIVE_KEY, only a request with the key', async () => {
    assert.equal((await create(workerd.at.keyed, bearer(LIVE_KEY))).status, 201);
    const token = sign({ room: '*', live: 'control' });
    for (const headers of [{}, bearer(`${LIVE_KEY}x`), bearer(LIVE_KEY.slice(1)), bearer(token)]) {
      const refused = await create(workerd.at.keyed, headers);
      assertError(refused, 401, 'unauthorized');
      assert.equal(refused.headers['www-authenticate'], 'Bearer');
    }
    const inUrl = `/create-session?token=${encodeURIComponent(LIVE_KEY)}`;
    assertError(await post(workerd.at.keyed, inUrl, '{}'), 401, 'unauthorized');
  });

  test('without LIVE_KEY, only this machine', async () => {
    const { open } = workerd.at;
    /** @type {Record<string, string>[]} */
    const own = [
      {},
      { Host: `localhost:${open.port}`, Origin: `http://localhost:${open.port}` },
      { Host: '[::1]', 'CF-Connecting-IP': '127.0.0.1' },
      { 'CF-Connecting-IP': '::1' },
    ];
    for (const headers of own) assert.equal((await create(open, headers)).status, 201);
    /** @type {Record<string, string>[]} */
    const others = [
      { Host: 'live.example' },
      { Host: 'localhost.example' },
      { Host: '127.0.0.1.example' },
      { 'CF-Connecting-IP': '203.0.113.7' },
      { 'CF-Connecting-IP': 'nonsense' },
      { Origin: 'https://evil.example' },
      { Origin: 'null' },
      { Host: 'live.example', ...bearer(LIVE_KEY) },
    ];
    for (const headers of others) {
      const refused = await create(open, headers);
      assert.match(assertError(refused, 503, 'not-configured'), /LIVE_KEY/);
    }
  });

  test('pages of other origins are refused, and those of listed origins may read the answer', async () => {
    const { listed } = workerd.at;
    const evil = { ...bearer(LIVE_KEY), Origin: 'https://evil.example' };
    assertError(await create(listed, evil), 403, 'forbidden-origin');
    const Origin = 'https://game.example';
    const created = await create(listed, { ...bearer(LIVE_KEY), Origin });
    assert.equal(created.status, 201);
    assert.equal(created.headers['access-control-allow-origin'], Origin);
    const { sessionId } = JSON.parse(created.text);
    for (const answer of [
      await create(listed, { Origin }),
      await listed.request(`/live/${sessionId}`, { headers: { ...bearer(LIVE_KEY), Origin } }),
      await listed.request('/live/nothing', { headers: { ...bearer(LIVE_KEY), Origin } }),
    ])
      assert.equal(answer.headers['access-control-allow-origin'], Origin);
  });

  test('preflights are answered, and other methods are refused', async () => {
    for (const [path, methods, other] of [
      ['/create-session', 'POST, OPTIONS', 'GET'],
      ['/live/stop', 'POST, OPTIONS', 'DELETE'],
      ['/live/demo', 'GET, HEAD, OPTIONS', 'POST'],
    ]) {
      const { status, headers } = await workerd.at.keyed.request(path, { method: 'OPTIONS' });
      assert.deepEqual([status, headers['access-control-allow-methods']], [204, methods]);
      assert.match(headers['access-control-allow-headers'] ?? '', /Authorization, Content-Type/);
      const refused = await workerd.at.keyed.request(path, { method: other });
      assertError(refused, 405, 'method-not-allowed');
    }
  });
});

describe('stopping and reading a session', () => {
  async function create(server = workerd.at.keyed) {
    const body = { deviceId: 'camera', sessionId: `${newRoom()} /ä` };
    const { text } = await post(server, '/create-session', body, bearer(LIVE_KEY));
    return JSON.parse(text);
  }
  const read = (
    /** @type {string} */ session,
    /** @type {Record<string, string>} */ headers,
    query = '',
  ) => workerd.at.keyed.request(`/live/${encodeURIComponent(session)}${query}`, { headers });

  test('LIVE_KEY, the stopKey and a token with "live": "control" read and stop a session', async () => {
    const { sessionId, stopKey } = await create();
    const token = sign({ room: sessionId, live: 'control', sub: 'ann' });
    const expected = { sessionId, device: 'waiting', viewers: 0 };
    for (const answer of [
      await read(sessionId, bearer(LIVE_KEY)),
      await read(sessionId, bearer(stopKey)),
      await read(sessionId, bearer(token)),
      await read(sessionId, {}, `?token=${token}`),
    ])
      assert.deepEqual([answer.status, JSON.parse(answer.text)], [200, expected]);
    /** @type {[object, Record<string, string>, string?][]} */
    const ways = [
      [{}, bearer(LIVE_KEY)],
      [{}, bearer(stopKey)],
      [{ stopKey }, {}],
      [{}, bearer(token)],
      [{}, {}, `?token=${token}`],
    ];
    for (const [more, headers, query = ''] of ways) {
      const body = { deviceId: 'camera', sessionId };
      await post(workerd.at.keyed, '/create-session', body, bearer(LIVE_KEY));
      const stop = { sessionId, ...more };
      const stopped = await post(workerd.at.keyed, `/live/stop${query}`, stop, headers);
      assert.deepEqual([stopped.status, stopped.text], [200, '{"message":"stopped"}']);
    }
    assertError(await read(sessionId, bearer(stopKey)), 404, 'no-such-session');
  });

  test('no other credential does', async () => {
    const { sessionId } = await create();
    const { stopKey } = await create();
    const now = Math.floor(Date.now() / 1000);
    const tokens = [
      sign({ room: sessionId }),
      sign({ room: sessionId, live: 'watch' }),
      sign({ room: 'another', live: 'control' }),
      sign({ room: sessionId, live: 'control', exp: now - 1 }),
      sign({ room: sessionId, live: 'control' }).slice(0, -2),
      stopKey,
      `${LIVE_KEY}x`,
    ];
    for (const token of tokens) {
      const query = `?token=${encodeURIComponent(token)}`;
      for (const answer of [
        await read(sessionId, bearer(token)),
        await read(sessionId, {}, query),
        await post(workerd.at.keyed, '/live/stop', { sessionId }, bearer(token)),
        await post(workerd.at.keyed, `/live/stop${query}`, { sessionId }),
        await post(workerd.at.keyed, '/live/stop', { sessionId, stopKey: token }),
      ])
        assertError(answer, 401, 'unauthorized');
    }
    const good = sign({ room: sessionId, live: 'control' });
    assertError(await read(sessionId, bearer(good), `?token=${good}`), 401, 'unauthorized');
    assert.equal((await read(sessionId, bearer(LIVE_KEY))).status, 200, 'the session exists');
  });

  test('stopping closes the WebSockets of the session', async () => {
    const server = workerd.at.open;
    const sessionId = newRoom();
    await post(server, '/create-session', { deviceId: 'camera', sessionId });
    const ann = await Peer.join(server, sessionId, 'ann');
    const read = await server.request(`/live/${sessionId}`);
    assert.equal(JSON.parse(read.text).viewers, 1);
    assert.equal((await post(server, '/live/stop', { sessionId })).status, 200);
    await ann.receives({ type: 'live', from: '~live', payload: { state: 'waiting' } });
    await ann.receives({ type: 'live', from: '~live', payload: { state: 'stopped' } });
    await ann.isClosed(4011, 'live-over');
    const again = await post(server, '/live/stop', { sessionId });
    assertError(again, 404, 'no-such-session');
    assertError(await post(server, '/live/stop', { sessionId, all: true }), 400, 'malformed');
  });

  test('HEAD is answered without a body', async () => {
    const { sessionId } = await create();
    const path = `/live/${encodeURIComponent(sessionId)}`;
    const answer = await workerd.at.keyed.request(path, {
      method: 'HEAD',
      headers: bearer(LIVE_KEY),
    });
    assert.deepEqual([answer.status, answer.text], [200, '']);
  });

  test('unfinished bodies of strangers are refused, and do not keep the back end out', async () => {
    const server = workerd.at.keyed;
    const headers = { 'Content-Length': `${16 * 1024}` };
    const unfinished = Array.from({ length: 33 }, () => {
      const request = http.request({
        host: '127.0.0.1',
        port: server.port,
        path: '/live/stop',
        method: 'POST',
        headers,
        agent: false,
      });
      request.on('error', () => {}); // the test ends the requests
      request.write('{');
      return request;
    });
    const [refused] = await Promise.race(unfinished.map((request) => once(request, 'response')));
    assert.equal(refused.resume().statusCode, 429);
    assert.ok((await create()).sessionId, 'the back end creates a session');
    unfinished.forEach((request) => request.destroy());
  });

  test('a client cannot send the requests that the Worker sends to a room', async () => {
    const server = workerd.at.open;
    const sessionId = newRoom();
    await post(server, '/create-session', { deviceId: 'camera', sessionId });
    for (const path of [
      '/internal/live/stop',
      '//internal/live/stop',
      '/parties/main/../../internal/live/stop',
    ])
      for (const method of ['GET', 'POST']) {
        const Host = 'room';
        const { status } = await server.request(path, { method, headers: { Host } });
        assert.ok([404, 405].includes(status), `${method} ${path}: ${status}`);
        const join = await server.upgrade(`${path}?room=${sessionId}`, { Host });
        assert.ok([404, 405].includes(join.status), `${path}: ${join.status}`);
      }
    const read = await server.request(`/live/${sessionId}`);
    assert.equal(read.status, 200, 'the session exists');
    assert.equal((await server.upgrade(joinPath(sessionId, { id: 'ann' }))).status, 101);
  });
});
