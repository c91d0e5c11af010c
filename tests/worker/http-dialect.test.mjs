// @ts-check
/**
 * Tests the HTTP dialect on workerd: responses to all requests, and the lifetime of event streams.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { assertError } from '../support/errors.mjs';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer, expectQuiet, within } from '../support/peer.mjs';
import { times } from '../support/tier.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const MAX = 64 * 1024;

/** @type {import('../support/workerd.mjs').Workerd<'shipped' | 'pinging' | 'strict' | 'small'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({
    shipped: {},
    pinging: { PING_INTERVAL: '1' },
    strict: { PING_INTERVAL: '1', RECONNECT_GRACE: '0' },
    small: { MAX_PEERS: '1' },
  });
});
after(() => workerd?.stop());

describe('POST /register', () => {
  test('a registration returns a key and the peers in the room', async () => {
    const ann = await Peer.join(workerd.at.shipped, 'register', 'ann');
    const bob = new HttpPeer(workerd.at.shipped, 'register', 'bob');
    const { status, headers, text } = await bob.register();
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/json');
    const { key, ...rest } = JSON.parse(text);
    assert.match(key, /^[0-9a-f]{32}$/, '128 random bits');
    const peers = [{ id: 'ann', polite: false }];
    assert.deepEqual(rest, { message: 'session registered successfully', id: 'bob', peers });
    await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
    const again = JSON.parse((await bob.register()).text);
    assert.notEqual(again.key, key, 'each registration has a new key');
    await expectQuiet(ann);
  });

  test('a registration with a key returns that key', async () => {
    const bob = new HttpPeer(workerd.at.shipped, 'own-key', 'bob', { key: 'a b&ä' });
    assert.equal(JSON.parse((await bob.register()).text).key, 'a b&ä');
  });

  test('a registration is refused with 409 when the room is full or the id is taken', async () => {
    assert.equal((await new HttpPeer(workerd.at.small, 'full', 'ann').register()).status, 200);
    assertError(await new HttpPeer(workerd.at.small, 'full', 'bob').register(), 409, 'room-full');
    await Peer.join(workerd.at.shipped, 'taken', 'ann', { key: 'secret of ann' });
    for (const key of [undefined, 'guess']) {
      const eve = new HttpPeer(workerd.at.shipped, 'taken', 'ann', { key });
      assertError(await eve.register(), 409, 'id-taken');
    }
  });

  test('an encoded name is accepted, and an invalid name is refused', async () => {
    const { shipped } = workerd.at;
    const ann = await HttpPeer.join(shipped, 'ä / b', 'a~b:c.d_e-');
    assert.equal((await shipped.status('ä / b')).peers, 1);
    await ann.sends({ type: 'x', target: 'a~b:c.d_e-' });
    await ann.receives('{"type":"x","payload":null,"senderId":"a~b:c.d_e-"}');
    for (const call of ['register', 'message']) {
      const post = (/** @type {string} */ path) =>
        shipped.request(`/${call}${path}`, { method: 'POST' });
      assertError(await post('/a/b%20c'), 400, 'bad-id');
      assertError(await post(`/a/${'x'.repeat(65)}`), 400, 'bad-id');
      assertError(await post('/a/'), 400, 'bad-id');
      assertError(await post('//ann'), 400, 'bad-room');
      assertError(await post('/%zz/ann'), 400, 'bad-room');
      assertError(await post('/a/ann?key='), 400, 'bad-key');
      for (const path of ['', '/', '/a', '/a/b/c', '/a/b/'])
        assertError(await post(path), 404, 'not-found');
    }
  });
});

describe('methods', () => {
  test('a request with another method gets a 405 response with an Allow header', async () => {
    for (const [path, allowed] of /** @type {const} */ ([
      ['/register/methods/ann', ['OPTIONS', 'POST']],
      ['/message/methods/ann', ['OPTIONS', 'POST']],
      ['/events/methods/ann', ['GET', 'HEAD', 'OPTIONS']],
    ])) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH']) {
        if (allowed.some((each) => each === method)) continue;
        const { status, headers } = await workerd.at.shipped.request(path, { method });
        assert.equal(status, 405, `${method} ${path}`);
        assert.deepEqual((headers.allow ?? '').split(', ').sort(), allowed);
      }
    }
    assert.equal((await workerd.at.shipped.status('methods')).peers, 0);
  });

  test('a CORS preflight gets a response with the allowed methods and headers', async () => {
    for (const [path, method] of [
      ['/register/preflight/ann', 'POST'],
      ['/message/preflight/ann', 'POST'],
      ['/events/preflight/ann', 'GET'],
    ]) {
      const headers = {
        Origin: 'https://game.example',
        'Access-Control-Request-Method': method,
        'Access-Control-Request-Headers': 'content-type,authorization,last-event-id',
      };
      const answer = await workerd.at.shipped.request(path, { method: 'OPTIONS', headers });
      assert.equal(answer.status, 204);
      assert.equal(answer.headers['access-control-allow-origin'], '*');
      assert.ok(`${answer.headers['access-control-allow-methods']}`.split(', ').includes(method));
      const allowed = `${answer.headers['access-control-allow-headers']}`.toLowerCase().split(', ');
      for (const name of ['content-type', 'authorization', 'last-event-id'])
        assert.ok(allowed.includes(name));
    }
    assert.equal((await workerd.at.shipped.status('preflight')).peers, 0);
  });

  test('every response has CORS headers, including errors', async () => {
    const ann = new HttpPeer(workerd.at.shipped, 'cors', 'ann', {
      headers: { Origin: 'https://a.example' },
    });
    for (const { headers } of [
      await ann.post({ type: 'x' }),
      await ann.register(),
      await ann.post({ type: 'x' }),
    ])
      assert.equal(headers['access-control-allow-origin'], '*');
    const response = await ann.request();
    assert.equal(response.headers['access-control-allow-origin'], '*');
    assert.equal(response.headers['cache-control'], 'no-store');
    response.destroy();
  });

  test('a HEAD request gets a response and opens no stream', async () => {
    const ann = await HttpPeer.join(workerd.at.shipped, 'head', 'ann');
    const response = await ann.request(undefined, 'HEAD');
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers['content-type'], 'text/event-stream');
    await ann.sends({ type: 'still', target: 'ann' });
    await ann.receives('{"type":"still","payload":null,"senderId":"ann"}');
  });
});

describe('POST /message', () => {
  /** Returns a JSON signal of exactly `length` bytes. @param {number} length */
  const body = (length) => {
    const frame = (/** @type {string} */ payload) =>
      `{"type":"big","target":"ann","payload":"${payload}"}`;
    return frame('x'.repeat(length - frame('').length));
  };

  test('a body of 64 KiB is forwarded, and a body of 64 KiB + 1 is refused', async () => {
    const ann = await HttpPeer.join(workerd.at.shipped, 'bodies', 'ann');
    await ann.sends(body(MAX));
    assert.ok((await ann.next()).data.length > MAX - 50);
    assertError(await ann.post(body(MAX + 1)), 413, 'too-large');
    await ann.sends({ type: 'still', target: 'ann' });
    await ann.receives('{"type":"still","payload":null,"senderId":"ann"}');
  });

  /**
   * Sends a request whose body is incomplete, and returns the response.
   * @param {string} head
   * @param {string} part
   */
  async function answerTo(head, part) {
    const socket = net.connect({ host: '127.0.0.1', port: workerd.at.shipped.port });
    await once(socket, 'connect');
    socket.write(`POST /message/bodies/ann HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n${part}`);
    const [data] = await within(once(socket, 'data'), 'the server answers');
    socket.destroy();
    return `${data}`;
  }

  test('a request is refused before its body arrives when its Content-Length is too large', async () => {
    assert.match(await answerTo('Content-Length: 1000000000', ''), /^HTTP\/1.1 413 /);
  });

  test('a chunked body is refused when it exceeds the size limit, before its end arrives', async () => {
    const chunk = `${(16_384).toString(16)}\r\n${'x'.repeat(16_384)}\r\n`;
    const response = await answerTo('Transfer-Encoding: chunked', chunk.repeat(5));
    assert.match(response, /^HTTP\/1.1 413 /);
  });

  test('a body that is no valid signal is refused', async () => {
    const ann = await HttpPeer.join(workerd.at.shipped, 'no-signal', 'ann');
    for (const text of [
      '',
      'hello',
      '[]',
      '{}',
      '{"type":7}',
      '{"type":""}',
      `{"type":"${'x'.repeat(65)}"}`,
    ])
      assertError(await ann.post(text), 400, 'malformed');
    assertError(await ann.post('{"type":"x","to":"ann"}'), 400, 'malformed');
    assertError(await ann.post('{"type":"error","target":"ann"}'), 400, 'reserved-type');
    assertError(await ann.post('{"type":"ping","target":"ann"}'), 400, 'reserved-type');
    assertError(await ann.post('{"type":"x","target":"zed"}'), 404, 'no-such-peer');
    const { port } = workerd.at.shipped;
    const request = http.request({
      port,
      host: '127.0.0.1',
      path: ann.path('message'),
      method: 'POST',
    });
    request.end(Buffer.from([0x7b, 0xff, 0x7d]));
    const [response] = await once(request, 'response');
    assert.equal(response.statusCode, 400);
    assert.match((await response.toArray()).join(''), /UTF-8/);
  });

  test('a peer is refused when it sends too fast, and other peers are not', async () => {
    const { shipped } = workerd.at;
    const [ann, bob] = [
      await HttpPeer.join(shipped, 'fast', 'ann'),
      await HttpPeer.join(shipped, 'fast', 'bob'),
    ];
    await ann.receives('{"type":"new-peer","senderId":"bob"}');
    /** @type {import('../support/workerd.mjs').Answer[]} */
    let refused = [];
    // A slow machine needs several waves of requests to exceed the rate limit.
    for (let waves = 0; refused.length === 0 && waves < 25; waves += 1) {
      const wave = Array.from({ length: 200 }, () => ann.post({ type: 'x', target: 'ann' }));
      refused = (await Promise.all(wave)).filter(({ status }) => status !== 200);
    }
    assert.ok(refused.length > 0);
    for (const answer of refused) {
      assertError(answer, 429, 'too-fast');
      assert.match(`${answer.headers['retry-after']}`, /^\d+$/);
    }
    await bob.sends({ type: 'hello', target: 'bob' });
    await bob.receives('{"type":"hello","payload":null,"senderId":"bob"}');
  });

  test('a body of several lines is forwarded as equivalent JSON', async () => {
    const ann = await HttpPeer.join(workerd.at.shipped, 'lines', 'ann');
    await ann.sends(
      '{\n  "type": "x",\r\n  "payload": {\r\n    "a": [1,\n2],\r"b": "\\n\\u2028 "\n  },\n' +
        ' "target": "ann"\n}',
    );
    const { payload } = JSON.parse((await ann.next()).data);
    assert.deepEqual(payload, { a: [1, 2], b: '\n\u2028 ' });
  });
});

describe('event streams', () => {
  test('a ping has no event id', async () => {
    const ann = await HttpPeer.join(workerd.at.pinging, 'pings', 'ann');
    assert.ok(ann.stream);
    const { type, time, ...rest } = await ann.stream.pinged();
    assert.deepEqual([type, rest], ['ping', {}]);
    assert.equal(new Date(time).toISOString(), time);
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
    const { lastId } = ann.stream;
    await ann.stream.pinged();
    assert.equal(ann.stream.lastId, lastId);
    assert.match(lastId, /^\d+$/);
  });

  test('a disconnected client is removed within one ping interval', async () => {
    const { strict } = workerd.at;
    const ann = await HttpPeer.join(strict, 'away', 'ann');
    const bob = await HttpPeer.join(strict, 'away', 'bob');
    await ann.receives('{"type":"new-peer","senderId":"bob"}');
    assert.ok(ann.stream && bob.stream);
    // The test cuts the stream right after a ping. The next ping, which fails, follows a full
    // interval later.
    await bob.stream.pinged();
    const pings = () => ann.stream?.raw.split('"ping"').length ?? 0;
    const before = pings();
    bob.stream.cut();
    await ann.receives('{"type":"peer-left","senderId":"bob"}');
    // Ann's pings have the same interval as bob's, so she receives at most two before `peer-left`.
    assert.ok(pings() - before <= 2, `${pings() - before} pings later`);
  });

  test('a client is removed when it resets its connection before the first event', async () => {
    const { strict } = workerd.at;
    const ann = await Peer.join(strict, 'reset', 'ann');
    // A reset can arrive before, during or after a write of the server, so the test resets several
    // clients.
    const ids = new Set(Array.from({ length: times(15, 8) }, (_, n) => `bob-${n}`));
    await Promise.all(
      [...ids].map(async (id) => {
        const bob = await HttpPeer.join(strict, 'reset', id);
        bob.stream?.response.socket.resetAndDestroy();
      }),
    );
    while (ids.size) {
      const { type, id } = JSON.parse(await ann.next());
      if (type === 'peer-left') ids.delete(id);
    }
    await ann.close();
  });

  test('a broken stream resumes although the server still considers it open', async () => {
    const { shipped } = workerd.at;
    const ann = await Peer.join(shipped, 'breaks', 'ann');
    const bob = await HttpPeer.join(shipped, 'breaks', 'bob');
    await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
    const say = (/** @type {number} */ n) => ann.send({ type: 'n', to: 'bob', payload: n });
    const receives = (/** @type {number} */ n) =>
      bob.receives(`{"type":"n","payload":${n},"senderId":"ann"}`);
    say(0);
    await receives(0);
    for (let round = 0; round < times(3); round += 1) {
      bob.stream?.cut();
      await bob.stream?.gone;
      for (const n of [1, 2, 3]) say(n);
      await expectQuiet(ann);
      await bob.resume();
      for (const n of [1, 2, 3]) await receives(n);
    }
    say(4);
    await receives(4);
    assert.deepEqual(bob.stream?.unread, [], 'no event was repeated');
    assert.equal((await shipped.status('breaks')).peers, 2, 'bob never left');
  });

  test('a replaced client gets 204 when it reconnects', async () => {
    const { shipped } = workerd.at;
    const tab = await HttpPeer.join(shipped, 'replaced', 'ann');
    await tab.sends({ type: 'x', target: 'ann' });
    await tab.next();
    const other = await HttpPeer.join(shipped, 'replaced', 'ann');
    await within(/** @type {Promise<void>} */ (tab.stream?.gone), 'the older stream ends');
    const response = await tab.request(tab.stream?.lastId);
    assert.equal(response.statusCode, 204, 'EventSource does not reconnect after 204');
    await other.sends({ type: 'y', target: 'ann' });
    await other.receives('{"type":"y","payload":null,"senderId":"ann"}');
  });

  test('a stream before registration is refused with a JSON error', async () => {
    const eve = new HttpPeer(workerd.at.shipped, 'not-open', 'eve');
    const response = await eve.request();
    assert.equal(response.statusCode, 409);
    assert.equal(JSON.parse((await response.toArray()).join('')).error.code, 'not-registered');
    assert.equal((await workerd.at.shipped.status('not-open')).peers, 0);
    assertError(await eve.post({ type: 'x' }), 409, 'not-registered');
  });

  test('a client that reads nothing loses its stream, and the other streams stay open', async () => {
    const { shipped } = workerd.at;
    const bob = await HttpPeer.join(shipped, 'slow', 'bob');
    const eve = await HttpPeer.join(shipped, 'slow', 'eve');
    // 204 signals of 60 KB exceed the send buffers of the operating system and of the Worker. Each
    // peer may send 1 MiB in a burst.
    const senders = [];
    for (let n = 0; n < 12; n += 1) senders.push(await Peer.join(shipped, 'slow', `s${n}`));
    const ann = await Peer.join(shipped, 'slow', 'ann');
    bob.stream?.response.pause();
    const payload = 'x'.repeat(60_000);
    for (const sender of senders)
      for (let n = 0; n < 17; n += 1) sender.send({ type: 'big', to: 'bob', payload });
    for (const sender of senders) await sender.settle();
    ann.send({ type: 'hello', to: 'eve' });
    for (;;)
      if ((await eve.next()).data === '{"type":"hello","payload":null,"senderId":"ann"}') break;
    bob.stream?.response.resume();
    await within(/** @type {Promise<void>} */ (bob.stream?.gone), "bob's stream ends", 20_000);
    await bob.resume();
    ann.send({ type: 'hello', to: 'bob' });
    for (;;)
      if ((await bob.next()).data === '{"type":"hello","payload":null,"senderId":"ann"}') break;
    // After bob's stream has ended, the room refuses the signals that exceed his queue.
    for (const sender of senders)
      for (const frame of sender.unread.splice(0))
        assert.match(frame, /"type":"peer-joined"|"code":"mailbox-full"/);
    await expectQuiet(ann);
  });
});
