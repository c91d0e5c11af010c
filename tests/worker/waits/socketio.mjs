// @ts-check
/**
 * A room is evicted while Socket.IO clients are connected, although the server pings the clients. The
 * clients notice nothing.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Peer, expectQuiet } from '../../support/peer.mjs';
import { MODES, SocketIoPeer } from '../../support/socketio-peer.mjs';
import { IDLE, startWorkerd } from '../../support/workerd.mjs';

export const socketIoTests = () =>
  describe('a room with Socket.IO clients', { concurrency: true }, () => {
    /** @type {import('../../support/workerd.mjs').Workerd<'main'>} */
    let workerd;
    before(async () => {
      workerd = await startWorkerd({ main: { PING_INTERVAL: '2' } });
    });
    after(() => workerd?.stop());

    const modes = /** @type {(keyof typeof MODES)[]} */ (Object.keys(MODES));
    for (const mode of modes)
      test(`is evicted between pings, and continues: ${mode}`, async (t) => {
        const server = workerd.at.main;
        const nat = await Peer.join(server, mode, 'nat');
        const peers = [{ id: 'nat', polite: false }];
        const options = { mode, auth: { id: 'bob' } };
        const bob = await SocketIoPeer.join(server.origin, mode, options, peers);
        t.after(() => bob.close());
        await bob.upgraded();
        await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
        let pings = 0;
        bob.engine.on('ping', () => (pings += 1));
        const { awakeSince } = await server.status(mode);
        const end = Date.now() + IDLE;
        await sleep(IDLE);

        nat.send({ type: 'hello', to: 'bob', payload: 1 });
        await bob.receives('hello', 1, 'nat');
        assert.deepEqual(await bob.ask('hello', 2, 'nat'), { ok: true });
        await nat.receives({ type: 'hello', from: 'bob', payload: 2 });
        const now = (await server.status(mode)).awakeSince;
        assert.notEqual(now, awakeSince, 'the room was evicted');
        assert.ok(Date.parse(now) >= end - 100, 'no ping has woken the room');
        assert.ok(pings > 1, 'the server has sent pings');
        await expectQuiet(nat);
      });
  });
