// @ts-check
/**
 * Peers of all dialects in one room: each is told everything in its own tongue, and nothing else.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {'native' | 'forum' | 'lobby' | 'http'} Dialect */
/**
 * How a dialect writes what a room does, byte for byte. An empty list: it does not.
 * @typedef {object} Tongue
 * @property {(kind: string, from: string, to: string | undefined, payload: string) => string} says
 * @property {(kind: string, from: string, to: string | undefined, payload: string) => string} hears
 * @property {(room: string, id: string, others: string[]) => string[]} welcome
 * @property {(id: string) => string[]} joined
 * @property {(id: string) => string[]} left
 */

/** @param {string} key @param {string | undefined} id */
const maybe = (key, id) => (id === undefined ? '' : `"${key}":"${id}",`);
/** How forum and HTTP spell a candidate. @param {string} kind @param {string} spelled */
const spell = (kind, spelled) => (kind === 'candidate' ? spelled : kind);

/** @type {Record<Dialect, Tongue>} */
const tongues = {
  native: {
    says: (kind, _, to, payload) => `{"type":"${kind}",${maybe('to', to)}"payload":${payload}}`,
    hears: (kind, from, _, payload) => `{"type":"${kind}","from":"${from}","payload":${payload}}`,
    welcome: (room, id, others) => {
      const peers = others.map((other) => ({ id: other, polite: false }));
      return [JSON.stringify({ type: 'welcome', id, room, peers })];
    },
    joined: (id) => [`{"type":"peer-joined","id":"${id}","polite":true}`],
    left: (id) => [`{"type":"peer-left","id":"${id}"}`],
  },
  forum: {
    says: (kind, _, to, payload) =>
      `{"action":"forward-${spell(kind, 'icecandidate')}",` +
      `${maybe('toPeerId', to)}"${kind}":${payload}}`,
    hears: (kind, from, _, payload) =>
      `{"type":"${spell(kind, 'icecandidate')}","${kind}":${payload},"fromPeerId":"${from}"}`,
    welcome: (_, _id, peerIds) => [JSON.stringify({ type: 'connected-peers', peerIds })],
    joined: () => [],
    left: () => [],
  },
  lobby: {
    says: (kind, from, to, payload) =>
      `{${maybe('toId', to)}"fromId":"${from}","${kind}":${payload}}`,
    hears: (kind, from, to, payload) =>
      `{${maybe('toId', to)}"fromId":"${from}","${kind}":${payload}}`,
    welcome: (_, id, others) => [
      `{"kind":"self-connected","id":"${id}"}`,
      ...others.map((other) => `{"kind":"connected","id":"${other}"}`),
    ],
    joined: (id) => [`{"kind":"connected","id":"${id}"}`],
    left: (id) => [`{"kind":"disconnected","id":"${id}"}`],
  },
  http: {
    says: (kind, _, to, payload) =>
      `{"type":"${spell(kind, 'ice-candidate')}",${maybe('target', to)}"payload":${payload}}`,
    hears: (kind, from, _, payload) =>
      `{"type":"${spell(kind, 'ice-candidate')}","payload":${payload},"senderId":"${from}"}`,
    welcome: () => [],
    joined: (id) => [`{"type":"new-peer","senderId":"${id}"}`],
    left: (id) => [`{"type":"peer-left","senderId":"${id}"}`],
  },
};
const DIALECTS = /** @type {Dialect[]} */ (Object.keys(tongues));
const KINDS = ['offer', 'answer', 'candidate', 'never heard of'];

/** Ids, with the dialect in front. @param {string} id */
const tongue = (id) => tongues[/** @type {Dialect} */ (id.split('-')[0])];

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({ main: { RECONNECT_GRACE: '1', PING_INTERVAL: '1' } });
});
after(() => workerd?.stop());

/** Peers who have joined in the order of their ids, and have been told so. */
class Gathering {
  /** @type {Map<string, Peer | HttpPeer>} */
  #peers = new Map();

  /** @param {string} room */
  constructor(room) {
    this.room = room;
  }

  /** @param {string} id */
  async join(id) {
    const dialect = id.split('-')[0];
    const peer =
      dialect === 'http'
        ? await HttpPeer.meet(workerd.at.main, this.room, id)
        : await Peer.join(workerd.at.main, this.room, { id, dialect });
    const others = [...this.#peers.keys()];
    this.#peers.set(id, peer);
    await this.hear(id, tongue(id).welcome(this.room, id, others));
    for (const other of others) await this.hear(other, tongue(other).joined(id));
  }

  /** A peer is told this next, and byte for byte. @param {string} id @param {string[]} frames */
  async hear(id, frames, claim = id) {
    const peer = this.#peers.get(id);
    for (const frame of frames) {
      const next = peer instanceof HttpPeer ? (await peer.next()).data : await peer?.next();
      assert.equal(next, frame, claim);
    }
  }

  /** @param {string} id @param {string} text */
  async say(id, text) {
    const peer = this.#peers.get(id);
    if (peer instanceof HttpPeer) await peer.says(text);
    else peer?.say(text);
  }

  /** @param {string} id */
  async leave(id) {
    const peer = this.#peers.get(id);
    if (peer instanceof HttpPeer) peer.stream?.cut();
    else await peer?.close();
  }

  end() {
    return Promise.all([...this.#peers.keys()].map((id) => this.leave(id)));
  }
}

/**
 * @param {import('node:test').TestContext} t at whose end they go
 * @param {string} room
 * @param {string[]} ids
 */
async function gather(t, room, ids) {
  const gathering = new Gathering(room);
  t.after(() => gathering.end());
  for (const id of ids) await gathering.join(id);
  return gathering;
}

test('each can signal each, whatever they speak and whatever the kind', async (t) => {
  const anns = DIALECTS.map((dialect) => `${dialect}-ann`);
  const bobs = DIALECTS.map((dialect) => `${dialect}-bob`);
  const all = await gather(t, 'matrix', [...anns, ...bobs]);
  const signals = anns.flatMap((from) =>
    bobs.flatMap((to) => KINDS.map((kind) => ({ from, to, kind }))),
  );
  assert.equal(signals.length, 64);
  for (const [n, { from, to, kind }] of signals.entries()) {
    // Spaces, a number that no parser gives back as it was, an escape, and a letter beyond ASCII.
    const payload = `{"n": ${n}.0 ,"sdp":"v=0\\r\\n\\u00e9é"}`;
    await all.say(from, tongue(from).says(kind, from, to, payload));
    await all.hear(
      to,
      [tongue(to).hears(kind, from, to, payload)],
      `${kind} from ${from} to ${to}`,
    );
  }
  // The next that anybody gets is to all, so nothing of the above went to somebody else, or twice.
  for (const from of [...anns, ...bobs]) {
    await all.say(from, tongue(from).says('candidate', from, undefined, '[1]'));
    for (const to of [...anns, ...bobs].filter((id) => id !== from)) {
      const frame = tongue(to).hears('candidate', from, undefined, '[1]');
      await all.hear(to, [frame], `${to}, from ${from} to all`);
    }
  }
});

test('who leaves is told to all others, and can be signalled no more', async (t) => {
  const leaving = DIALECTS.map((dialect) => `${dialect}-bob`);
  const staying = DIALECTS.map((dialect) => `${dialect}-ann`);
  const all = await gather(t, 'leaving', [...staying, ...leaving]);
  const eve = await Peer.meet(workerd.at.main, 'leaving', 'native-eve');
  for (const id of [...staying, ...leaving]) await all.hear(id, tongue(id).joined('native-eve'));
  for (const [n, id] of leaving.entries()) {
    await all.leave(id);
    assert.equal(await eve.next(), tongue('native').left(id)[0]);
    for (const other of [...staying, ...leaving.slice(n + 1)]) {
      await all.hear(other, tongue(other).left(id), `${other}, of ${id}`);
    }
    eve.say({ type: 'offer', to: id });
    await eve.refused('no-such-peer', { to: id });
  }
  await eve.close();
});

test('no kind looks like a word of the server to who receives it', async (t) => {
  const bobs = DIALECTS.map((dialect) => `${dialect}-bob`);
  const all = await gather(t, 'imitations', bobs);
  const eve = await Peer.meet(workerd.at.main, 'imitations', 'eve');
  for (const id of bobs) await all.hear(id, tongue(id).joined('eve'));
  for (const [id, kinds] of Object.entries({
    'native-bob': ['welcome', 'peer-joined', 'peer-left', 'error'],
    'forum-bob': ['connected-peers', 'type', 'fromPeerId', 'error'],
    'lobby-bob': ['kind', 'toId', 'fromId'],
    'http-bob': ['ping', 'new-peer', 'peer-left', 'error'],
  })) {
    for (const type of kinds) {
      eve.say({ type, to: id, payload: { senderId: 'native-bob', id: 'native-bob' } });
      const { code } = JSON.parse(await eve.next());
      assert.equal(code, 'reserved-type', `${type} to ${id}`);
    }
    eve.say({ type: 'hello', to: id, payload: 0 });
    await all.hear(id, [tongue(id).hears('hello', 'eve', id, '0')]);
  }
  await eve.close();
});
