// @ts-check
/**
 * Tests the ids that the server makes from keys: a client asks for one with `_pk=k.`, and no other key
 * can take it, not even after a crash in which the room has forgotten all keys.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertError } from '../support/errors.mjs';
import { HttpPeer } from '../support/http-peer.mjs';
import { mint } from '../support/jwt.mjs';
import { joinPath, Peer } from '../support/peer.mjs';
import { SocketIoPeer } from '../support/socketio-peer.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const KEY = 'the key of ann is 22+ ä';
const OTHER_KEY = 'the key of eve is 22+ ä';

/** Returns the id that the documentation promises for a key. @param {string} key */
function idOf(key) {
  const hash = createHash('sha256').update(`partyline-id${key}`).digest('base64url');
  return `k.${hash.slice(0, 22)}`;
}

const ID = idOf(KEY);

/** @param {string} key */
const protocols = (key) => ['partyline', `key.${Buffer.from(key).toString('base64url')}`];

/** @type {import('../support/workerd.mjs').Workerd<'open' | 'tokens'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({ open: {}, tokens: { ROOM_SECRET } });
});
after(() => workerd?.stop());

/**
 * Asserts that a join is refused with `id-taken`.
 * @param {import('../support/workerd.mjs').Server} server
 * @param {string} room
 * @param {import('../support/peer.mjs').Join} join
 */
async function isTaken(server, room, join) {
  const eve = await Peer.connect(server, room, join);
  await eve.receivesError('id-taken');
  await eve.isClosed(4009, 'id-taken');
}

describe('over a WebSocket', () => {
  test('k. gives the id of the key, and the same key returns to it', async () => {
    const server = workerd.at.open;
    const ann = await Peer.join(server, 'ask', 'k.', { protocols: protocols(KEY) });
    assert.equal(ann.welcome.id, ID);
    const again = await Peer.join(server, 'ask', ID, { key: KEY });
    assert.equal(again.welcome.id, ID);
    await ann.isClosed(4001);
    const eve = await Peer.join(server, 'ask', 'k.', { key: OTHER_KEY });
    assert.equal(eve.welcome.id, idOf(OTHER_KEY));
  });

  test('an id of this form is refused to every other key, even if nobody has it', async () => {
    const server = workerd.at.open;
    for (const key of [undefined, OTHER_KEY, 'short', `${KEY} `])
      await isTaken(server, 'nobody', { id: ID, key });
    assert.equal((await server.status('nobody')).peers, 0);
  });

  test('ids of another form need no key', async () => {
    for (const id of ['k.ann', 'k', `${ID}x`, ID.slice(0, -1)])
      await Peer.join(workerd.at.open, 'other forms', id);
  });

  test('k. without a key of 22 characters is a bad-key', async () => {
    for (const key of [undefined, 'k', KEY.slice(2)])
      assertError(
        await workerd.at.open.upgrade(joinPath('short', { id: 'k.', key })),
        400,
        'bad-key',
      );
  });

  for (const dialect of ['forum', 'lobby'])
    test(`the dialect ${dialect} has these ids, too`, async () => {
      const server = workerd.at.open;
      const ann = await Peer.connect(server, dialect, { id: 'k.', key: KEY, dialect });
      await ann.settle();
      const bob = await Peer.join(server, dialect, 'bob');
      assert.deepEqual(
        bob.welcome.peers.map((/** @type {{ id: string }} */ peer) => peer.id),
        [ID],
      );
      const eve = await Peer.connect(server, dialect, { id: ID, key: OTHER_KEY, dialect });
      await eve.isClosed(4009, 'id-taken');
    });

  test('a token for such an id is of use to its key only', async () => {
    const server = workerd.at.tokens;
    const own = mint({ room: 'sub', sub: ID });
    const ann = await Peer.join(server, 'sub', 'k.', { key: KEY, token: own });
    assert.equal(ann.welcome.id, ID);
    await isTaken(server, 'sub', { id: ID, key: OTHER_KEY, token: own });
    const eve = await Peer.connect(server, 'sub', { id: 'k.', key: OTHER_KEY, token: own });
    await eve.isClosed(4010, 'unauthorized');
  });
});

test('a Socket.IO client has such an id, and no other client can take it', async () => {
  const { origin } = workerd.at.open;
  const ann = await SocketIoPeer.join(origin, 'socketio', { auth: { id: 'k.', key: KEY } });
  const eve = new SocketIoPeer(origin, 'socketio', { auth: { id: ID, key: OTHER_KEY } });
  try {
    assert.equal(ann.socket.id, ID);
    const [error] = await eve.fires('connect_error');
    assert.equal(error.data.code, 'id-taken');
  } finally {
    ann.close();
    eve.close();
  }
});

describe('over HTTP', () => {
  test('k. gives the id of the key, and every request with this id needs the key', async () => {
    const server = workerd.at.open;
    const { status, text } = await new HttpPeer(server, 'http', 'k.', { key: KEY }).register();
    assert.deepEqual([status, JSON.parse(text).id], [200, ID], text);
    const ann = new HttpPeer(server, 'http', ID, { key: KEY });
    await ann.open();
    await ann.sends({ type: 'hello' });
    for (const key of [undefined, OTHER_KEY]) {
      const eve = new HttpPeer(server, 'http', ID, { key });
      assertError(await eve.register(), 409, 'id-taken');
      assertError(await eve.post({ type: 'hello' }), 409, 'id-taken');
      assert.equal((await eve.request()).statusCode, 409);
    }
    assertError(await new HttpPeer(server, 'http', 'k.').register(), 400, 'bad-key');
  });

  test('with ROOM_SECRET, the server makes the keys, so no peer has such an id', async () => {
    const room = 'http with secret';
    for (const id of ['k.', ID]) {
      const ann = new HttpPeer(workerd.at.tokens, room, id, { key: KEY, token: mint({ room }) });
      assertError(await ann.register(), 409, 'id-taken');
    }
  });
});

test('after a crash, only its key gets the id back', async () => {
  const persist = mkdtempSync(path.join(tmpdir(), 'partyline-ids-from-keys-'));
  const start = () => startWorkerd({ crashed: {} }, { persist });
  let crashing = await start();
  try {
    await Peer.join(crashing.at.crashed, 'seize', 'k.', { key: KEY });
    await crashing.stop();
    crashing = await start();
    const server = crashing.at.crashed;
    await isTaken(server, 'seize', { id: ID, key: OTHER_KEY });
    await isTaken(server, 'seize', { id: ID });
    const ann = await Peer.join(server, 'seize', 'k.', { key: KEY });
    assert.equal(ann.welcome.id, ID);
  } finally {
    await crashing.stop();
    rmSync(persist, { recursive: true, force: true });
  }
});
