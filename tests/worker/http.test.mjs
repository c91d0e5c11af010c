// @ts-check
/** Tests the plain HTTP endpoints, and the errors for invalid requests. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SITE } from '../../scripts/site.mjs';
import { assertError } from '../support/errors.mjs';
import { joinPath, Peer, expectQuiet } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('../support/workerd.mjs').Server} Server */
/** @typedef {import('../support/workerd.mjs').Answer} Answer */

/**
 * The invalid setting of each instance: its name and value.
 * @type {Record<string, [string, string]>}
 */
const INVALID = {
  'max-peers-word': ['MAX_PEERS', 'many'],
  'max-peers-none': ['MAX_PEERS', '0'],
  'max-peers-negative': ['MAX_PEERS', '-1'],
  'grace-with-unit': ['RECONNECT_GRACE', '15s'],
  'hold-with-exponent': ['HOLD_FOR_NEXT', '1e3'],
  'origin-without-scheme': ['ALLOWED_ORIGINS', 'game.example'],
  'secret-too-short': ['ROOM_SECRET', 'short'],
};

/** @type {Awaited<ReturnType<typeof startWorkerd>>} */
let workerd;
/** @type {Server} */
let server;

before(async () => {
  const invalid = Object.entries(INVALID).map(([name, [key, value]]) => [name, { [key]: value }]);
  const instances = { open: {}, ...Object.fromEntries(invalid) };
  workerd = await startWorkerd(instances);
  server = workerd.at.open;
});
after(() => workerd?.stop());

test('/health returns the status and the version of the Worker', async () => {
  const { status, headers, text } = await server.request('/health');
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'application/json');
  const { version, ...rest } = JSON.parse(text);
  assert.deepEqual(rest, { status: 'ok' });
  assert.match(version, /^\d+\.\d+\.\d+/);
});

test('the built-in page and the library are served as files, and the Worker gets other paths', async (t) => {
  const deployed = await startWorkerd({ whole: {} }, { assets: true });
  t.after(() => deployed.stop());
  const { whole } = deployed.at;
  for (const [path, file, type] of [
    ['/', 'index.html', /^text\/html/],
    ['/room.js', 'room.js', /javascript/],
    ['/status.css', 'status.css', /^text\/css/],
  ]) {
    const { status, headers, text } = await whole.request(/** @type {string} */ (path));
    assert.equal(status, 200, `${path}`);
    assert.match(headers['content-type'] ?? '', /** @type {RegExp} */ (type));
    assert.equal(text, readFileSync(join(SITE, `${file}`), 'utf8'));
  }
  assert.equal(JSON.parse((await whole.request('/health')).text).status, 'ok');
  assertError(await whole.request('/nothing'), 404, 'not-found', '/nothing');
  const ann = await Peer.join(whole, 'demo', 'ann');
  assert.equal((await whole.status('demo')).peers, 1);
  await ann.close();
});

test('the JSON status of a room has the number of peers and no ids', async () => {
  const empty = await server.request('/parties/main/how-it-is');
  assert.equal(empty.status, 200);
  assert.equal(empty.headers['content-type'], 'application/json');
  const { awakeSince, ...rest } = JSON.parse(empty.text);
  assert.deepEqual(rest, { status: 'ok', room: 'how-it-is', peers: 0 });
  assert.equal(new Date(awakeSince).toISOString(), awakeSince);

  const ann = await Peer.join(server, 'how-it-is', 'ann-with-a-long-name');
  const bob = await Peer.join(server, 'how-it-is', 'bob-with-a-long-name');
  const { text } = await server.request('/parties/main/how-it-is');
  assert.deepEqual(JSON.parse(text), { status: 'ok', room: 'how-it-is', peers: 2, awakeSince });
  assert.doesNotMatch(text, /ann|bob/);

  await bob.close();
  assert.equal((await server.status('how-it-is')).peers, 1);
  await ann.close();
  assert.equal((await server.status('how-it-is')).peers, 0);
});

test('the status page of a room shows the number of peers and no ids', async () => {
  await Peer.join(server, 'a-page', 'ann-with-a-long-name');
  await Peer.join(server, 'a-page', 'bob-with-a-long-name');
  const headers = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
  const page = await server.request('/parties/main/a-page', { headers });
  assert.equal(page.status, 200);
  assert.match(page.headers['content-type'] ?? '', /^text\/html/);
  assert.match(page.text, /^<!doctype html>/i);
  assert.match(page.text, /<h1>a-page<\/h1>/);
  assert.match(page.text, /2 peers are here/);
  assert.doesNotMatch(page.text, /ann|bob/);
});

test('the status of a room is JSON unless the Accept header prefers HTML', async () => {
  /** @type {Record<string, string>[]} */
  const all = [{}, { Accept: '*/*' }, { Accept: 'application/json' }, { Accept: 'text/plain' }];
  for (const headers of all) {
    const answer = await server.request('/parties/main/accept', { headers });
    assert.equal(answer.headers['content-type'], 'application/json', headers.Accept);
    assert.equal(JSON.parse(answer.text).room, 'accept', headers.Accept);
  }
});

test('the name of a room is escaped on its status page', async () => {
  const name = `</h1><script>alert("1")</script>&'`;
  const headers = { Accept: 'text/html' };
  const path = `/parties/main/${encodeURIComponent(name)}`;
  const { status, text, headers: sent } = await server.request(path, { headers });
  assert.equal(status, 200);
  assert.ok(text.includes('<h1>&lt;/h1&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;'));
  assert.doesNotMatch(text, /<script/i);
  assert.equal(sent['x-content-type-options'], 'nosniff');
  assert.match(`${sent['content-security-policy']}`, /default-src 'none'/);
});

test('any room name of 1 to 128 bytes is accepted', async () => {
  for (const [written, name] of /** @type {[string, string][]} */ ([
    ['demo', 'demo'],
    ['x', 'x'],
    ['a%20b', 'a b'],
    ['a+b', 'a+b'],
    ['a%2Fb', 'a/b'],
    ['a%2fb%3Fc%23d%25', 'a/b?c#d%'],
    ['%C3%A4%E2%82%AC', 'ä€'],
    ['%F0%9F%8E%89', '🎉'],
    ['..%2F..', '../..'],
    ['a'.repeat(128), 'a'.repeat(128)],
    ['%C3%A4'.repeat(64), 'ä'.repeat(64)],
    ['%F0%9F%8E%89'.repeat(32), '🎉'.repeat(32)],
  ])) {
    const { status, text } = await server.request(`/parties/main/${written}`);
    assert.equal(status, 200, `${written}: ${text}`);
    assert.equal(JSON.parse(text).room, name);
    const ann = await Peer.join(server, name, 'ann');
    assert.equal(ann.welcome.room, name);
    assert.equal(JSON.parse((await server.request(`/parties/main/${written}`)).text).peers, 1);
    await ann.close();
  }
});

test('two encodings of a name lead to the same room', async () => {
  const ann = await Peer.join(server, 'two ways~', 'ann');
  for (const written of ['two%20ways~', '%74wo%20ways%7E', '%74wo%20ways%7e']) {
    const { text } = await server.request(`/parties/main/${written}`);
    assert.equal(JSON.parse(text).peers, 1, written);
  }
  assert.equal((await server.status('Two ways~')).peers, 0, 'names are case-sensitive');
  await ann.close();
});

test('an invalid room name is refused with bad-room', async () => {
  for (const name of [
    '',
    'a'.repeat(129),
    '%C3%A4'.repeat(64) + 'a',
    '%',
    'a%4',
    '%zz',
    '%+1',
    '%ff',
    '%C3',
    '%ED%A0%80', // an unpaired surrogate
    '%C0%AF', // an overlong encoding of "/"
    '%00',
    'a%0Ab',
    '%0D',
    '%7F',
    '%C2%85', // a control character of two bytes
  ]) {
    assertError(await server.request(`/parties/main/${name}`), 400, 'bad-room', name);
    assertError(await server.upgrade(`/parties/main/${name}`), 400, 'bad-room', `${name}, joining`);
  }
});

test('an invalid id, key or dialect is refused', async () => {
  for (const [query, code] of [
    ['_pk=', 'bad-id'],
    ['_pk=a%20b', 'bad-id'],
    ['_pk=a+b', 'bad-id'],
    ['_pk=a/b', 'bad-id'],
    ['_pk=%C3%A4', 'bad-id'],
    ['_pk=%00', 'bad-id'],
    ['_pk=%ff', 'bad-id'],
    [`_pk=${'x'.repeat(65)}`, 'bad-id'],
    ['_pk=ann&key=', 'bad-key'],
    [`_pk=ann&key=${'k'.repeat(129)}`, 'bad-key'],
    ['_pk=ann&dialect=', 'bad-dialect'],
    ['_pk=ann&dialect=klingon', 'bad-dialect'],
    ['_pk=ann&dialect=Native', 'bad-dialect'],
  ]) {
    const path = `/parties/main/invalid-parameters?${query}`;
    assertError(await server.upgrade(path), 400, code, query);
    assertError(await server.request(path), 400, code, `${query}, without a WebSocket`);
  }
  assert.equal((await server.status('invalid-parameters')).peers, 0);
});

test('an id of 64 bytes and a key of 128 characters are accepted', async () => {
  const id = 'AZaz09._~:-'.padEnd(64, 'x');
  const bob = await Peer.join(server, 'the-longest', id, { key: 'k'.repeat(128) });
  assert.equal(bob.welcome.id, id);
  const eve = await Peer.join(server, 'the-longest', 'eve', { key: '🔑'.repeat(128) });
  assert.deepEqual(eve.welcome.peers, [{ id, polite: false }]);
  await Promise.all([bob.close(), eve.close()]);
});

test('each peer that joins without an id gets a different id', async () => {
  const ids = new Set();
  for (let n = 0; n < 3; n += 1) {
    const peer = await Peer.connect(server, 'given-an-id');
    const { type, id } = JSON.parse(await peer.next());
    assert.equal(type, 'welcome');
    assert.match(id, /^[A-Za-z0-9._~:-]{22,64}$/, 'the id has 128 random bits');
    ids.add(id);
  }
  assert.equal(ids.size, 3);
});

test('the path of a room may name the dialect', async () => {
  const bob = await Peer.join(server, 'named', 'bob');
  const lobby = { id: 'ann', dialect: 'lobby', inPath: true };
  const ann = await Peer.connect(server, 'named', lobby);
  await ann.receives({ kind: 'self-connected', id: 'ann' });
  await ann.receives({ kind: 'connected', id: 'bob' });
  const { headers, text } = await server.request('/parties/main/named/lobby', {
    headers: { Accept: 'text/html' },
  });
  assert.equal(headers['content-type'], 'application/json');
  const { awakeSince, ...rest } = JSON.parse(text);
  assert.deepEqual(rest, { status: 'ok', room: 'named', family: 'party', peers: 2 });
  assert.equal(typeof awakeSince, 'string');
  for (const peer of [ann, bob]) await peer.close();
});

test('unknown query parameters are ignored', async () => {
  const { status } = await server.request('/parties/main/parameters?utm_source=x&_pks=%ff&');
  assert.equal(status, 200);
});

test('a request with an unknown path gets a 404 response', async () => {
  for (const path of [
    '/nothing',
    '/parties',
    '/parties/main',
    '/parties/other/demo',
    '/parties/main/a/b',
    '/parties/main/demo/',
    '/party/demo',
    '/health/',
    '/Health',
  ]) {
    assertError(await server.request(path), 404, 'not-found', path);
    assertError(await server.upgrade(path), 404, 'not-found', `${path}, joining`);
  }
});

test('a request with another method gets a 405 response with an Allow header', async () => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    for (const path of ['/health', '/parties/main/methods', '/parties/main/methods?_pk=ann']) {
      const answer = await server.request(path, { method, body: '{}' });
      assertError(answer, 405, 'method-not-allowed', `${method} ${path}`);
      const allow = (answer.headers.allow ?? '').split(',').map((method) => method.trim());
      assert.deepEqual(allow.sort(), ['GET', 'HEAD', 'OPTIONS'], `${method} ${path}`);
    }
  }
});

test('a HEAD request gets the same response as a GET request, without the body', async () => {
  for (const [path, accept] of [
    ['/health', '*/*'],
    ['/parties/main/head', '*/*'],
    ['/parties/main/head', 'text/html'],
    ['/parties/main/%zz', '*/*'],
    ['/nothing', '*/*'],
  ]) {
    const headers = { Accept: accept };
    const got = await server.request(path, { headers });
    const head = await server.request(path, { method: 'HEAD', headers });
    assert.equal(head.text, '', path);
    assert.notEqual(got.text, '', path);
    assert.equal(head.status, got.status, path);
    assert.equal(head.headers['content-type'], got.headers['content-type'], path);
  }
});

test('a CORS preflight gets a response with the allowed methods and headers', async () => {
  for (const path of ['/health', '/parties/main/options']) {
    const headers = { Origin: 'https://game.example', 'Access-Control-Request-Method': 'GET' };
    const answer = await server.request(path, { method: 'OPTIONS', headers });
    assert.equal(answer.status, 204, path);
    assert.equal(answer.text, '');
    assert.equal(answer.headers['access-control-allow-origin'], '*');
    assert.match(answer.headers['access-control-allow-methods'] ?? '', /\bGET\b/);
    assert.match(answer.headers['access-control-allow-headers'] ?? '', /\bAuthorization\b/);
  }
  assertError(await server.request('/nothing', { method: 'OPTIONS' }), 404, 'not-found', 'OPTIONS');
});

test('every response has CORS and no-store headers', async () => {
  for (const path of ['/health', '/parties/main/everybody', '/parties/main/%zz', '/nothing']) {
    const { headers } = await server.request(path, { headers: { Origin: 'https://a.example' } });
    assert.equal(headers['access-control-allow-origin'], '*', path);
    assert.equal(headers['cache-control'], 'no-store', path);
    assert.equal(headers['x-content-type-options'], 'nosniff', path);
  }
});

test('a join without a WebSocket upgrade is refused', async () => {
  for (const query of ['_pk=ann', 'key=k', 'dialect=native', '_pk=ann&key=k&token=t']) {
    const answer = await server.request(`/parties/main/a-websocket?${query}`);
    assertError(answer, 426, 'upgrade-required', query);
  }
  for (const protocol of ['h2c', 'websockets', 'TLS/1.0']) {
    const headers = { Connection: 'Upgrade', Upgrade: protocol };
    const answer = await server.request('/parties/main/a-websocket', { headers });
    assertError(answer, 426, 'upgrade-required', protocol);
  }
  assert.equal((await server.status('a-websocket')).peers, 0);
});

test('a WebSocket upgrade is accepted', async () => {
  const upgraded = await server.upgrade('/parties/main/an-upgrade?_pk=ann');
  assert.equal(upgraded.status, 101);
  assert.equal(upgraded.headers.upgrade?.toLowerCase(), 'websocket');
  assert.equal(upgraded.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
});

test('an id of 300 characters is refused without affecting other rooms', async () => {
  const ann = await Peer.join(server, 'next-door', 'ann');
  const bob = await Peer.join(server, 'next-door', 'bob');
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  const { awakeSince } = await server.status('next-door');

  const path = joinPath('the-room-in-question', { id: 'x'.repeat(300) });
  assertError(await server.request(path), 400, 'bad-id', 'plain');
  assertError(await server.upgrade(path), 400, 'bad-id', 'joining');

  assert.equal(
    (await server.status('next-door')).awakeSince,
    awakeSince,
    'the room was not rebuilt',
  );
  ann.send({ type: 'offer', to: 'bob', payload: { sdp: 'v=0' } });
  await bob.receives({ type: 'offer', from: 'ann', payload: { sdp: 'v=0' } });
  bob.send({ type: 'answer', to: 'ann', payload: { sdp: 'v=0' } });
  await ann.receives({ type: 'answer', from: 'bob', payload: { sdp: 'v=0' } });
  await expectQuiet(ann, bob);
});

for (const [name, [setting, value]] of Object.entries(INVALID)) {
  test(`every response reports the invalid setting ${setting}="${value}"`, async () => {
    const broken = workerd.at[name];
    for (const path of ['/health', '/parties/main/demo', '/parties/main/%zz', '/nothing']) {
      const message = assertError(await broken.request(path), 500, 'bad-setting', path);
      assert.match(message, new RegExp(`\\b${setting}\\b`));
      assert.ok(!message.includes(`"${value}"`), 'only the log quotes the value');
    }
    for (const method of ['POST', 'OPTIONS']) {
      assertError(
        await broken.request('/parties/main/demo', { method }),
        500,
        'bad-setting',
        method,
      );
    }
    const join = await broken.upgrade(joinPath('demo', { id: 'ann' }));
    assertError(join, 500, 'bad-setting', 'joining');
  });
}
