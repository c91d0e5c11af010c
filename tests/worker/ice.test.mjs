// @ts-check
/**
 * Tests the sources of ICE servers, and the access to TURN credentials. Failures of a TURN
 * service are tested in `waits/turn-failures.mjs`.
 *
 * Cloudflare's TURN service is not available in a test, so a local server replaces its API. This
 * server is the only mock: the Worker runs in workerd, and Chromium connects through coturn, a TURN
 * server.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import { connected, join, logged, newRoom, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { ROOM_SECRET, sign } from '../support/token.mjs';
import { Coturn, CREDENTIALS, FakeTurnApi, RELAY } from '../support/turn.mjs';
import { WorkerLog } from '../support/worker-log.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const TURN_SECRET = 'what-coturn-knows-too';
const STUN = 'stun:stun.example:3478';
/** The URL of the ICE servers, which is not that of the module `ice-servers.js`. */
const ICE_SERVERS = /\/ice-servers(\?|$)/;
const CLOUDFLARE_TURN_API_TOKEN = 'api-token';

/** The fake TURN API. It accepts the key `good` and refuses the key `refusing`. */
const turnApi = new FakeTurnApi({
  good: (response) => response.writeHead(201).end(JSON.stringify(CREDENTIALS)),
  refusing: (response) => response.writeHead(401).end('{"error":"Unauthorized"}'),
});

const log = new WorkerLog();
/** @type {Coturn} */
let coturn;
/** @type {import('../support/workerd.mjs').Workerd<string>} */
let workerd;

async function start() {
  coturn = await Coturn.start(TURN_SECRET);
  const shared = { STUN_URLS: STUN, TURN_URLS: coturn.url, TURN_SECRET };
  const api = await turnApi.start();
  /** @param {string} key */
  const cloudflare = (key) => ({
    CLOUDFLARE_TURN_KEY_ID: key,
    CLOUDFLARE_TURN_API_TOKEN,
    CLOUDFLARE_TURN_API: api,
    STUN_URLS: STUN,
    TURN_OPEN: 'true',
  });
  const keys = ['good', 'refusing'].map((key) => [key, cloudflare(key)]);
  workerd = await startWorkerd(
    {
      shipped: {},
      closed: shared,
      open: { ...shared, TURN_OPEN: 'true' },
      guarded: { ...shared, ROOM_SECRET },
      wrong: { ...shared, TURN_SECRET: 'not-what-coturn-knows', TURN_OPEN: 'true' },
      listed: { ...shared, TURN_OPEN: 'true', ALLOWED_ORIGINS: 'https://game.example' },
      page: { STUN_URLS: '', TURN_URLS: coturn.url, TURN_SECRET, TURN_OPEN: 'true' },
      invalid: { TURN_OPEN: 'yes' },
      ...Object.fromEntries(keys),
    },
    { log: log.add, assets: true },
  );
}
useFixtures({
  start,
  stop: () => Promise.all([workerd?.stop(), coturn?.stop(), turnApi.stop()]),
});

/**
 * @param {string} instance
 * @param {string} [query]
 * @param {Record<string, string>} [headers]
 */
async function list(instance, query = '', headers = {}) {
  const { status, text } = await workerd.at[instance].request(`/ice-servers${query}`, { headers });
  assert.equal(status, 200, text);
  return JSON.parse(text);
}

/** @param {string} username */
function credential(username) {
  return createHmac('sha1', TURN_SECRET).update(username).digest('base64');
}

describe('sources', () => {
  test('the default response has a public STUN server and no expiry', async () => {
    const stun = 'stun:stun.cloudflare.com:3478';
    assert.deepEqual(await list('shipped'), { iceServers: [{ urls: [stun] }] });
    const { text } = await workerd.at.shipped.request('/iceServers');
    assert.deepEqual(JSON.parse(text), { urls: [stun] });
  });

  test('TURN credentials are created for each peer from a shared secret', async () => {
    const from = Math.floor(Date.now() / 1000);
    const answer = await list('open', '?_pk=ann:1');
    const to = Math.floor(Date.now() / 1000);
    const { username } = answer.iceServers[1];
    const expiry = Number(/^(\d+):ann:1$/.exec(username)?.[1]);
    assert.ok(from + 3600 <= expiry && expiry <= to + 3600, username);
    const turn = { urls: [coturn.url], username, credential: credential(username) };
    assert.deepEqual(answer, { iceServers: [{ urls: [STUN] }, turn], ttl: 3600 });
    assert.match((await list('open')).iceServers[1].username, /^\d+:anonymous$/);
  });

  test('/iceServers returns one server with all URLs', async () => {
    const { text } = await workerd.at.open.request('/iceServers?_pk=ann');
    const { username, ...rest } = JSON.parse(text);
    assert.match(username, /^\d+:ann$/);
    assert.deepEqual(rest, { urls: [STUN, coturn.url], credential: credential(username) });
  });

  test("the Worker requests credentials from Cloudflare's API as documented", async () => {
    const at = turnApi.requests.length;
    const expected = { iceServers: [{ urls: [STUN] }, RELAY], ttl: 3600 };
    assert.deepEqual(await list('good'), expected);
    assert.equal(turnApi.requests.length, at + 1);
    const { method, url, headers, body } = turnApi.requests[at];
    assert.equal(`${method} ${url}`, 'POST /v1/turn/keys/good/credentials/generate-ice-servers');
    assert.equal(headers.authorization, `Bearer ${CLOUDFLARE_TURN_API_TOKEN}`);
    assert.equal(headers['content-type'], 'application/json');
    assert.deepEqual(JSON.parse(body), { ttl: 3600 });
  });
});

describe('access to TURN', () => {
  test('no TURN server is returned when neither ROOM_SECRET nor TURN_OPEN is set, and the reason is logged once', async () => {
    for (let i = 0; i < 3; i += 1)
      assert.deepEqual(await list('closed'), { iceServers: [{ urls: [STUN] }] });
    const before = (await log.lines('turn-failed', 0)).length;
    await list('refusing');
    // When this line has arrived, all earlier log lines have arrived, too.
    await log.lines('turn-failed', before + 1);
    const entries = await log.lines('turn-closed', 1);
    assert.equal(entries.length, 1);
    assert.match(entries[0].message, /ROOM_SECRET.*TURN_OPEN/);
  });

  test('a request with a valid token in any place gets TURN servers', async () => {
    const exp = Math.floor(Date.now() / 1000) + 60;
    const token = sign({ exp, room: 'demo' });
    for (const answer of [
      await list('guarded', `?token=${token}`),
      await list('guarded', '', { Authorization: `Bearer ${token}` }),
      await list('guarded', `?token=${token}&room=demo`),
      await list('guarded', `?token=${sign({ exp, room: '*', sub: 'ann' })}&room=other&_pk=ann`),
    ])
      assert.equal(answer.iceServers[1].urls[0], coturn.url);
  });

  test('a request without a valid token is refused when ROOM_SECRET is set', async () => {
    const now = Math.floor(Date.now() / 1000);
    const token = sign({ exp: now + 60, room: 'demo' });
    for (const query of [
      '',
      '?token=nonsense',
      `?token=${token.slice(0, -2)}`,
      `?token=${sign({ exp: now - 1, room: 'demo' })}`,
      `?token=${token}&room=other`,
      `?token=${sign({ exp: now + 60, room: 'demo', sub: 'ann' })}`,
      `?token=${sign({ exp: now + 60, room: 'demo', sub: 'ann' })}&_pk=bob`,
    ])
      for (const path of ['/ice-servers', '/iceServers']) {
        const { status, headers, text } = await workerd.at.guarded.request(path + query);
        assert.equal(status, 401, query);
        assert.equal(headers['www-authenticate'], 'Bearer');
        const { error, ...rest } = JSON.parse(text);
        assert.deepEqual([error.code, rest], ['unauthorized', {}]);
        assert.ok(!text.includes(coturn.url));
      }
  });
});

describe('over HTTP', () => {
  for (const path of ['/ice-servers', '/iceServers'])
    test(`${path} has the headers, methods and errors of all endpoints`, async () => {
      const { open, listed, invalid } = workerd.at;
      const { headers } = await open.request(path, { headers: { Origin: 'https://a.example' } });
      assert.equal(headers['access-control-allow-origin'], '*');
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['content-type'], 'application/json');
      const head = await open.request(path, { method: 'HEAD' });
      assert.deepEqual([head.status, head.text], [200, '']);
      const preflight = await open.request(path, { method: 'OPTIONS' });
      assert.equal(preflight.status, 204);
      assert.match(String(preflight.headers['access-control-allow-headers']), /Authorization/);
      const post = await open.request(path, { method: 'POST' });
      assert.deepEqual([post.status, post.headers.allow], [405, 'GET, HEAD, OPTIONS']);
      assert.equal((await open.request(`${path}?_pk=a%20b`)).status, 400);
      const evil = await listed.request(path, { headers: { Origin: 'https://evil.example' } });
      assert.equal(evil.status, 403);
      const bad = await invalid.request(path);
      assert.equal(bad.status, 500);
      assert.match(JSON.parse(bad.text).error.message, /TURN_OPEN/);
    });
});

test('coturn, as documented, relays to no private or reserved address', async () => {
  const addresses = [
    ...['10.0.0.0', '10.255.255.255', '100.64.0.1', '127.0.0.2', '169.254.169.254', '172.16.0.1'],
    ...['172.31.255.255', '192.0.0.1', '192.168.0.1', '198.19.255.255', '224.0.0.1', '240.0.0.1'],
  ];
  const refusals = await Promise.all(
    addresses.map((address) => coturn.refusal(TURN_SECRET, address)),
  );
  for (const [i, refusal] of refusals.entries())
    assert.match(refusal, /error 403 \(Forbidden IP\)$/, addresses[i]);
});

describe('in a browser, through coturn only', () => {
  const pages = new Pages();
  useFixtures(pages);

  /**
   * Gathers relay candidates, and returns their types and the error codes.
   * @param {import('playwright-core').Page} page
   * @param {unknown[]} iceServers
   */
  const gather = (page, iceServers) =>
    page.evaluate(async (/** @type {any} */ iceServers) => {
      const connection = new RTCPeerConnection({ iceServers, iceTransportPolicy: 'relay' });
      /** @type {string[]} */
      const types = [];
      /** @type {number[]} */
      const errors = [];
      connection.onicecandidate = ({ candidate }) => candidate?.type && types.push(candidate.type);
      connection.onicecandidateerror = ({ errorCode }) => errors.push(errorCode);
      connection.createDataChannel('chat');
      await new Promise((resolve) => {
        connection.onicegatheringstatechange = () =>
          connection.iceGatheringState === 'complete' && resolve(undefined);
        connection.setLocalDescription();
      });
      connection.close();
      return { types, errors };
    }, iceServers);

  test('two peers connect through the relay with their credentials', async () => {
    const page = await pages.open('ann', `${workerd.at.open.origin}/style.css`);
    const [ann, bob] = await Promise.all(
      ['ann', 'bob'].map(async (id) => (await list('open', `?_pk=${id}`)).iceServers.slice(1)),
    );
    await page.evaluate(
      async (/** @type {any[]} */ [ann, bob]) => {
        const [a, b] = [ann, bob].map(
          (iceServers) => new RTCPeerConnection({ iceServers, iceTransportPolicy: 'relay' }),
        );
        a.onicecandidate = ({ candidate }) => b.addIceCandidate(candidate ?? undefined);
        b.onicecandidate = ({ candidate }) => a.addIceCandidate(candidate ?? undefined);
        const channel = a.createDataChannel('chat');
        channel.onopen = () => channel.send('over the relay');
        b.ondatachannel = ({ channel }) => {
          channel.onmessage = ({ data }) => Object.assign(globalThis, { heard: data });
        };
        Object.assign(globalThis, { a });
        await a.setLocalDescription();
        await b.setRemoteDescription(/** @type {any} */ (a.localDescription));
        await b.setLocalDescription();
        await a.setRemoteDescription(/** @type {any} */ (b.localDescription));
      },
      [ann, bob],
    );
    await until(
      page,
      'the message has arrived',
      () => /** @type {any} */ (globalThis).heard === 'over the relay',
    );
    const types = await page.evaluate(() => {
      const { iceTransport } = /** @type {any} */ (globalThis).a.sctp.transport;
      const { local, remote } = iceTransport.getSelectedCandidatePair();
      return [local.type, remote.type];
    });
    assert.deepEqual(types, ['relay', 'relay']);
  });

  test('coturn refuses credentials that are expired, changed or made with another secret', async () => {
    const page = await pages.open('eve', `${workerd.at.open.origin}/style.css`);
    const good = (await list('open')).iceServers[1];
    assert.deepEqual((await gather(page, [good])).types, ['relay']);
    const expired = `${Math.floor(Date.now() / 1000) - 60}:eve`;
    for (const bad of [
      { ...good, username: expired, credential: credential(expired) },
      { ...good, username: good.username.replace('anonymous', 'eve') },
      (await list('wrong')).iceServers[1],
    ]) {
      const { types, errors } = await gather(page, [bad]);
      assert.deepEqual([types, errors], [[], [401]], bad.username);
    }
  });

  /**
   * Returns the TURN username in the configuration of the connection to a peer.
   * @param {import('playwright-core').Page} page
   * @param {string} id
   */
  const username = (page, id) =>
    page.evaluate((id) => {
      const { connection } = /** @type {any} */ (globalThis).room.peers.get(id);
      return connection.getConfiguration().iceServers.at(-1)?.username;
    }, id);

  test('the library requests TURN servers with its token before it connects', async () => {
    const token = sign({ exp: Math.floor(Date.now() / 1000) + 60, room: '*' });
    const [ann, bob] = await Promise.all(
      ['ann', 'bob'].map((name) => pages.open(name, `${workerd.at.guarded.origin}/style.css`)),
    );
    const room = newRoom();
    await join(ann, room, { id: 'ann', token, iceServers: undefined });
    await logged(ann, 'state joined');
    await join(bob, room, { id: 'bob', token, iceServers: undefined });
    await Promise.all([connected(ann, 'bob'), connected(bob, 'ann')]);
    await talk(ann, 'ann', bob, 'bob', 'hello');
    assert.match(await username(ann, 'bob'), /^\d+:ann$/);
    assert.match(await username(bob, 'ann'), /^\d+:bob$/);
  });

  test('the library connects without TURN servers, and renews expired credentials', async () => {
    const { origin } = workerd.at.page;
    const [ann, bob] = await Promise.all(
      ['ann', 'bob'].map((name) => pages.open(name, `${origin}/style.css`)),
    );
    let requests = 0;
    await ann.route(ICE_SERVERS, (route) => {
      requests += 1;
      const server = { urls: [coturn.url], username: `try-${requests}`, credential: 'c' };
      return route.fulfill({ json: { iceServers: [server], ttl: requests === 1 ? 2 : 3600 } });
    });
    await bob.route(ICE_SERVERS, (route) => route.abort());
    const room = newRoom();
    await join(ann, room, { id: 'ann', iceServers: undefined });
    await logged(ann, 'state joined');
    await join(bob, room, { id: 'bob', iceServers: undefined });
    await Promise.all([connected(ann, 'bob'), connected(bob, 'ann')]);
    await until(ann, 'the connection has the second credentials', () => {
      const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
      return connection.getConfiguration().iceServers[0].username === 'try-2';
    });
    await talk(bob, 'bob', ann, 'ann', 'still here');
    assert.equal(requests, 2);
  });
});
