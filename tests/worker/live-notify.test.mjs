// @ts-check
/**
 * Tests the notification of a device: a local server receives it, checks the signature, and answers as
 * the test says.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import { newRoom } from '../support/browser.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { LIVE_KEY, NO_MEDIA } from '../support/live.mjs';
import { Recorder } from '../support/recorder.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {(status: number, headers?: Record<string, string>) => import('../support/recorder.mjs').Handler} */
const answer =
  (status, headers = {}) =>
  (response) =>
    response.writeHead(status, headers).end('not read');

/** The server of the device, whose origin is allowed, and another server. */
const push = new Recorder(answer(204));
const other = new Recorder(answer(204));
/** @type {import('../support/workerd.mjs').Workerd<'keyed' | 'open' | 'unlisted'>} */
let workerd;
let allowed = '';

useFixtures({
  async start() {
    [allowed] = await Promise.all([push.start(), other.start()]);
    const LIVE_NOTIFY_ORIGINS = `https://push.example,${allowed},http://127.0.0.1:1`;
    workerd = await startWorkerd({
      keyed: { ...NO_MEDIA, LIVE_KEY, ROOM_SECRET, LIVE_NOTIFY_ORIGINS },
      open: { ...NO_MEDIA, LIVE_NOTIFY_ORIGINS, LIVE_NOTIFY_URL: `${allowed}/devices/` },
      unlisted: { ...NO_MEDIA, LIVE_NOTIFY_URL: allowed },
    });
  },
  async tidy() {
    push.answer = answer(204);
    push.skip();
    assert.deepEqual(other.requests, [], 'no server receives a notification by mistake');
  },
  stop: () => Promise.all([workerd?.stop(), push.stop(), other.stop()]),
});

/**
 * Creates a session.
 * @param {'keyed' | 'open' | 'unlisted'} instance
 * @param {Record<string, unknown>} body
 */
async function create(instance, body) {
  const headers = { Authorization: `Bearer ${LIVE_KEY}` };
  const text = JSON.stringify({ deviceId: 'camera', ...body });
  const response = await workerd.at[instance].request('/create-session', {
    method: 'POST',
    headers,
    body: text,
  });
  return { status: response.status, ...JSON.parse(response.text) };
}

/** Returns the status of the answer to `GET /live/:sessionId`. @param {string} session */
async function statusOf(session) {
  const headers = { Authorization: `Bearer ${LIVE_KEY}` };
  return (await workerd.at.keyed.request(`/live/${session}`, { headers })).status;
}

describe('a notification', () => {
  test('is signed, and contains what the device needs to join', async () => {
    const sessionId = newRoom();
    const from = Math.floor(Date.now() / 1000);
    const created = await create('keyed', { sessionId, notify: allowed });
    assert.deepEqual([created.status, created.notified], [201, true]);
    const { line, headers, body } = await push.next();
    assert.equal(line, 'POST /notification/create');
    assert.equal(headers['content-type'], 'application/json');
    assert.match(String(headers['idempotency-key']), /^[0-9a-f]{32}$/);
    const { socket, deviceToken: token, expiresAt } = created;
    assert.deepEqual(JSON.parse(body), { sessionId, deviceId: 'camera', socket, token, expiresAt });
    const [, time, signature] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-signature'])) ?? [];
    const expected = createHmac('sha256', LIVE_KEY).update(`${time}.${body}`).digest('hex');
    assert.equal(signature, expected);
    assert.ok(from <= Number(time) && Number(time) <= Date.now() / 1000, time);
    assert.deepEqual(push.unread, []);
  });

  test('goes to LIVE_NOTIFY_URL by default, unsigned without LIVE_KEY', async () => {
    assert.equal((await create('open', {})).notified, true);
    const { line, headers, body } = await push.next();
    assert.equal(line, 'POST /devices/notification/create');
    assert.equal(headers['x-signature'], undefined);
    assert.equal(JSON.parse(body).token, undefined);
    assert.equal((await create('open', { notify: `${allowed}/another` })).notified, true);
    assert.equal((await push.next()).line, 'POST /another/notification/create');
  });

  test('is sent again for the same session, with another idempotency key', async () => {
    const body = { sessionId: newRoom(), notify: allowed };
    const [one, two] = [await create('keyed', body), await create('keyed', body)];
    assert.deepEqual([one.status, one.notified, two.status, two.notified], [201, true, 200, true]);
    const keys = [await push.next(), await push.next()].map(
      ({ headers }) => headers['idempotency-key'],
    );
    assert.notEqual(keys[0], keys[1]);
  });
});

describe('a failed notification', () => {
  for (const failure of [500, 429])
    test(`is repeated unchanged after status ${failure}`, async () => {
      push.answer = (response, request) => {
        push.answer = answer(200);
        answer(failure)(response, request);
      };
      const created = await create('keyed', { notify: allowed });
      assert.deepEqual([created.status, created.notified], [201, true]);
      const [first, second] = [await push.next(), await push.next()];
      assert.deepEqual(second, first);
      assert.deepEqual(push.unread, []);
    });

  test('is repeated after a broken connection', async () => {
    push.answer = (response) => {
      push.answer = answer(200);
      response.destroy();
    };
    assert.equal((await create('keyed', { notify: allowed })).notified, true);
    assert.equal(push.unread.length, 2);
  });

  test('is reported after three attempts, and the session exists', async () => {
    push.answer = answer(503);
    const sessionId = newRoom();
    const failed = await create('keyed', { sessionId, notify: allowed });
    assert.deepEqual([failed.status, failed.error.code], [502, 'not-notified']);
    assert.match(failed.error.message, /status 503/);
    assert.ok(failed.error.message.includes(`"sessionId": "${sessionId}"`));
    assert.equal(push.unread.length, 3);
    assert.equal(await statusOf(sessionId), 200);
    push.answer = answer(200);
    const again = await create('keyed', { sessionId, notify: allowed });
    assert.deepEqual([again.status, again.notified], [200, true]);
  });

  test('is reported when nobody answers', async () => {
    const failed = await create('keyed', { notify: 'http://127.0.0.1:1' });
    assert.deepEqual([failed.status, failed.error.code], [502, 'not-notified']);
    assert.match(failed.error.message, /no response/);
  });

  test('is not repeated after a refusal, and a redirect is not followed', async () => {
    for (const [status, headers] of /** @type {const} */ ([
      [404, {}],
      [302, { Location: `${other.origin}/notification/create` }],
      [307, { Location: `${allowed}/elsewhere` }],
    ])) {
      push.answer = answer(status, headers);
      const failed = await create('keyed', { notify: allowed });
      assert.deepEqual([failed.status, failed.error.code], [502, 'not-notified']);
      assert.match(failed.error.message, new RegExp(`status ${status}`));
      assert.equal((await push.next()).line, 'POST /notification/create');
      assert.deepEqual(push.unread, []);
    }
  });
});

describe('the server of a notification', () => {
  test('must have an allowed origin, however its URL is written', async () => {
    const { port } = new URL(allowed);
    const [, evil] = /** @type {string} */ (other.origin).split('//');
    const sessionId = newRoom();
    for (const notify of [
      other.origin,
      `${allowed}@${evil}`,
      `http://${evil}\\@127.0.0.1:${port}`,
      `http://user:password@127.0.0.1:${port}`,
      `http://user@127.0.0.1:${port}`,
      `${allowed}#`,
      `${allowed}#@${evil}`,
      `${allowed}?`,
      `${allowed}?a=b`,
      `http:${evil}`,
      `//127.0.0.1:${port}`,
      `127.0.0.1:${port}`,
      `http://127.0.0.1:${port}0`,
      `http://127.0.0.1`,
      `http://127.0.0.1.example:${port}`,
      `http://[::ffff:7f00:1]:${port}`,
      `https://127.0.0.1:${port}`,
      'https://push.example:444',
      'https://push.example.evil.example',
      'https://evil.example/https://push.example',
      'https://push.example%2f@evil.example',
      'file:///etc/passwd',
      'data:,',
      'blob:https://push.example/1',
      'null',
      '',
    ]) {
      const refused = await create('keyed', { sessionId, notify });
      assert.deepEqual([refused.status, refused.error?.code], [400, 'bad-notify'], notify);
    }
    assert.equal(await statusOf(sessionId), 404, 'no session exists');
    assert.deepEqual(push.unread, []);
  });

  test('is found in a URL as `fetch` finds it', async () => {
    const { port } = new URL(allowed);
    const [, evil] = /** @type {string} */ (other.origin).split('//');
    for (const [notify, path] of [
      [`HTTP://127.0.0.1:${port}/A`, '/A/notification/create'],
      [`http:\\\\127.0.0.1:${port}`, '/notification/create'],
      [`${allowed}\\@${evil}`, `/@${evil}/notification/create`],
      [`http://127.1:${port}//`, '/notification/create'],
      [`${allowed}/a/../b/./`, '/b/notification/create'],
      [`${allowed}/a%3Fb%23c`, '/a%3Fb%23c/notification/create'],
    ]) {
      assert.equal((await create('keyed', { notify })).notified, true, notify);
      assert.equal((await push.next()).line, `POST ${path}`);
    }
  });

  test('in LIVE_NOTIFY_URL must be allowed, too', async () => {
    const { status, error } = await create('unlisted', {});
    assert.deepEqual([status, error.code], [500, 'bad-setting']);
    assert.match(error.message, /LIVE_NOTIFY_URL.*LIVE_NOTIFY_ORIGINS/);
  });
});
