// @ts-check
/**
 * The WebRTC replication of RxDB, unmodified, in pages of their own browser contexts. RxDB's own signaling
 * server sends the same frames.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { startSignalingServerSimplePeer } from 'rxdb/plugins/replication-webrtc';
import { WebSocket } from 'ws';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
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

/** A client that has only the frames. */
class Raw {
  /** @type {string[]} */
  frames = [];

  /** @param {string} url */
  constructor(url) {
    this.socket = new WebSocket(url);
    this.socket.on('message', (data) => this.frames.push(data.toString()));
    this.closed = once(this.socket, 'close');
  }

  /** Waits until the client has this many frames. @param {number} count */
  async has(count) {
    while (this.frames.length < count)
      await Promise.race([once(this.socket, 'message'), this.closed]);
    assert.equal(this.frames.length, count);
  }
}

/** Plays a story, and returns all frames with the ids replaced by names. @param {string} url */
async function story(url) {
  const names = ['ann', 'bob', 'eve'];
  const clients = [];
  /** @type {Map<string, string>} */
  const ids = new Map();
  const send = (/** @type {Raw} */ client, /** @type {object} */ frame) =>
    client.socket.send(JSON.stringify(frame));
  for (const name of names) {
    const client = new Raw(url);
    await client.has(1);
    ids.set(JSON.parse(client.frames[0]).yourPeerId, name);
    clients.push(client);
  }
  const [a, b] = [...ids.keys()];
  const [ann, bob, eve] = clients;
  send(ann, { type: 'join', room: 'heroes' });
  await ann.has(2);
  send(bob, { type: 'join', room: 'heroes' });
  await Promise.all([ann.has(3), bob.has(2)]);
  send(bob, { type: 'join', room: 'heroes' });
  send(eve, { type: 'join', room: 'villains' });
  await eve.has(2);
  const signal = { type: 'signal', senderPeerId: a, receiverPeerId: b, room: 'heroes' };
  send(ann, { ...signal, data: { type: 'offer', sdp: 'v=0\r\n' }, connectionId: 'one' });
  await bob.has(3);
  send(bob, { type: 'join', room: 'villains' });
  await Promise.all([bob.has(4), eve.has(3)]);
  send(bob, signal); // names another sender
  await bob.closed;
  await Promise.all([ann.has(4), eve.has(4)]);
  send(eve, { type: 'ping' });
  for (const { socket } of [ann, eve]) socket.close();
  const named = (/** @type {string} */ frame) =>
    [...ids].reduce((text, [id, name]) => text.replaceAll(id, name), frame);
  return clients.map(({ frames }) => frames.map(named).filter((frame) => !/pong/.test(frame)));
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
