// @ts-check
/**
 * An ordinary session costs no storage write and no alarm. The tests check this in the database
 * files that workerd writes.
 *
 * The folder of an instance contains one database per room, and the database `metadata` for the
 * alarms of all rooms. SQLite runs in WAL mode, so every write is appended to a `-wal` file.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Peer, expectQuiet } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {'ordinary' | 'lossy' | 'lonely'} Name */

/** @type {string} */
let folder;
/** @type {import('../support/workerd.mjs').Workerd<Name>} */
let workerd;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'partyline-storage-'));
  workerd = await startWorkerd({ ordinary: {}, lossy: {}, lonely: {} }, { persist: folder });
});
after(async () => {
  await workerd?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('an ordinary session writes nothing and sets no alarm', async () => {
  const { room, server, stored } = await awaken('ordinary');
  const ann = await Peer.join(server, room, 'ann', { key: 'secret of ann' });
  const bob = await Peer.join(server, room, 'bob', { key: 'secret of bob' });
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  const eve = await Peer.join(server, room, 'eve');
  await ann.receives({ type: 'peer-joined', id: 'eve', polite: true });
  await bob.receives({ type: 'peer-joined', id: 'eve', polite: true });

  bob.send({ type: 'offer', to: 'ann', payload: { sdp: 'v=0' } });
  await ann.receives({ type: 'offer', from: 'bob', payload: { sdp: 'v=0' } });
  ann.send({ type: 'answer', to: 'bob', payload: { sdp: 'v=0' } });
  await bob.receives({ type: 'answer', from: 'ann', payload: { sdp: 'v=0' } });
  eve.send({ type: 'hello', payload: 'all' });
  await ann.receives({ type: 'hello', from: 'eve', payload: 'all' });
  await bob.receives({ type: 'hello', from: 'eve', payload: 'all' });
  eve.send({ type: 'offer', to: 'zed' });
  await eve.receivesError('no-such-peer', { to: 'zed' });

  // Bob's page joins again before its old WebSocket is closed.
  const tab = await Peer.join(server, room, 'bob', { key: 'secret of bob' });
  await bob.isClosed(4001, 'replaced');
  await eve.close(1000, 'bye');
  await ann.receives({ type: 'peer-left', id: 'eve' });
  await tab.receives({ type: 'peer-left', id: 'eve' });
  await tab.close();
  await ann.receives({ type: 'peer-left', id: 'bob' });
  await ann.close();
  await expectQuiet(ann, bob, tab, eve);

  assert.equal((await server.status(room)).peers, 0, 'the room is empty');
  assert.deepEqual(await read('ordinary'), stored);
});

test('a room writes a row and sets an alarm when a peer becomes absent', async () => {
  const { room, server, stored } = await awaken('lossy');
  const ann = await Peer.join(server, room, 'ann');
  const bob = await Peer.join(server, room, 'bob');
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  await expectQuiet(ann, bob);
  assert.deepEqual(await read('lossy'), stored, 'nothing is written while all peers are connected');

  await bob.cut();
  await expectQuiet(ann);
  await assertWritten('lossy', stored);
  await ann.close();
});

test('a room writes a row and sets an alarm when it holds a broadcast for the next peer', async () => {
  const { room, server, stored } = await awaken('lonely');
  const ann = await Peer.join(server, room, 'ann');
  await expectQuiet(ann);
  assert.deepEqual(await read('lonely'), stored, 'nothing is written before a broadcast is held');

  ann.send({ type: 'offer', payload: 1 });
  await expectQuiet(ann);
  await assertWritten('lonely', stored);
  await ann.close();
});

/**
 * Digests of the database files of an instance.
 * @typedef {object} Stored
 * @property {string} room a digest of the database of its only room
 * @property {string} alarms a digest of the database of its alarms
 * @property {string[]} tables the tables of the room
 */

/**
 * Creates the only room of an instance. A request for the status of the room creates its database.
 * @param {Name} name
 */
async function awaken(name) {
  const server = workerd.at[name];
  const room = 'storage';
  await server.status(room);
  const stored = await read(name);
  assert.deepEqual(stored.tables, [], 'a new room has no tables');
  return { room, server, stored };
}

/**
 * Reads the database files of an instance. They contain every write that a room made before a
 * response, because the platform delays a response until earlier writes are durable.
 *
 * @param {Name} name
 * @returns {Promise<Stored>}
 */
async function read(name) {
  const instance = path.join(folder, `${name}-Room`);
  const files = await readdir(instance);
  const rooms = files.filter((file) => /^[0-9a-f]{64}\.sqlite$/.test(file));
  assert.equal(rooms.length, 1, `exactly one room has a database: ${files}`);
  const bytes = async (/** @type {string} */ database) => {
    const parts = [database, `${database}-wal`].filter((part) => files.includes(part));
    return Buffer.concat(
      await Promise.all(parts.map((part) => readFile(path.join(instance, part)))),
    );
  };
  const [room, alarms] = await Promise.all([bytes(rooms[0]), bytes('metadata.sqlite')]);
  const tables = room.toString('latin1').matchAll(/CREATE TABLE (\w+)/g);
  return {
    room: digest(room),
    alarms: digest(alarms),
    tables: [...new Set([...tables].map(([, table]) => table))].sort(),
  };
}

/** @param {Buffer} bytes */
function digest(bytes) {
  return `${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex')}`;
}

/**
 * Asserts that rows and an alarm were written. The test of an ordinary session compares the same
 * digests, so this assertion proves that the comparison detects writes.
 * @param {Name} name
 * @param {Stored} before
 */
async function assertWritten(name, before) {
  const { room, alarms, tables } = await read(name);
  assert.deepEqual(
    tables,
    ['_cf_KV', '_cf_METADATA'],
    'the tables of the alarm and of the rows exist',
  );
  assert.notEqual(room, before.room);
  assert.notEqual(alarms, before.alarms, 'the platform has registered the alarm');
}
