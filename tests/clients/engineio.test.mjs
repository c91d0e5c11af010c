// @ts-check
/**
 * Engine.IO, packet by packet: what the protocol requires of a server. Most tests talk to the echo
 * application of `src/shell/engine/echo.js`. The others talk to a room.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineSocket, PollingSession, SEPARATOR } from '../support/engine-session.mjs';
import { Peer } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'echo' | 'suite' | 'open' | 'origins' | 'limited'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({
    echo: { TEST_ECHO: 'slow', PING_INTERVAL: '3' },
    suite: { TEST_ECHO: 'true' },
    open: {},
    origins: { ALLOWED_ORIGINS: 'https://game.example' },
    limited: {},
  });
});
after(() => workerd?.stop());

/** The answer to a poll that waits when its session ends, or that arrives later. */
const ENDED = /^1$|Session ID unknown/;
const ENGINE = '/test/echo/engine.io/?';
const SOCKET = '/test/echo/socket.io/?';
const polling = () => PollingSession.open(workerd.at.echo, ENGINE);
const websocket = () => EngineSocket.open(workerd.at.echo, ENGINE);

describe('the handshake', () => {
  test('tells the times and the limit, and whether the client may upgrade', async () => {
    const { suite } = workerd.at;
    for (const [session, upgrades] of /** @type {const} */ ([
      [await PollingSession.open(suite, ENGINE), ['websocket']],
      [await EngineSocket.open(suite, ENGINE), []],
    ])) {
      const { sid, ...rest } = session.handshake;
      assert.match(sid, /^[\w-]{22}$/);
      const expected = { upgrades, pingInterval: 300, pingTimeout: 200, maxPayload: 1_000_000 };
      assert.deepEqual(rest, expected);
      if (session instanceof EngineSocket) await session.close();
    }
  });

  test('has the settings of the server in a room', async () => {
    const { handshake } = await PollingSession.open(workerd.at.open, '/socket.io/?room=demo&');
    const { pingInterval, pingTimeout, maxPayload } = handshake;
    assert.deepEqual([pingInterval, pingTimeout, maxPayload], [25_000, 20_000, 131_072]);
  });

  test('is refused with an error of Engine.IO', async () => {
    const { echo, open } = workerd.at;
    const unknown = `sid=${'x'.repeat(22)}`;
    for (const [server, method, path, code] of /** @type {const} */ ([
      [echo, 'GET', `${ENGINE}transport=polling`, 5],
      [echo, 'GET', `${ENGINE}EIO=abc&transport=polling`, 5],
      [echo, 'GET', `${ENGINE}EIO=4`, 0],
      [echo, 'GET', `${ENGINE}EIO=4&transport=abc`, 0],
      [echo, 'GET', `${ENGINE}EIO=4&transport=websocket`, 3],
      [echo, 'POST', `${ENGINE}EIO=4&transport=polling`, 2],
      [echo, 'PUT', `${ENGINE}EIO=4&transport=polling`, 2],
      [echo, 'GET', `${ENGINE}EIO=4&transport=polling&sid=abc`, 1],
      [echo, 'GET', `${ENGINE}EIO=4&transport=polling&${unknown}`, 1],
      [echo, 'POST', `${ENGINE}EIO=4&transport=polling&${unknown}`, 1],
      [open, 'GET', '/socket.io/?EIO=4&transport=polling', 3],
      [open, 'GET', '/socket.io/?EIO=4&transport=polling&room=', 3],
    ])) {
      const { status, text } = await server.request(path, { method });
      assert.equal(status, 400, path);
      assert.equal(JSON.parse(text).code, code, `${method} ${path}: ${text}`);
      assert.ok(JSON.parse(text).message);
    }
    const upgrade = await open.upgrade('/socket.io/?EIO=4&transport=websocket');
    assert.equal(upgrade.status, 400);
  });

  test('is counted by the join limit', async () => {
    const headers = { 'CF-Connecting-IP': '203.0.113.7' };
    const { limited } = workerd.at;
    const path = '/socket.io/?EIO=4&transport=polling&room=demo';
    assert.equal((await limited.request(path, { headers })).status, 200);
    // The limit is 600. These requests create no objects, so they are faster.
    const events = () => limited.request('/events/demo/bob', { headers });
    for (let n = 0; n < 620; n += 62) await Promise.all(Array.from({ length: 62 }, events));
    assert.equal((await limited.request(path, { headers })).status, 429);
    const other = { 'CF-Connecting-IP': '203.0.113.8' };
    assert.equal((await limited.request(path, { headers: other })).status, 200);
  });
});

describe('origins', () => {
  const path = '/socket.io/?EIO=4&transport=polling&room=demo';

  test('a page of another origin may read the responses unless origins are configured', async () => {
    const headers = { Origin: 'https://game.example' };
    const { open, origins } = workerd.at;
    const allowed = async (/** @type {any} */ answer) =>
      (await answer).headers['access-control-allow-origin'];
    assert.equal(await allowed(open.request(path, { headers })), '*');
    assert.equal(await allowed(origins.request(path, { headers })), 'https://game.example');
    const unknown = await origins.request(`${path}&sid=${'x'.repeat(22)}`, { headers });
    assert.equal(unknown.headers['access-control-allow-origin'], 'https://game.example');
    const preflight = await open.request(path, { method: 'OPTIONS', headers });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers['access-control-allow-methods'], 'GET, POST, OPTIONS');
  });

  test('a page of an origin that is not listed is refused', async () => {
    const headers = { Origin: 'https://evil.example' };
    const { origins } = workerd.at;
    assert.equal((await origins.request(path, { headers })).status, 403);
    const upgrade = await origins.upgrade(path.replace('polling', 'websocket'), headers);
    assert.equal(upgrade.status, 403);
  });
});

test('the echo applications exist only with the variable TEST_ECHO', async () => {
  for (const path of [ENGINE, SOCKET]) {
    const { status } = await workerd.at.open.request(`${path}EIO=4&transport=polling`);
    assert.equal(status, 404);
  }
  const room = 'test%2Fecho%2Fengine.io';
  const session = await PollingSession.open(workerd.at.open, `/socket.io/?room=${room}&`);
  assert.equal(session.handshake.pingInterval, 25_000, 'this is an ordinary room');
});

describe('polling', { concurrency: true }, () => {
  test('carries several packets in one body, also binary packets', async () => {
    const session = await polling();
    await session.sends('4hello', '4ä', 'bAQIDBA==');
    await session.receives('4hello', '4ä', 'bAQIDBA==');
  });

  test('answers a poll when a packet arrives', async () => {
    const session = await polling();
    const poll = session.receives('4hello');
    await session.sends('4hello');
    await poll;
  });

  for (const [what, body] of Object.entries({
    'an unknown type': 'abc',
    'an empty packet': '',
    'a ping, which only the server sends': '2',
    'invalid base64': 'b%%%',
    'an invalid packet after a valid one': `4hello${SEPARATOR}9`,
  }))
    test(`ends the session after ${what}`, async () => {
      const session = await polling();
      assert.equal((await session.post(body)).status, 400);
      await session.hasEnded();
    });

  test('ends the session after a body that is too large', async () => {
    const session = await PollingSession.open(workerd.at.open, '/socket.io/?room=large&');
    assert.equal((await session.post(`4${'x'.repeat(131_072)}`)).status, 413);
    await session.hasEnded();
  });

  test('ends the session when the client leaves too much unread', async () => {
    const session = await polling();
    for (let n = 0; n < 10; n += 1) await session.post(`4${'x'.repeat(131_000)}`);
    await session.hasEnded();
  });

  test('ends the session after two polls that overlap', async () => {
    const session = await polling();
    const polls = await Promise.all([session.poll(), session.poll()]);
    const bodies = polls.map(({ text }) => text).sort();
    assert.equal(bodies[0], '1');
    assert.equal(JSON.parse(bodies[1]).code, 3);
    await session.hasEnded();
  });

  test('ends the session after the packet `1`, and answers the poll that waits', async () => {
    const session = await polling();
    const poll = session.poll();
    await session.sends('1');
    // The server may receive the `POST` first.
    assert.match((await poll).text, /^6$|Session ID unknown/);
    await session.hasEnded();
  });

  test('sends pings, and ends the session without a pong', async () => {
    const session = await polling();
    await session.receives('2');
    await session.sends('3');
    await session.receives('2');
    assert.match((await session.poll()).text, ENDED);
    await session.hasEnded();
  });

  test('a session that is never polled ends', async () => {
    const session = await polling();
    // A `POST` is no poll. The pings that the client does not poll have no pong.
    while ((await session.post('4hello')).status === 200) await sleep(100);
    await session.hasEnded();
  });
});

describe('a WebSocket', { concurrency: true }, () => {
  test('carries text and binary packets', async () => {
    const session = await websocket();
    session.send('4hello', Buffer.from([1, 2, 3, 4]));
    await session.receives('4hello', Buffer.from([1, 2, 3, 4]));
    await session.close();
  });

  for (const packet of ['abc', '', '2', '5', '1'])
    test(`is closed after the packet \`${packet}\``, async () => {
      const session = await websocket();
      session.send(packet);
      await session.hasEnded();
    });

  test('is closed after a packet that is too large', async () => {
    const session = await websocket();
    session.send(`4${'x'.repeat(131_072)}`);
    await session.hasEnded();
  });

  test('carries pings, and is closed without a pong', async () => {
    const session = await websocket();
    await session.receives('2');
    session.send('3');
    await session.receives('2');
    await session.hasEnded();
  });
});

describe('the change to a WebSocket', { concurrency: true }, () => {
  const upgrade = (/** @type {PollingSession} */ session) =>
    EngineSocket.connect(workerd.at.echo, ENGINE, session.sid);

  test('keeps the session and the order of its packets', async () => {
    const session = await polling();
    const socket = await upgrade(session);
    const poll = session.receives('6');
    socket.send('2probe');
    await socket.receives('3probe');
    await poll;
    await session.sends('4one', '4two', 'bAw==');
    socket.send('5', '4four');
    await socket.receivesBetweenPings('4one', '4two', Buffer.from([3]), '4four');
    await session.hasEnded();
    await socket.close();
  });

  test('answers a poll that still waits with an error', async () => {
    const session = await polling();
    const poll = session.poll();
    const socket = await upgrade(session);
    // Without a probe, no timer ends the poll.
    socket.send('5', '4hello');
    assert.equal((await poll).status, 400);
    await socket.receivesBetweenPings('4hello');
    assert.equal((await session.poll()).status, 400);
    await socket.close();
  });

  test('is allowed once', async () => {
    const session = await polling();
    const socket = await upgrade(session);
    const second = await upgrade(session);
    await second.hasEnded();
    socket.send('2probe', '5', '4hello');
    await socket.receivesBetweenPings('3probe', '4hello');
    const third = await upgrade(session);
    await third.hasEnded();
    await socket.close();
  });

  test('fails for a session that does not exist', async () => {
    const socket = await EngineSocket.connect(workerd.at.echo, ENGINE, 'x'.repeat(22));
    await socket.hasEnded();
  });

  for (const packets of [['4hello'], ['2'], ['2probe', '4hello'], ['2probe']])
    test(`does not disturb polling if it fails after ${packets}`, async () => {
      const session = await polling();
      const socket = await upgrade(session);
      socket.send(...packets);
      if (packets.at(-1) !== '2probe') await socket.hasEnded();
      else {
        await socket.receives('3probe');
        await socket.close();
      }
      await session.sends('4still here');
      await session.receives('4still here');
    });

  test('does not change the time of the next ping', async () => {
    const session = await polling();
    await session.receives('2');
    const socket = await upgrade(session);
    const later = await websocket();
    // The session still waits for the pong of the ping that was polled, so it pings again at once.
    socket.send('2probe', '5');
    await socket.receives('3probe');
    const first = await Promise.race([
      socket.next().then(() => 'upgraded'),
      later.next().then(() => 'later'),
    ]);
    assert.equal(first, 'upgraded');
    socket.send('3', '4hello');
    await socket.receivesBetweenPings('4hello');
    await Promise.all([socket.close(), later.close()]);
  });

  test('keeps a client in its room', async () => {
    const { open } = workerd.at;
    const path = '/socket.io/?room=upgrade&';
    const nat = await Peer.join(open, 'upgrade', 'nat');
    const session = await PollingSession.open(open, path);
    await session.sends('40{"id":"bob","key":"k"}');
    await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
    const socket = await EngineSocket.connect(open, path, session.sid);
    socket.send('2probe');
    await socket.receives('3probe');
    // Nobody polls these packets, so the WebSocket delivers them first.
    await session.sends('42["from-bob",1,"nat"]');
    await nat.receives({ type: 'from-bob', from: 'bob', payload: 1 });
    nat.send({ type: 'from-nat', to: 'bob', payload: 1 });
    await nat.settle();
    socket.send('5', '42["from-bob",2,"nat"]');
    await nat.receives({ type: 'from-bob', from: 'bob', payload: 2 });
    nat.send({ type: 'from-nat', to: 'bob', payload: 2 });
    assert.match(String(await socket.next()), /^40{"sid":"bob","pid":"[\w-]+"}$/);
    await socket.receives(
      '42["peers",[{"id":"nat","polite":false}]]',
      '42["from-nat",1,"nat"]',
      '42["from-nat",2,"nat"]',
    );
    socket.send('41');
    await nat.receives({ type: 'peer-left', id: 'bob' });
    await socket.close();
  });

  test('is possible before the client has joined its room', async () => {
    const { open } = workerd.at;
    const path = '/socket.io/?room=early&';
    const session = await PollingSession.open(open, path);
    await session.sends('40/chat,');
    const socket = await EngineSocket.connect(open, path, session.sid);
    socket.send('2probe', '5', '40{"id":"bob"}');
    await socket.receives('3probe', '44/chat,{"message":"Invalid namespace"}');
    assert.match(String(await socket.next()), /^40{"sid":"bob"/);
    await socket.close();
  });
});
