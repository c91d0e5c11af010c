// @ts-check
/** Clients of Nostr on workerd. The transcripts in `tests/transcripts/nostr` show the frames. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mint } from '../support/jwt.mjs';
import { Peer, expectQuiet } from '../support/peer.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const dialect = 'nostr';
const event = { id: '1', kind: 20_001, tags: [['t', 'a']], created_at: 1 };
const publish = ['EVENT', event];

/** @type {import('../support/workerd.mjs').Workerd<'main' | 'strict' | 'small'>} */
let workerd;
before(async () => {
  const strict = { ROOM_SECRET };
  workerd = await startWorkerd({ main: {}, strict, small: { MAX_CLIENTS: '1' } });
});
after(() => workerd?.stop());

/** Connects and subscribes. @param {string} room @param {import('../support/peer.mjs').Join} [join] */
async function connect(room, join, server = workerd.at.main) {
  const peer = await Peer.connect(server, room, { dialect, ...join });
  peer.send(['REQ', 'sub', { '#t': ['a'] }]);
  await peer.receives(['EOSE', 'sub']);
  return peer;
}

/** Asserts that the next frame is a NOTICE with this start. @param {Peer} peer @param {string} start */
async function noticed(peer, start) {
  const [type, text] = JSON.parse(await peer.next());
  assert.equal(type, 'NOTICE');
  assert.ok(text.startsWith(start), text);
}

test('clients meet in a room by path or query, and meet no other room or family', async () => {
  const [ann, bob] = [await connect('a', { inPath: true }), await connect('a')];
  const other = await connect('b');
  const eve = await Peer.connect(workerd.at.main, 'a', { dialect: 'trystero' });
  eve.send({ type: 'subscribe', topic: 'a' });
  bob.send(publish);
  await bob.receives(['OK', '1', true, '']);
  for (const peer of [ann, bob]) await peer.receives(['EVENT', 'sub', event]);
  await expectQuiet(ann, bob);
  await expectQuiet(other);
  await expectQuiet(eve);
  const { awakeSince, ...status } = await workerd.at.main.status('a', undefined, dialect);
  assert.deepEqual(status, { status: 'ok', room: 'a', family: 'nostr', peers: 2 });
  assert.ok(awakeSince);
  await Promise.all([ann, bob, other, eve].map((peer) => peer.close(1000)));
});

test('a large frame and a flood are refused, and then closed', async () => {
  const ann = await connect('large');
  ann.send(['EVENT', { ...event, content: 'x'.repeat(65_536) }]);
  await noticed(ann, 'invalid: the frame has more than 65536 bytes');
  await ann.isClosed(1009, 'too-large');
  const bob = await connect('large');
  for (let n = 0; n < 2_000; n += 1) bob.send(publish);
  await bob.isClosed(4008, 'too-fast');
  const refused = bob.unread.map((frame) => JSON.parse(frame)).find(([, , ok]) => ok === false);
  assert.match(refused[3], /^rate-limited: too many signals/);
});

test('a join is refused with a notice: a full room, and a token that is missing', async () => {
  const { small, strict } = workerd.at;
  const ann = await connect('full', {}, small);
  const eve = await Peer.connect(small, 'full', { dialect });
  await noticed(eve, 'error: 1 clients are connected');
  await eve.isClosed(4003, 'room-full');
  const bob = await Peer.connect(strict, 'full', { dialect });
  await noticed(bob, 'restricted: ');
  await bob.isClosed(4010, 'unauthorized');
  const dan = await connect('full', { token: mint({ room: 'full' }) }, strict);
  await Promise.all([ann, dan].map((peer) => peer.close(1000)));
});
