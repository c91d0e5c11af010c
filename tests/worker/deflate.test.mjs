// @ts-check
/**
 * permessage-deflate (RFC 7692) is off. With it, a frame of 31 KB would fill 31 MB of memory before
 * the Worker could refuse it. The tests talk to workerd itself, because a proxy could negotiate its
 * own extensions.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import { Peer } from '../support/peer.mjs';
import { COMPRESSED, RawWebSocket, TEXT } from '../support/raw-websocket.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const OFFER = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n';
const MIB = 1024 * 1024;

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({ main: { RECONNECT_GRACE: '0' } });
});
after(() => workerd?.stop());

/** Joins with a raw WebSocket that offers permessage-deflate. @param {string} room */
const offering = (room) => RawWebSocket.connect(workerd.at.main, room, { id: 'eve' }, OFFER);

test('a client that offers permessage-deflate joins without it', async () => {
  const eve = await offering('offer');
  assert.doesNotMatch(eve.head, /Sec-WebSocket-Extensions/i);
  assert.equal((await eve.receive()).type, 'welcome');
  const bob = await Peer.join(workerd.at.main, 'offer', 'bob');
  assert.equal((await eve.receive()).type, 'peer-joined');
  eve.sendText({ type: 'hello', to: 'bob' });
  await bob.receives({ type: 'hello', from: 'eve' });
});

test('a compressed frame is refused as a protocol error', async () => {
  const eve = await offering('bomb');
  await eve.next(); // the frame `welcome`
  const bob = await Peer.join(workerd.at.main, 'bomb', 'bob');
  await eve.next(); // the frame `peer-joined`
  const deflated = deflateRawSync(Buffer.alloc(31 * MIB, 'x'), {
    finishFlush: constants.Z_SYNC_FLUSH,
    level: 9,
  });
  // A message ends without the last four bytes of the flush (RFC 7692 §7.2.1).
  eve.send(TEXT | COMPRESSED, deflated.subarray(0, -4));
  assert.equal((await eve.closing()).code, 1002);
  await bob.receives({ type: 'peer-left', id: 'eve' });
});
