// @ts-check
/**
 * Tests the calls of the media server: the requests, and what happens when the media server fails. A
 * local server plays the media server. It forwards no media: other tests use a real one.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { newRoom } from '../support/browser.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { expectQuiet, Peer } from '../support/peer.mjs';
import { Recorder } from '../support/recorder.mjs';
import { startTrapping } from '../support/trapping.mjs';
import { WorkerLog } from '../support/worker-log.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const MEDIA_SECRET = 'the-secret-of-the-app';
const OFFER = { type: 'offer', sdp: 'v=0\r\nthe offer of the media server "é"\r\n' };
const ANSWER =
  'v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendonly\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\n';

/** @typedef {import('../support/recorder.mjs').Handler} Handler */

/** @type {(status: number, body: unknown) => Handler} */
const json = (status, body) => (response) =>
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));

let sessions = 0;
/** Answers each call as the documentation of the API says. @type {Handler} */
const works = (response, request) => {
  const tracks = request.body ? JSON.parse(request.body).tracks : undefined;
  if (request.line.endsWith('/sessions/new'))
    json(201, { sessionId: `s${(sessions += 1)}` })(response, request);
  else if (request.line.endsWith('/tracks/new'))
    json(200, {
      requiresImmediateRenegotiation: true,
      sessionDescription: OFFER,
      tracks: tracks.map((/** @type {object} */ track, /** @type {number} */ i) => ({
        ...track,
        mid: `${i}`,
      })),
    })(response, request);
  else json(200, {})(response, request);
};

/**
 * The ways in which a media server fails, by the id of the app.
 * @type {Record<string, Handler>}
 */
const FAILURES = {
  failing: json(500, { errorCode: 'internal_error', errorDescription: 'v=0 an SDP' }),
  refusing: json(401, { errorCode: 'unauthorized', errorDescription: 'wrong secret' }),
  redirecting: (response) => response.writeHead(307, { Location: '/followed' }).end(),
  nonsense: (response) => response.writeHead(200).end('<html>it works</html>'),
  binary: (response) => response.writeHead(201).end(Buffer.from([0x7b, 0xff, 0x7d])),
  large: (response) =>
    response.writeHead(201).end(`{"sessionId":"s","x":"${'x'.repeat(262_144)}"}`),
  cut: (response) => void response.writeHead(201).write('{', () => response.destroy()),
  traversing: json(201, { sessionId: '..' }),
};

/** Answers as the app of the request says. @type {Handler} */
const byApp = (response, request) => {
  const app = request.line.split('/')[3] ?? '';
  // The app `silent` gets no answer.
  if (app !== 'silent') (FAILURES[app] ?? works)(response, request);
};

const media = new Recorder(byApp);
const log = new WorkerLog();
/** @type {import('../support/workerd.mjs').Workerd<string>} */
let workerd;
/** @type {import('../support/trapping.mjs').Trapping} */
let trapping;

useFixtures({
  async start() {
    const MEDIA_URL = `${await media.start()}/v1`;
    const app = (/** @type {string} */ id) => ({ MEDIA_URL, MEDIA_APP: id, MEDIA_SECRET });
    const apps = ['main', 'silent', ...Object.keys(FAILURES)].map((id) => [id, app(id)]);
    const down = { ...app('down'), MEDIA_URL: 'http://127.0.0.1:1' };
    workerd = await startWorkerd({ ...Object.fromEntries(apps), down }, { log: log.add });
    trapping = await startTrapping(log.add, app('trapping'));
  },
  tidy: async () => {
    media.answer = byApp;
    media.skip();
    log.skip();
  },
  stop: () => Promise.all([workerd?.stop(), trapping?.stop(), media.stop()]),
});

/**
 * Creates a session, and lets the device and a viewer join.
 * @param {import('../support/workerd.mjs').Server} server
 */
async function join(server) {
  const session = newRoom();
  const body = JSON.stringify({ deviceId: 'camera', sessionId: session });
  const created = await server.request('/create-session', { method: 'POST', body });
  assert.equal(created.status, 201, created.text);
  const camera = await Peer.join(server, session, 'camera');
  await camera.receives({ type: 'live', from: '~live', payload: { state: 'waiting' } });
  return { session, camera };
}

/** Lets a viewer join. @param {Peer} camera */
const view = (camera) => Peer.join(camera.server, camera.room, 'ann');

/** Ends a session. @param {import('../support/workerd.mjs').Server} server @param {string} session */
async function stop(server, session) {
  const body = JSON.stringify({ sessionId: session });
  const { status } = await server.request('/live/stop', { method: 'POST', body });
  assert.equal(status, 200);
}

/** Waits until this test has logged a failure of the media server. @param {RegExp} message */
async function logged(message) {
  for (let least = 0; ; least += 1) {
    const lines = await log.lines('media-failed', least);
    if (lines.some((line) => message.test(line.message))) return;
    least = lines.length;
  }
}

/** Exchanges signals between two peers, whatever else they receive. @param {Peer[]} peers */
async function exchange(...peers) {
  for (const [from, to] of [peers, [...peers].reverse()]) {
    from.send({ type: 'word', to: to.name, payload: 'hello' });
    for (;;) {
      const frame = JSON.parse(await to.next());
      if (frame.type === 'word') break;
      assert.ok(['error', 'live', 'peer-joined'].includes(frame.type), JSON.stringify(frame));
    }
  }
}

test('the calls for a device, a viewer and the end of a session are the documented requests', async () => {
  const server = workerd.at.main;
  const { session, camera } = await join(server);
  const app = '/v1/apps/main/sessions';
  /** @type {(line: string, body?: unknown) => Promise<void>} */
  const expectCall = async (line, body) => {
    const request = await media.next();
    assert.equal(request.line, line);
    assert.equal(request.headers.authorization, `Bearer ${MEDIA_SECRET}`);
    const type = body === undefined ? undefined : 'application/json';
    assert.equal(request.headers['content-type'], type);
    assert.deepEqual(request.body ? JSON.parse(request.body) : undefined, body);
  };
  const answer = { type: 'answer', sdp: ANSWER };

  await expectCall(`POST ${app}/new`);
  const device = `s${sessions}`;
  await expectCall(`POST ${app}/${device}/tracks/new`, {
    tracks: ['audio', 'video'].map((kind) => ({ location: 'local', trackName: kind, kind })),
  });
  const offer = { type: 'offer', from: '~live', payload: { ...OFFER, session: device } };
  await camera.receives(offer);
  camera.send({ type: 'answer', to: '~live', payload: { ...answer, session: device } });
  await expectCall(`PUT ${app}/${device}/renegotiate`, { sessionDescription: answer });
  await camera.receives({ type: 'live', from: '~live', payload: { state: 'live' } });

  const ann = await view(camera);
  await camera.receives({ type: 'peer-joined', id: 'ann', polite: true });
  await ann.receives({ type: 'live', from: '~live', payload: { state: 'live' } });
  await expectCall(`POST ${app}/new`);
  const viewer = `s${sessions}`;
  // The device rejected video.
  await expectCall(`POST ${app}/${viewer}/tracks/new`, {
    tracks: [{ location: 'remote', sessionId: device, trackName: 'audio' }],
  });
  await ann.receives({ ...offer, payload: { ...OFFER, session: viewer } });
  const sdp = 'v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=recvonly\r\n';
  ann.send({ type: 'answer', to: '~live', payload: sdp });
  await expectCall(`PUT ${app}/${viewer}/renegotiate`, {
    sessionDescription: { type: 'answer', sdp },
  });
  await expectQuiet(camera, ann);

  await stop(server, session);
  await expectCall(`PUT ${app}/${device}/tracks/close`, {
    tracks: [{ mid: '0' }, { mid: '1' }],
    force: true,
  });
  await expectCall(`PUT ${app}/${viewer}/tracks/close`, { tracks: [{ mid: '0' }], force: true });
  assert.deepEqual(media.unread, []);
});

describe('an invalid answer', () => {
  for (const payload of [7, 'hello', {}, { sdp: 'v=0', session: 'another' }])
    test(`is refused without a call: ${JSON.stringify(payload)}`, async () => {
      const { session, camera } = await join(workerd.at.main);
      assert.equal(JSON.parse(await camera.next()).type, 'offer');
      media.skip();
      camera.send({ type: 'answer', to: '~live', payload });
      const { type, code } = JSON.parse(await camera.next());
      assert.deepEqual([type, code], ['error', 'malformed']);
      assert.deepEqual(media.unread, []);
      camera.send({ type: 'answer', to: '~live', payload: ANSWER });
      assert.match((await media.next()).line, /renegotiate$/);
      await stop(workerd.at.main, session);
    });

  test('is refused with the reason of the media server', async () => {
    const { camera } = await join(workerd.at.main);
    assert.equal(JSON.parse(await camera.next()).type, 'offer');
    const errorDescription = 'the fingerprint is missing';
    media.answer = json(406, { errorCode: 'invalid_session_description', errorDescription });
    camera.send({ type: 'answer', to: '~live', payload: ANSWER });
    assert.match(await camera.receivesError('malformed'), /the fingerprint is missing/);
  });
});

describe('a media server that fails', () => {
  for (const [app, reason] of Object.entries({
    down: /the request to the media server failed/,
    failing: /status 500 and the error "internal_error"/,
    refusing: /Check MEDIA_URL, MEDIA_APP and MEDIA_SECRET/,
    redirecting: /status 307/,
    nonsense: /unreadable/,
    binary: /the reply is not UTF-8/,
    large: /larger than 256 KiB/,
    cut: /the reply is incomplete/,
    traversing: /`sessionId`/,
  }))
    test(`${app}: the failure is logged, the device receives an error, and signals are forwarded`, async () => {
      const { session, camera } = await join(workerd.at[app]);
      await camera.receivesError('media-unavailable', { to: '~live' });
      await logged(reason);
      await exchange(camera, await view(camera));
      await stop(workerd.at[app], session);
      assert.ok(!log.text.includes('v=0'), 'no SDP is logged');
      assert.ok(!log.text.includes(MEDIA_SECRET), 'the secret is never logged');
      assert.ok(!media.requests.some(({ line }) => line.includes('/followed')));
    });

  test('a silent media server delays no signal', async () => {
    const { camera } = await join(workerd.at.silent);
    assert.equal((await media.next()).line, 'POST /v1/apps/silent/sessions/new');
    await exchange(camera, await view(camera));
  });
});

test('a trap when a call ends loses nothing but this call', async () => {
  /** @type {(() => void)[]} */
  const held = [];
  media.answer = (response, request) => held.push(() => works(response, request));
  const { camera } = await join(trapping.server);
  const ann = await view(camera);
  await media.next();
  await trapping.trapNext();
  const { starts } = await trapping.counts();
  media.answer = byApp;
  held.forEach((release) => release());
  await logged(/unreachable/);
  assert.equal((await trapping.counts()).starts, starts + 1);
  await exchange(camera, ann);
});
