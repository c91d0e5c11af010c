// @ts-check
/**
 * The same conversation with this server and with the server of bittorrent-tracker: the clients receive the
 * same frames, byte for byte. `docs/dialects.md` has the differences that are intended.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { FrameRecorder } from '../support/frame-recorder.mjs';
import { within } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
/** The server of bittorrent-tracker. @type {any} */
let reference;
before(async () => {
  workerd = await startWorkerd({ main: {} });
  const name = 'bittorrent-tracker/server'; // the package has no types
  const { default: Server } = await import(name);
  reference = new Server({ udp: false, http: false, stats: false });
  reference.on('warning', () => {}); // the server reports each frame that it refuses
  reference.listen(0, '127.0.0.1');
  await once(reference, 'listening');
});
after(async () => {
  await new Promise((resolve) => (reference ? reference.close(resolve) : resolve(undefined)));
  await workerd?.stop();
});

/** The URLs of both servers. @returns {[ours: string, theirs: string]} */
const urls = () => [
  `ws://${workerd.at.main.host}/parties/main/demo/tracker`,
  `ws://127.0.0.1:${reference.ws.address().port}`,
];

/**
 * Opens three clients, and returns all frames that they receive.
 * @param {string} url
 * @param {(...clients: FrameRecorder[]) => Promise<void>} conversation
 */
async function frames(url, conversation) {
  const clients = ['ann', 'bob', 'eve'].map(() => new FrameRecorder(url));
  try {
    const opened = clients.map(({ socket }) => once(socket, 'open'));
    await within(Promise.all(opened), 'the clients connect');
    await conversation(...clients);
  } finally {
    for (const { socket } of clients) socket.terminate();
  }
  return clients.map(({ frames }) => frames);
}

/** Returns 20 characters. @param {string} character */
const id = (character) => character.repeat(20);
const [HASH, OTHER] = [id('\u0000'), id('\u00ff')];
/** @param {string} peer @param {object} [more] */
const announce = (peer, more) => ({
  action: 'announce',
  info_hash: HASH,
  peer_id: id(peer),
  ...more,
});
/** @param {string} name */
const offer = (name) => ({
  offer: { type: 'offer', sdp: `v=0\r\n${name} é \u2028` },
  offer_id: id(name),
});

test('clients receive the same frames as from the server of bittorrent-tracker', async () => {
  const both = urls().map((url) =>
    frames(url, async (ann, bob, eve) => {
      await ann.send(announce('a', { event: 'started', numwant: 1, offers: [offer('1')] }), ann);
      await bob.send(announce('\u007f', { left: 5, offers: [offer('2'), offer('3')] }), bob, ann);
      const answer = { type: 'answer', sdp: 'v=0\r\n' };
      await ann.send(announce('a', { answer, offer_id: id('2'), to_peer_id: id('\u007f') }), bob);
      await ann.send(announce('a', { answer, offer_id: id('2'), to_peer_id: id('x') }));
      await eve.send(announce('e', { left: 0, event: 'empty' }), eve);
      await eve.send(announce('e', { left: 7, event: 'update' }), eve);
      await bob.send(announce('\u007f', { event: 'completed' }), bob);
      await bob.send(announce('\u007f', { event: 'paused' }), bob);
      // A client may be several peers.
      await eve.send(announce('f', { offers: [] }), eve);
      await eve.send({ ...announce('e', { event: 'started' }), info_hash: OTHER }, eve);
      await ann.send({ action: 'scrape', info_hash: [HASH, OTHER, id('n'), HASH] }, ann);
      await ann.send({ action: 'scrape', info_hash: OTHER }, ann);
      await eve.send(announce('f', { event: 'stopped' }), eve);
      await eve.send(announce('f', { event: 'stopped' }), eve);
      await bob.send(announce('\u007f', { event: 'gone' }), bob);
      await bob.send(
        { ...announce('\u007f', { offers: [offer('4')] }), info_hash: OTHER },
        bob,
        eve,
      );
    }),
  );
  const [ours, theirs] = await Promise.all(both);
  assert.deepEqual(ours, theirs);
  assert.deepEqual(
    ours.map((frames) => frames.length),
    [4, 6, 7],
  );
});

test('a refusal has the same reason, and always an action and a hash', async () => {
  /** @type {[frame: object, answer: object][]} */
  const refused = [
    [{ ...announce('a'), info_hash: 'x' }, { info_hash: 'x' }],
    [{ action: 'announce', peer_id: id('a') }, { info_hash: '' }],
    [announce('ab'), { info_hash: HASH }],
    [announce('a', { answer: {}, to_peer_id: 'x' }), { info_hash: HASH }],
    [
      { action: 'scrape', info_hash: 'x' },
      { action: 'scrape', info_hash: '' },
    ],
  ];
  const both = urls().map((url) =>
    frames(url, async (ann) => {
      for (const [frame] of refused) await ann.send(frame, ann);
    }),
  );
  const [[ours], [theirs]] = (await Promise.all(both)).map((all) =>
    all.map((frames) => frames.map((frame) => JSON.parse(frame))),
  );
  const expected = theirs.map((reason, index) => ({
    action: 'announce',
    ...reason,
    ...refused[index][1],
  }));
  assert.deepEqual(ours, expected);
});

test('a scrape without a hash lists no swarm', async () => {
  const [ours, theirs] = await Promise.all(
    urls().map((url) =>
      frames(url, async (ann) => {
        await ann.send(announce('a'), ann);
        await ann.send({ action: 'scrape' }, ann);
      }),
    ),
  );
  const files = ([[, frame]] = ours) => Object.keys(JSON.parse(frame).files);
  assert.deepEqual(files(ours), []);
  assert.ok(files(theirs).includes(HASH));
});
