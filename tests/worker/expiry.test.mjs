// @ts-check
/** Tests `CLOSE_EXPIRED`: the connection of a client ends when its token expires. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpPeer } from '../support/http-peer.mjs';
import { mint } from '../support/jwt.mjs';
import { Peer, expectQuiet, within } from '../support/peer.mjs';
import { SocketIoPeer } from '../support/socketio-peer.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { WorkerLog } from '../support/worker-log.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('../support/workerd.mjs').Server} Server */
/** @type {import('../support/workerd.mjs').Workerd<'closing' | 'lasting' | 'open' | 'invalid'>} */
let workerd;
const log = new WorkerLog();
before(async () => {
  const instances = {
    closing: { ROOM_SECRET, CLOSE_EXPIRED: 'true' },
    lasting: { ROOM_SECRET },
    open: { CLOSE_EXPIRED: 'true' },
    invalid: { CLOSE_EXPIRED: 'yes' },
  };
  workerd = await startWorkerd(instances, { log: log.add });
});
after(() => workerd?.stop());

/** Returns the time in some seconds, in whole seconds since 1970. @param {number} seconds */
const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;

/**
 * Joins with a token that expires soon. If the machine is too slow to join before that, the next token
 * is valid for longer.
 * @param {Server} server
 * @param {string} room
 * @param {import('../support/peer.mjs').Join} join
 */
async function joinForSeconds(server, room, join) {
  for (let seconds = 2; ; seconds *= 2) {
    const exp = inSeconds(seconds);
    const token = mint({ room, exp });
    const peer = await Peer.connect(server, room, { ...join, token });
    const first = await peer.next();
    const isLate = first.includes('has expired') && seconds < 30;
    if (!isLate) return { peer, token, exp, first };
  }
}

// All tests wait for seconds, so they run concurrently.
describe('CLOSE_EXPIRED', { concurrency: true }, () => {
  for (const key of ['key of ann', undefined])
    test(`a WebSocket ${key ? 'with' : 'without'} a key is closed, and a new token returns to the seat`, async () => {
      const server = workerd.at.closing;
      const room = `return ${key}`;
      const bob = await Peer.join(server, room, 'bob', { token: mint({ room }) });
      const { peer: ann, token, exp } = await joinForSeconds(server, room, { id: 'ann', key });
      await bob.receives({ type: 'peer-joined', id: 'ann', polite: true });
      await ann.isClosed(4014, 'expired');
      assert.ok(Date.now() >= exp * 1000, 'it is closed when the token has expired, not earlier');

      const late = await Peer.connect(server, room, { id: 'ann', key, token });
      await late.receivesError('unauthorized');
      await late.isClosed(4010, 'unauthorized');
      bob.send({ type: 'hello', to: 'ann' });
      const again = await Peer.join(server, room, 'ann', { key, token: mint({ room }) });
      await again.receives({ type: 'hello', from: 'bob' });
      await expectQuiet(bob, again);
    });

  for (const dialect of ['forum', 'lobby'])
    test(`a WebSocket of the dialect ${dialect} is closed`, async () => {
      const server = workerd.at.closing;
      // The first frame of a newcomer depends on the dialect, so bob causes one.
      const bob = await Peer.join(server, dialect, 'bob', { token: mint({ room: dialect }) });
      bob.send({ type: 'hello' });
      await bob.settle();
      const { peer } = await joinForSeconds(server, dialect, { id: 'ann', dialect });
      await peer.isClosed(4014, 'expired');
    });

  test('an event stream ends, and a new token registers its peer again', async () => {
    const server = workerd.at.closing;
    const room = 'http';
    const bob = await Peer.join(server, room, 'bob', { token: mint({ room }) });
    const ann = new HttpPeer(server, room, 'ann');
    const register = async (
      /** @type {import('../support/http-peer.mjs').Credentials} */ with_,
    ) => {
      ann.credentials = with_;
      const { status, text } = await ann.register();
      assert.equal(status, 200, text);
      ann.credentials = { key: JSON.parse(text).key };
    };
    /** On a slow machine, the token may expire before the stream opens. */
    let status;
    for (let seconds = 2; status !== 200 && seconds < 30; seconds *= 2) {
      await register({ ...ann.credentials, token: mint({ room, exp: inSeconds(seconds) }) });
      const response = await ann.request();
      status = response.statusCode;
      ann.listen(response);
    }
    assert.equal(status, 200);
    await bob.receives({ type: 'peer-joined', id: 'ann', polite: true });
    await within(/** @type {Promise<void>} */ (ann.stream?.gone), 'the stream ends');
    assert.equal((await ann.request()).statusCode, 401);
    assert.equal((await ann.post({ type: 'hello' })).status, 401);
    await register({ ...ann.credentials, token: mint({ room }) });
    await ann.open();
    await ann.sends({ type: 'hello', target: 'bob' });
    await bob.receives({ type: 'hello', from: 'ann' });
  });

  test('a Socket.IO client reconnects with a new token', async () => {
    const { origin } = workerd.at.closing;
    const room = 'socketio';
    let seconds = 1;
    let tokens = 0;
    const auth = (/** @type {(auth: object) => void} */ send) => {
      tokens += 1;
      send({ id: 'ann', token: mint({ room, exp: inSeconds((seconds *= 3)) }) });
    };
    const ann = new SocketIoPeer(origin, room, { auth: /** @type {any} */ (auth) });
    // On a slow machine, the first token may have expired too early.
    ann.socket.on('connect_error', () => ann.socket.connect());
    try {
      await ann.fires('connect');
      seconds = 100;
      const before = tokens;
      const connected = ann.fires('connect');
      await ann.fires('disconnect');
      await connected;
      assert.equal(ann.socket.id, 'ann');
      assert.ok(tokens > before, 'it has asked for a new token');
    } finally {
      ann.close();
    }
  });

  test('a client with a token that is valid for centuries stays', async () => {
    const room = 'for ever';
    const token = mint({ room, exp: 1e12 }); // the highest `exp` that the server accepts
    const ann = await Peer.join(workerd.at.closing, room, 'ann', { token });
    await expectQuiet(ann);
    assert.ok(ann.open);
    // The room sets no alarm for that time, and logs no failed effect.
    assert.doesNotMatch(log.text, /"effect"/);
  });

  test('by default, a connection outlives its token', async () => {
    const server = workerd.at.lasting;
    const { peer, token, exp, first } = await joinForSeconds(server, 'outlives', {
      id: 'ann',
      key: 'k',
    });
    assert.equal(JSON.parse(first).type, 'welcome');
    while (Date.now() < (exp + 1) * 1000) await sleep(100);
    await expectQuiet(peer);
    assert.ok(peer.open);
    await Peer.join(server, 'outlives', 'ann', { key: 'k', token });
  });

  test('without ROOM_SECRET, the setting has no effect', async () => {
    const ann = await Peer.join(workerd.at.open, 'open', 'ann', {
      token: mint({ room: 'open', exp: inSeconds(1) }),
    });
    await sleep(2500);
    await expectQuiet(ann);
    assert.ok(ann.open);
  });

  test('every other value of the setting is an error', async () => {
    const { status, text } = await workerd.at.invalid.request('/health');
    assert.equal(status, 500);
    assert.match(JSON.parse(text).error.message, /CLOSE_EXPIRED.*"true" or "false"/);
  });
});
