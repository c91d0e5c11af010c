// @ts-check
/**
 * A signal that is too long for the attachment of a WebSocket is stored as a row, which is deleted
 * when the signal expires. A module that wraps the Worker reads the keys of the rows in the Durable
 * Object.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { HttpPeer } from '../../support/http-peer.mjs';
import { Peer, expectQuiet } from '../../support/peer.mjs';
import { startWorkerd } from '../../support/workerd.mjs';

/** @typedef {import('../../support/workerd.mjs').Server} Server */

/** @type {string} */
let folder;

/**
 * Module that wraps the Worker and adds `GET …/written`, which returns the keys of a room's rows.
 */
const WITH_ROW_KEYS = `
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

export const storedSignalTests = () =>
  describe(
    'a stored signal that exceeds the attachment of its WebSocket',
    { concurrency: true },
    () => {
      /** @type {Server} */
      let server;
      /** @type {() => Promise<void>} */
      let stop;

      /** @param {string} persist */
      async function start(persist) {
        const settings = { RECONNECT_GRACE: '1', PING_INTERVAL: '1' };
        const { at, stop } = await startWorkerd(
          { ours: settings },
          { around: WITH_ROW_KEYS, persist },
        );
        return { server: at.ours, stop };
      }

      before(async () => {
        folder = await mkdtemp(path.join(tmpdir(), 'partyline-storage-'));
        ({ server, stop } = await start(path.join(folder, 'lasting')));
      });
      after(async () => {
        await stop?.();
        await rm(folder, { recursive: true, force: true });
      });

      /** @param {Server} server @param {string} room @returns {Promise<string[]>} */
      const written = async (server, room) =>
        JSON.parse((await server.request(`/${room}/written`)).text);

      /**
       * Lets ann and a device join. Ann sends the device a 20 KB signal, which the room stores in
       * case the device resumes its stream.
       * @param {Server} server
       * @param {string} room
       */
      async function meet(server, room) {
        const ann = await Peer.join(server, room, 'ann');
        const device = await HttpPeer.join(server, room, 'device');
        await ann.receives({ type: 'peer-joined', id: 'device', polite: true });
        assert.deepEqual(await written(server, room), [], 'nothing is stored yet');
        const say = async () => {
          ann.send({ type: 'long', to: 'device', payload: 'x'.repeat(20_000) });
          await device.next();
          const rows = await written(server, room);
          assert.match(rows.join(), /^notices \d+$/, 'one row is stored beside the attachment');
          return rows;
        };
        return { ann, device, say, rows: await say() };
      }

      test('the row is deleted when its WebSocket is replaced or its peer leaves', async () => {
        const { ann, device, say, rows } = await meet(server, 'gone');
        await device.resume();
        assert.deepEqual(await written(server, 'gone'), [], 'the client has received the signal');
        assert.notDeepEqual(await say(), rows, 'the new signal has a row of its own');
        device.stream?.cut();
        await ann.receives({ type: 'peer-left', id: 'device' });
        await expectQuiet(ann);
        assert.deepEqual(await written(server, 'gone'), [], 'the device has left');
        await ann.close();
      });

      test('the row is deleted 10 s after the grace period', async () => {
        const { ann, device } = await meet(server, 'old');
        // The room deletes old signals when it sends the next signal. So ann sends a signal after
        // every ping.
        let pings = 0;
        do {
          assert((pings += 1) < 30, 'the row is kept no longer than the grace and 10 s');
          await device.stream?.pinged();
          ann.send({ type: 'short', to: 'device' });
          await device.receives('{"type":"short","payload":null,"senderId":"ann"}');
        } while ((await written(server, 'old')).length);
        await expectQuiet(ann);
        await ann.close();
      });

      test('the row is deleted by the first request after the server was killed', async () => {
        const persist = path.join(folder, 'ended');
        const first = await start(persist);
        const { rows } = await meet(first.server, 'ended').finally(first.stop);
        const files = await readdir(path.join(persist, 'ours-Room'));
        const database = files.filter((file) => /^[0-9a-f]{64}/.test(file));
        const bytes = database.map((file) =>
          readFile(path.join(persist, 'ours-Room', file), 'latin1'),
        );
        assert.ok(
          (await Promise.all(bytes)).join().includes(rows[0]),
          'the row is in the database',
        );
        const { server, stop } = await start(persist);
        // Any request wakes the room, and a room that wakes deletes the rows of lost WebSockets.
        const remaining = server.status('ended').then(() => written(server, 'ended'));
        assert.deepEqual(await remaining.finally(stop), []);
      });
    },
  );
