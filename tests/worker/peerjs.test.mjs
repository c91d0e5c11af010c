// @ts-check
/** Limits for PeerJS clients. A client that is connected receives no error, because it would disconnect. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mint } from '../support/jwt.mjs';
import { Peer, expectQuiet } from '../support/peer.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const OPEN = { type: 'OPEN' };

/** @type {import('../support/workerd.mjs').Workerd<'open' | 'expiring'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({ open: {}, expiring: { ROOM_SECRET, CLOSE_EXPIRED: 'true' } });
});
after(() => workerd?.stop());

/** @param {string} room @param {string} id @param {string} [token] */
async function join(room, id, token) {
  const server = token ? workerd.at.expiring : workerd.at.open;
  const peer = await Peer.connect(server, room, { dialect: 'peerjs', id, key: `of ${id}`, token });
  await peer.receives(OPEN);
  return peer;
}

test('frames that are refused have no answer', async () => {
  const [ann, bob] = [await join('refused', 'ann'), await join('refused', 'bob')];
  ann.send('not JSON');
  ann.send(Buffer.from('binary'));
  ann.send({ type: 'welcome', dst: 'bob' });
  ann.send({ type: 'OFFER', payload: 1 });
  ann.send({ type: 'OFFER', dst: 'bob', payload: 2 });
  await bob.receives({ type: 'OFFER', src: 'ann', dst: 'bob', payload: 2 });
  await expectQuiet(ann, bob);
  await Promise.all([ann.close(), bob.close()]);
});

test('a frame that is too large closes the connection', async () => {
  const ann = await join('large', 'ann');
  ann.send({ type: 'OFFER', dst: 'bob', payload: 'x'.repeat(65_536) });
  await ann.isClosed(1009, 'too-large');
});

test('a client that floods the room is disconnected', async () => {
  const [ann, bob] = [await join('flood', 'ann'), await join('flood', 'bob')];
  // Frames that are ignored count as well.
  for (let n = 0; n < 2_000; n += 1) ann.send({ type: 'heartbeat' });
  await ann.isClosed(4008, 'too-fast');
  await expectQuiet(bob);
  await bob.close();
});

test('the connection closes when the token expires', async () => {
  const exp = Math.floor(Date.now() / 1000) + 4;
  const ann = await join('expiring', 'ann', mint({ room: 'expiring', exp }));
  await ann.isClosed(4014, 'expired');
  const late = {
    dialect: 'peerjs',
    id: 'ann',
    key: 'of ann',
    token: mint({ room: 'expiring', exp }),
  };
  const again = await Peer.connect(workerd.at.expiring, 'expiring', late);
  assert.equal(JSON.parse(await again.next()).type, 'INVALID-KEY');
  await again.isClosed(4010, 'unauthorized');
});
