// @ts-check
/**
 * An ordinary session costs no storage write and no alarm: seen from outside, in the files that
 * workerd keeps. What is too long to be kept with a socket is written down, and is gone in the end:
 * seen through the object's own eyes.
 *
 * Each instance has a folder of its own: a database for each room, and one, `metadata`, for the
 * alarms of all of them. SQLite is in WAL mode, so what is written is added to a `-wal` file as it
 * is.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer, quiet } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('../support/workerd.mjs').Server} Server */
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
  const ann = await Peer.meet(server, room, 'ann', { key: 'secret of ann' });
  const bob = await Peer.meet(server, room, 'bob', { key: 'secret of bob' });
  await ann.hears({ type: 'peer-joined', id: 'bob', polite: true });
  const eve = await Peer.meet(server, room, 'eve');
  await ann.hears({ type: 'peer-joined', id: 'eve', polite: true });
  await bob.hears({ type: 'peer-joined', id: 'eve', polite: true });

  bob.say({ type: 'offer', to: 'ann', payload: { sdp: 'v=0' } });
  await ann.hears({ type: 'offer', from: 'bob', payload: { sdp: 'v=0' } });
  ann.say({ type: 'answer', to: 'bob', payload: { sdp: 'v=0' } });
  await bob.hears({ type: 'answer', from: 'ann', payload: { sdp: 'v=0' } });
  eve.say({ type: 'hello', payload: 'all' });
  await ann.hears({ type: 'hello', from: 'eve', payload: 'all' });
  await bob.hears({ type: 'hello', from: 'eve', payload: 'all' });
  eve.say({ type: 'offer', to: 'zed' });
  await eve.refused('no-such-peer', { to: 'zed' });

  // The page is opened again before its old socket is gone.
  const tab = await Peer.meet(server, room, 'bob', { key: 'secret of bob' });
  await bob.ends(4001, 'replaced');
  await eve.close(1000, 'bye');
  await ann.hears({ type: 'peer-left', id: 'eve' });
  await tab.hears({ type: 'peer-left', id: 'eve' });
  await tab.close();
  await ann.hears({ type: 'peer-left', id: 'bob' });
  await ann.close();
  await quiet(ann, bob, tab, eve);

  assert.equal((await server.status(room)).peers, 0, 'everybody has left');
  assert.deepEqual(await read('ordinary'), stored);
});

test('a session with an absent peer writes, and sets an alarm', async () => {
  const { room, server, stored } = await awaken('lossy');
  const ann = await Peer.meet(server, room, 'ann');
  const bob = await Peer.meet(server, room, 'bob');
  await ann.hears({ type: 'peer-joined', id: 'bob', polite: true });
  await quiet(ann, bob);
  assert.deepEqual(await read('lossy'), stored, 'nothing is written before somebody is absent');

  await bob.cut();
  await quiet(ann);
  await assertWritten('lossy', stored);
  await ann.close();
});

test('a signal that waits for the next to join is written, and sets an alarm', async () => {
  const { room, server, stored } = await awaken('lonely');
  const ann = await Peer.meet(server, room, 'ann');
  await quiet(ann);
  assert.deepEqual(await read('lonely'), stored, 'nothing is written before something is held');

  ann.say({ type: 'offer', payload: 1 });
  await quiet(ann);
  await assertWritten('lonely', stored);
  await ann.close();
});

/**
 * What the files of an instance have in them.
 * @typedef {object} Stored
 * @property {string} room a digest of the database of its one room
 * @property {string} alarms likewise of that of the alarms
 * @property {string[]} tables of the room
 */

/**
 * Builds the only room of an instance by asking how it is, so that its database is there.
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
 * What was written before an answer of the room came is in it, since the platform lets nothing out
 * before a write is safe.
 *
 * @param {Name} name
 * @returns {Promise<Stored>}
 */
async function read(name) {
  const of = path.join(folder, `${name}-Room`);
  const files = await readdir(of);
  const rooms = files.filter((file) => /^[0-9a-f]{64}\.sqlite$/.test(file));
  assert.equal(rooms.length, 1, `one room has a database: ${files}`);
  const bytes = async (/** @type {string} */ database) => {
    const parts = [database, `${database}-wal`].filter((part) => files.includes(part));
    return Buffer.concat(await Promise.all(parts.map((part) => readFile(path.join(of, part)))));
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
 * The same look that finds nothing after an ordinary session.
 * @param {Name} name
 * @param {Stored} before
 */
async function assertWritten(name, before) {
  const { room, alarms, tables } = await read(name);
  assert.deepEqual(tables, ['_cf_KV', '_cf_METADATA'], 'the alarm of the room, and its rows');
  assert.notEqual(room, before.room);
  assert.notEqual(alarms, before.alarms, 'the platform knows of the alarm, too');
}

/** Ours, and beside it what a room has written down: the keys of its rows. */
const WITNESSED = `
  import ours, { Room as OurRoom } from './index.js';
  export class Room extends OurRoom {
    constructor(ctx, env) {
      super(ctx, env);
      this.storage = ctx.storage;
    }
    async fetch(request) {
      if (!request.url.endsWith('/written')) return super.fetch(request);
      return Response.json([...(await this.storage.list()).keys()]);
    }
  }
  export default {
    fetch(request, env, ctx) {
      const [, room] = /([^/]+)\\/written$/.exec(request.url) ?? [];
      return room ? env.ROOM.getByName(room).fetch(request) : ours.fetch(request, env, ctx);
    },
  };
`;

describe('what is too long to be kept with a socket', { concurrency: true }, () => {
  /** @type {Server} */
  let server;
  /** @type {() => Promise<void>} */
  let stop;

  /** @param {string} persist */
  async function start(persist) {
    const settings = { RECONNECT_GRACE: '1', PING_INTERVAL: '1' };
    const { at, stop } = await startWorkerd({ ours: settings }, { around: WITNESSED, persist });
    return { server: at.ours, stop };
  }

  before(async () => ({ server, stop } = await start(path.join(folder, 'witnessed'))));
  after(() => stop?.());

  /** @param {Server} server @param {string} room @returns {Promise<string[]>} */
  const written = async (server, room) =>
    JSON.parse((await server.request(`/${room}/written`)).text);

  /**
   * Ann says 20 KB to a device, and they are kept so that it may hear them again.
   * @param {Server} server
   * @param {string} room
   */
  async function meet(server, room) {
    const ann = await Peer.meet(server, room, 'ann');
    const device = await HttpPeer.meet(server, room, 'device');
    await ann.hears({ type: 'peer-joined', id: 'device', polite: true });
    assert.deepEqual(await written(server, room), [], 'there is nothing to be kept yet');
    const say = async () => {
      ann.say({ type: 'long', to: 'device', payload: 'x'.repeat(20_000) });
      await device.next();
      const rows = await written(server, room);
      assert.match(rows.join(), /^outside \d+$/, 'one row, beside the socket');
      return rows;
    };
    return { ann, device, say, rows: await say() };
  }

  test('goes with the socket', async () => {
    const { ann, device, say, rows } = await meet(server, 'gone');
    await device.resume(); // it has got everything
    assert.deepEqual(await written(server, 'gone'), [], 'another stream has taken over');
    assert.notDeepEqual(await say(), rows, 'which has a socket of its own');
    device.stream?.cut();
    await ann.hears({ type: 'peer-left', id: 'device' });
    await quiet(ann);
    assert.deepEqual(await written(server, 'gone'), [], 'it has left');
    await ann.close();
  });

  test('goes when it is old', async () => {
    const { ann, device } = await meet(server, 'old');
    // As often as the stream is pinged something is said, and what is too old is dropped then.
    let pings = 0;
    do {
      assert((pings += 1) < 30, 'it is kept for the grace and ten seconds');
      await device.stream?.pinged();
      ann.say({ type: 'short', to: 'device' });
      await device.hears('{"type":"short","payload":null,"senderId":"ann"}');
    } while ((await written(server, 'old')).length);
    await quiet(ann);
    await ann.close();
  });

  test('goes though the server has ended without a word', async () => {
    const persist = path.join(folder, 'ended');
    const first = await start(persist);
    const { rows } = await meet(first.server, 'ended').finally(first.stop);
    const files = await readdir(path.join(persist, 'ours-Room'));
    const database = files.filter((file) => /^[0-9a-f]{64}/.test(file));
    const bytes = database.map((file) => readFile(path.join(persist, 'ours-Room', file), 'latin1'));
    assert.ok((await Promise.all(bytes)).join().includes(rows[0]), 'the row is there');
    const { server, stop } = await start(persist);
    // Whatever the room is asked for wakes it.
    const left = server.status('ended').then(() => written(server, 'ended'));
    assert.deepEqual(await left.finally(stop), []);
  });
});
