// @ts-check
/** The rate limits `JOINS` and `ASKS`, which count the requests of one address or network. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { joinPath, Peer } from '../support/peer.mjs';
import { NO_MEDIA } from '../support/live.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** The requests that `ASKS` allows in a minute. */
const ASKS = 3_000;
/** The requests that `JOINS` allows in a minute. */
const JOINS = 600;

/** @typedef {import('../support/workerd.mjs').Server} Server */
/** @typedef {import('../support/workerd.mjs').Answer} Answer */

/** @param {string} address @returns {Record<string, string>} */
const from = (address) => ({ 'CF-Connecting-IP': address });
const engine = (/** @type {string} */ query) => `/socket.io/?EIO=4&${query}`;
const SID = 's'.repeat(22);

/** The requests that `ASKS` counts. @type {Record<string, [method: string, path: string]>} */
const COUNTED = {
  'status pages': ['GET', '/parties/main/demo'],
  'HEAD requests for status pages': ['HEAD', '/parties/main/demo'],
  'ICE servers': ['GET', '/ice-servers'],
  'ICE servers in the other form': ['GET', '/iceServers'],
  registrations: ['POST', '/register/demo/ann'],
  messages: ['POST', '/message/demo/ann'],
  'event streams': ['GET', '/events/demo/nobody'],
  'polling sessions': ['GET', engine('transport=polling&room=demo')],
  polls: ['GET', engine(`transport=polling&sid=${SID}`)],
  'posted packets': ['POST', engine(`transport=polling&sid=${SID}`)],
  'statuses of live sessions': ['GET', '/live/demo'],
  'ends of live sessions': ['POST', '/live/stop'],
};
/** The requests that `ASKS` does not count. @type {Record<string, [method: string, path: string]>} */
const NOT_COUNTED = {
  '/health': ['GET', '/health'],
  preflights: ['OPTIONS', '/message/demo/ann'],
  'unknown paths': ['GET', '/nothing'],
  'invalid requests': ['GET', '/parties/main/%zz'],
  'new live sessions': ['POST', '/create-session'],
};

/** @param {Answer} answer @param {RegExp} expected */
function isTooFast({ status, headers, text }, expected) {
  assert.equal(status, 429, text);
  assert.equal(headers['retry-after'], '60');
  assert.equal(headers['access-control-allow-origin'], '*');
  if (!text) return; // HEAD
  const { code, message } = JSON.parse(text).error;
  assert.equal(code, 'too-fast');
  assert.match(message, expected);
}
const TOO_MANY_REQUESTS = /^your IP address or network has sent too many requests: .*Try again in/;
const TOO_MANY_JOINS = /^your IP address has sent too many joins: .*Try again in a minute/;

/**
 * Sends requests until one is refused, and returns the refusal. The one-minute window of the limiter may
 * end meanwhile, and then more requests are allowed.
 * @template {{ status: number }} A
 * @param {() => Promise<A>} send
 * @param {number} limit
 * @param {number} [batch] the number of concurrent requests
 * @returns {Promise<A>}
 */
async function exhaust(send, limit, batch = 1) {
  const minute = () => Math.floor(Date.now() / 60_000);
  const start = minute();
  let allowed = 0;
  for (;;) {
    const answers = await Promise.all(Array.from({ length: batch }, send));
    allowed += answers.filter(({ status }) => status !== 429).length;
    const refused = answers.find(({ status }) => status === 429);
    if (refused && minute() === start) assert.equal(allowed, limit);
    assert.ok(allowed <= 2 * limit + batch, `${allowed} requests were allowed`);
    if (refused) {
      assert.ok(allowed >= limit, `${allowed} requests were allowed`);
      return refused;
    }
  }
}

describe('with a low limit', () => {
  const LIMIT = 5;
  /** @type {import('../support/workerd.mjs').Workerd<'asks'>} */
  let workerd;
  before(async () => {
    workerd = await startWorkerd({ asks: NO_MEDIA }, { limits: { ASKS: LIMIT } });
  });
  after(() => workerd?.stop());

  for (const [index, [name, [method, path]]] of Object.entries(COUNTED).entries())
    test(`ASKS counts ${name}`, async () => {
      const headers = from(`198.51.100.${index}`);
      const ask = () => workerd.at.asks.request(path, { method, headers });
      isTooFast(await exhaust(ask, LIMIT), TOO_MANY_REQUESTS);
    });

  for (const [index, [name, [method, path]]] of Object.entries(NOT_COUNTED).entries())
    test(`ASKS does not count ${name}`, async () => {
      const headers = from(`198.51.100.${100 + index}`);
      for (let n = 0; n < 3 * LIMIT; n += 1) {
        const { status, text } = await workerd.at.asks.request(path, { method, headers });
        assert.notEqual(status, 429, text);
      }
    });

  test('ASKS counts WebSockets of Socket.IO', async () => {
    const queries = ['transport=websocket&room=demo', `transport=websocket&sid=${SID}`];
    for (const [index, query] of queries.entries()) {
      const headers = from(`198.51.100.${200 + index}`);
      const ask = () => workerd.at.asks.upgrade(engine(query), headers);
      isTooFast(await exhaust(ask, LIMIT), TOO_MANY_REQUESTS);
    }
  });

  test('an address without requests left can join over a WebSocket', async () => {
    const headers = from('198.51.100.210');
    await exhaust(() => workerd.at.asks.request('/iceServers', { headers }), LIMIT);
    for (let n = 0; n < 2 * LIMIT; n += 1)
      await Peer.join(workerd.at.asks, 'joins', `peer-${n}`, { headers });
  });
});

describe('with the limits of wrangler.toml', () => {
  /** @type {import('../support/workerd.mjs').Workerd<'main'>} */
  let workerd;
  before(async () => (workerd = await startWorkerd({ main: {} })));
  after(() => workerd?.stop());

  /** @param {string} address */
  const ask = (address) =>
    fetch(`${workerd.at.main.origin}/iceServers`, { headers: from(address) }).then(
      async (response) => {
        await response.text();
        return response;
      },
    );

  test(`${ASKS} requests of an IPv6 /56 are allowed in a minute, whichever address sends them`, async () => {
    let sent = 0;
    const inNetwork = () => {
      sent += 1;
      const subnet = (0x1200 + (sent % 256)).toString(16);
      return ask(`2001:db8:7:${subnet}::${sent.toString(16)}`);
    };
    await exhaust(inNetwork, ASKS, 50);
    const other = '2001:db8:7:1300::1';
    assert.equal((await ask(other)).status, 200, 'another /56');
    assert.equal((await ask('203.0.113.9')).status, 200);
  });

  test(`joins are limited to ${JOINS} and leave the other requests of the address alone`, async () => {
    const headers = from('203.0.113.20');
    const join = () => workerd.at.main.upgrade(joinPath('joins', { id: 'ann' }), headers);
    // A refused join is a WebSocket with an error, so registrations show when the limit applies.
    for (let n = 0; n < JOINS; n += 20) await Promise.all(Array.from({ length: 20 }, join));
    const register = () =>
      workerd.at.main.request('/register/joins/bob', { method: 'POST', headers });
    let answer = await register();
    // The window may have ended during the joins.
    for (let n = 0; answer.status !== 429 && n < JOINS; n += 1) answer = await register();
    isTooFast(answer, TOO_MANY_JOINS);
    const eve = await Peer.connect(workerd.at.main, 'joins', { id: 'eve', headers });
    assert.match(await eve.receivesError('too-fast'), TOO_MANY_JOINS);
    await eve.isClosed(4008, 'too-fast');
    const status = await workerd.at.main.request('/parties/main/joins', { headers });
    assert.equal(status.status, 200);
    const message = await workerd.at.main.request('/message/joins/nobody', {
      method: 'POST',
      headers,
    });
    assert.equal(message.status, 409, message.text);
  });
});

describe('if a limiter fails or is absent', () => {
  /** A module that replaces the limiters by those that the URL names. */
  const LIMITERS = `
    const { default: ours } = await import('./index.js');
    export * from './index.js';
    const limiters = {
      allows: { limit: async () => ({ success: true }) },
      refuses: { limit: async () => ({ success: false }) },
      rejects: { limit: async () => { throw new Error('the limiter rejects'); } },
      throws: { limit() { throw new Error('the limiter throws'); } },
      absent: undefined,
      odd: {},
      empty: { limit: async () => undefined },
    };
    export default {
      fetch(request, env, ctx) {
        const { searchParams } = new URL(request.url);
        const [JOINS, ASKS] = ['JOINS', 'ASKS'].map((name) => limiters[searchParams.get(name)]);
        return ours.fetch(request, { ...env, JOINS, ASKS }, ctx);
      },
    };
  `;
  const FAILURES = ['rejects', 'throws', 'absent', 'odd', 'empty'];
  /** @type {import('../support/workerd.mjs').Workerd<'main'>} */
  let workerd;
  before(async () => (workerd = await startWorkerd({ main: {} }, { around: LIMITERS })));
  after(() => workerd?.stop());

  /** @param {string} joins @param {string} asks */
  const register = (joins, asks) =>
    workerd.at.main.request(`/register/limiters/ann?JOINS=${joins}&ASKS=${asks}`, {
      method: 'POST',
      headers: from('203.0.113.1'),
    });

  test('the request is allowed, unless the other limit refuses it', async () => {
    for (const failing of [...FAILURES, 'allows']) {
      for (const other of [...FAILURES, 'allows']) {
        const { status } = await register(failing, other);
        assert.equal(status, 200, `JOINS ${failing}, ASKS ${other}`);
      }
      isTooFast(await register(failing, 'refuses'), TOO_MANY_REQUESTS);
      isTooFast(await register('refuses', failing), TOO_MANY_JOINS);
      const { status } = await workerd.at.main.request(`/parties/main/limiters?ASKS=${failing}`, {
        headers: from('203.0.113.1'),
      });
      assert.equal(status, 200, failing);
    }
    isTooFast(await register('refuses', 'refuses'), TOO_MANY_JOINS);
  });
});
