// @ts-check
/**
 * The WebRTC replication of RxDB, unmodified, in pages of their own browser contexts. RxDB's own signaling
 * server sends the same frames.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { startSignalingServerSimplePeer } from 'rxdb/plugins/replication-webrtc';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { FrameRecorder } from '../support/frame-recorder.mjs';
import * as replicas from '../support/rxdb-page.mjs';
import { times } from '../support/tier.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
const pages = new Pages();
useFixtures(pages, {
  start: async () => (workerd = await startWorkerd({ main: {} })),
  stop: () => workerd?.stop(),
});

/** The URL of a signaling server of its own. @param {string} room */
const signaling = (room) => `ws://${workerd.at.main.host}/parties/main/${room}/rxdb`;

/** Opens pages with RxDB. @param {string[]} names */
async function open(...names) {
  const url = `${workerd.at.main.origin}/health`;
  const opened = await Promise.all(names.map((name) => pages.open(name, url)));
  await Promise.all(opened.map(replicas.load));
  return opened;
}

/** Plays a story, and returns all frames with the ids replaced by names. @param {string} url */
async function story(url) {
  const names = ['ann', 'bob', 'eve'];
  const clients = [];
  /** @type {Map<string, string>} */
  const ids = new Map();
  for (const name of names) {
    const client = new FrameRecorder(url, '{"type":"pong"}');
    await client.has(1);
    ids.set(JSON.parse(client.frames[0]).yourPeerId, name);
    clients.push(client);
  }
  const [a, b] = [...ids.keys()];
  const [ann, bob, eve] = clients;
  const join = (/** @type {string} */ room) => ({ type: 'join', room });
  await ann.send(join('heroes'), ann);
  await bob.send(join('heroes'), ann, bob);
  await bob.send(join('heroes'));
  await eve.send(join('villains'), eve);
  const signal = { type: 'signal', senderPeerId: a, receiverPeerId: b, room: 'heroes' };
  const offer = { type: 'offer', sdp: 'v=0\r\n' };
  await ann.send({ ...signal, data: offer, connectionId: 'one' }, bob);
  await bob.send(join('villains'), bob, eve);
  await bob.send(signal, ann, eve); // it names another sender, so bob is closed
  await bob.closed;
  await eve.send({ type: 'ping' });
  await Promise.all([ann.close(), eve.close()]);
  const named = (/** @type {string} */ frame) =>
    [...ids].reduce((text, [id, name]) => text.replaceAll(id, name), frame);
  return clients.map(({ frames }) => frames.map(named));
}

// RxDB's server keeps a timer for five seconds after its end, so this test is the first.
test("the server sends the same frames as RxDB's own server", async () => {
  const { server } = await startSignalingServerSimplePeer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const { log } = console;
  try {
    // RxDB's server reports each closed connection.
    console.log = () => {};
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    const expected = await story(`ws://127.0.0.1:${port}`);
    assert.deepEqual(await story(signaling('story')), expected);
    assert.equal(expected.flat().length, 12);
  } finally {
    console.log = log;
    server.close();
  }
});

for (let n = 1; n <= times(10); n += 1)
  test(`three replicas that start at the same moment have all documents: ${n}`, async () => {
    const names = ['ann', 'bob', 'eve'];
    const all = await open(...names);
    await Promise.all(all.map((page, k) => replicas.start(page, names[k], signaling(`trio-${n}`))));
    await Promise.all(all.map((page) => replicas.has(page, names)));
    await replicas.write(all[0], 'later');
    await Promise.all(all.map((page) => replicas.has(page, [...names, 'later'])));
  });

test('topics of a URL do not meet, and a replica that comes back replicates again', async () => {
  const [ann, bob, eve] = await open('ann', 'bob', 'eve');
  const url = signaling('topics').replace('/rxdb', '?dialect=rxdb');
  await Promise.all([
    replicas.start(ann, 'ann', url),
    replicas.start(bob, 'bob', url),
    replicas.start(eve, 'eve', url, 'villains'),
  ]);
  for (const page of [ann, bob]) await replicas.has(page, ['ann', 'bob']);
  await bob.reload();
  await replicas.load(bob);
  await replicas.start(bob, 'dan', url);
  for (const page of [ann, bob]) await replicas.has(page, ['ann', 'bob', 'dan']);
  await replicas.has(eve, ['eve']);
});
