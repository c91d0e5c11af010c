// @ts-check
/**
 * Socket.IO clients and traps: the sessions are JavaScript, so a trap in the Rust code ends only the
 * join or the frame that traps.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Peer } from '../support/peer.mjs';
import { MODES, SocketIoPeer } from '../support/socketio-peer.mjs';
import { startTrapping } from '../support/trapping.mjs';

/** @type {import('../support/trapping.mjs').Trapping} */
let worker;
before(async () => {
  worker = await startTrapping();
});
after(() => worker?.stop());

test('a client whose join traps connects again', async (t) => {
  const { starts } = await worker.counts();
  await worker.trapNext('?callback');
  // JavaScript code would read the status that traps for a client that polls.
  const options = /** @type {const} */ ({ mode: 'WebSocket only', auth: { id: 'bob' } });
  const bob = await SocketIoPeer.join(worker.server.origin, 'join', options);
  t.after(() => bob.close());
  assert.equal((await worker.counts()).starts, starts + 1, 'the Rust code has trapped');
});

const modes = /** @type {(keyof typeof MODES)[]} */ (Object.keys(MODES));
for (const mode of modes) {
  test(`a trap in a room does not end the session of a client: ${mode}`, async (t) => {
    const { server } = worker;
    const nat = await Peer.join(server, mode, 'nat');
    const options = { mode, auth: { id: 'bob' } };
    const peers = [{ id: 'nat', polite: false }];
    const bob = await SocketIoPeer.join(server.origin, mode, options, peers);
    t.after(() => bob.close());
    await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
    await bob.upgraded();
    const session = bob.engine.id;
    const { starts } = await worker.counts();
    await worker.trapNext();
    bob.socket.emit('lost', 1, 'nat');
    assert.deepEqual(await bob.ask('hello', 2, 'nat'), { ok: true });
    await nat.receives({ type: 'hello', from: 'bob', payload: 2 });
    assert.equal((await worker.counts()).starts, starts + 1, 'the Rust code has trapped');
    assert.equal(bob.engine.id, session, 'the session is the same');
  });
}
