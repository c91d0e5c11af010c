// @ts-check
/** Peers of all dialects share a room, and each peer receives all frames in its own dialect. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer } from '../support/peer.mjs';
import { all } from '../support/tier.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {'native' | 'forum' | 'lobby' | 'http' | 'socketio'} Dialect */
/**
 * The exact frames of a dialect. An empty array means that the dialect has no frame for the event.
 * @typedef {object} Format
 * @property {(type: string, from: string, to: string | undefined, payload: string) => string} encode
 * @property {(type: string, from: string, to: string | undefined, payload: string) => string} deliver
 * @property {(room: string, id: string, others: string[]) => string[]} welcome
 * @property {(id: string) => string[]} joined
 * @property {(id: string) => string[]} left
 */

/** @param {string} key @param {string | undefined} id */
const maybe = (key, id) => (id === undefined ? '' : `"${key}":"${id}",`);
/**
 * Returns the type of a signal in the forum or HTTP dialect. `spelled` is the name of the type
 * `candidate` in this dialect.
 * @param {string} type
 * @param {string} spelled
 */
const spell = (type, spelled) => (type === 'candidate' ? spelled : type);

/** Returns the name of a Socket.IO event. @param {string} type */
const event = (type) =>
  ({ offer: 'offerSdp', answer: 'answerSdp', candidate: 'ice-candidate' })[type] ?? type;

/** @type {Record<Dialect, Format>} */
const formats = {
  native: {
    encode: (type, _, to, payload) => `{"type":"${type}",${maybe('to', to)}"payload":${payload}}`,
    deliver: (type, from, _, payload) => `{"type":"${type}","from":"${from}","payload":${payload}}`,
    welcome: (room, id, others) => {
      const peers = others.map((other) => ({ id: other, polite: false }));
      return [JSON.stringify({ type: 'welcome', id, room, peers })];
    },
    joined: (id) => [`{"type":"peer-joined","id":"${id}","polite":true}`],
    left: (id) => [`{"type":"peer-left","id":"${id}"}`],
  },
  forum: {
    encode: (type, _, to, payload) =>
      `{"action":"forward-${spell(type, 'icecandidate')}",` +
      `${maybe('toPeerId', to)}"${type}":${payload}}`,
    deliver: (type, from, _, payload) =>
      `{"type":"${spell(type, 'icecandidate')}","${type}":${payload},"fromPeerId":"${from}"}`,
    welcome: (_, _id, peerIds) => [JSON.stringify({ type: 'connected-peers', peerIds })],
    joined: () => [],
    left: () => [],
  },
  lobby: {
    encode: (type, from, to, payload) =>
      `{${maybe('toId', to)}"fromId":"${from}","${type}":${payload}}`,
    deliver: (type, from, to, payload) =>
      `{${maybe('toId', to)}"fromId":"${from}","${type}":${payload}}`,
    welcome: (_, id, others) => [
      `{"kind":"self-connected","id":"${id}"}`,
      ...others.map((other) => `{"kind":"connected","id":"${other}"}`),
    ],
    joined: (id) => [`{"kind":"connected","id":"${id}"}`],
    left: (id) => [`{"kind":"disconnected","id":"${id}"}`],
  },
  http: {
    encode: (type, _, to, payload) =>
      `{"type":"${spell(type, 'ice-candidate')}",${maybe('target', to)}"payload":${payload}}`,
    deliver: (type, from, _, payload) =>
      `{"type":"${spell(type, 'ice-candidate')}","payload":${payload},"senderId":"${from}"}`,
    welcome: () => [],
    joined: (id) => [`{"type":"new-peer","senderId":"${id}"}`],
    left: (id) => [`{"type":"peer-left","senderId":"${id}"}`],
  },
  socketio: {
    // Without a receiver, `answerSdp` and `ice-candidate` are for the media server.
    encode: (type, _, to, payload) =>
      to === undefined ? `2["${type}",${payload}]` : `2["${event(type)}",${payload},"${to}"]`,
    deliver: (type, from, _, payload) => `2["${event(type)}",${payload},"${from}"]`,
    welcome: (_, id, others) => {
      const peers = others.map((other) => ({ id: other, polite: false }));
      return [`0{"sid":"${id}"}`, `2["peers",${JSON.stringify(peers)}]`];
    },
    joined: (id) => [`2["new-peer",{"senderId":"${id}"}]`],
    left: (id) => [`2["peer-left",{"senderId":"${id}"}]`],
  },
};
const DIALECTS = /** @type {Dialect[]} */ (Object.keys(formats));
const TYPES = ['offer', 'answer', 'candidate', 'never heard of'];

/** Returns the format of a peer. The id of a peer starts with its dialect. @param {string} id */
const formatOf = (id) => formats[/** @type {Dialect} */ (id.split('-')[0])];

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({ main: { RECONNECT_GRACE: '1', PING_INTERVAL: '1' } });
});
after(() => workerd?.stop());

/** The peers of one room. Each peer has already received the frames about the other peers. */
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
        ? await HttpPeer.join(workerd.at.main, this.room, id)
        : await Peer.connect(workerd.at.main, this.room, { id, dialect });
    const others = [...this.#peers.keys()];
    this.#peers.set(id, peer);
    await this.receive(id, formatOf(id).welcome(this.room, id, others));
    for (const other of others) await this.receive(other, formatOf(other).joined(id));
  }

  /**
   * Asserts that a peer receives exactly these frames next.
   * @param {string} id
   * @param {string[]} frames
   */
  async receive(id, frames, claim = id) {
    const peer = this.#peers.get(id);
    for (const frame of frames) {
      const next = peer instanceof HttpPeer ? (await peer.next()).data : await peer?.next();
      assert.equal(next, frame, claim);
    }
  }

  /** @param {string} id @param {string} text */
  async send(id, text) {
    const peer = this.#peers.get(id);
    if (peer instanceof HttpPeer) await peer.sends(text);
    else peer?.send(text);
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
 * @param {import('node:test').TestContext} t all peers leave when this test ends
 * @param {string} room
 * @param {string[]} ids
 */
async function gather(t, room, ids) {
  const gathering = new Gathering(room);
  t.after(() => gathering.end());
  for (const id of ids) await gathering.join(id);
  return gathering;
}

test('a signal of each type is delivered from each dialect to each dialect', async (t) => {
  const anns = DIALECTS.map((dialect) => `${dialect}-ann`);
  const bobs = DIALECTS.map((dialect) => `${dialect}-bob`);
  const room = await gather(t, 'matrix', [...anns, ...bobs]);
  // The default tier sends one type for each pair of dialects. Every dialect still sends every
  // type.
  const signals = anns.flatMap((from, a) =>
    bobs.flatMap((to, b) =>
      TYPES.filter((_, t) => all || t === (a + b) % TYPES.length).map((type) => ({
        from,
        to,
        type,
      })),
    ),
  );
  assert.equal(signals.length, all ? 100 : 25);
  for (const [n, { from, to, type }] of signals.entries()) {
    // The payload has spaces, a number that a JSON parser would rewrite, an escape and a non-ASCII
    // letter.
    const payload = `{"n": ${n}.0 ,"sdp":"v=0\\r\\n\\u00e9é"}`;
    await room.send(from, formatOf(from).encode(type, from, to, payload));
    await room.receive(
      to,
      [formatOf(to).deliver(type, from, to, payload)],
      `${type} from ${from} to ${to}`,
    );
  }
  // The next frame of every peer is a broadcast. So no earlier signal was misdelivered or repeated.
  for (const from of [...anns, ...bobs]) {
    await room.send(from, formatOf(from).encode('candidate', from, undefined, '[1]'));
    for (const to of [...anns, ...bobs].filter((id) => id !== from)) {
      const frame = formatOf(to).deliver('candidate', from, undefined, '[1]');
      await room.receive(to, [frame], `${to}, broadcast from ${from}`);
    }
  }
});

test('all other peers receive a frame when a peer leaves, and signals to that peer are refused', async (t) => {
  const leaving = DIALECTS.map((dialect) => `${dialect}-bob`);
  const staying = DIALECTS.map((dialect) => `${dialect}-ann`);
  const room = await gather(t, 'leaving', [...staying, ...leaving]);
  const eve = await Peer.join(workerd.at.main, 'leaving', 'native-eve');
  for (const id of [...staying, ...leaving])
    await room.receive(id, formatOf(id).joined('native-eve'));
  for (const [n, id] of leaving.entries()) {
    await room.leave(id);
    assert.equal(await eve.next(), formatOf('native').left(id)[0]);
    for (const other of [...staying, ...leaving.slice(n + 1)]) {
      await room.receive(other, formatOf(other).left(id), `${other}, of ${id}`);
    }
    eve.send({ type: 'offer', to: id });
    await eve.receivesError('no-such-peer', { to: id });
  }
  await eve.close();
});

test('a signal is refused when the receiving dialect reserves the type for the server', async (t) => {
  const bobs = DIALECTS.map((dialect) => `${dialect}-bob`);
  const room = await gather(t, 'imitations', bobs);
  const eve = await Peer.join(workerd.at.main, 'imitations', 'eve');
  for (const id of bobs) await room.receive(id, formatOf(id).joined('eve'));
  for (const [id, types] of Object.entries({
    'native-bob': ['welcome', 'peer-joined', 'peer-left', 'error'],
    'forum-bob': ['connected-peers', 'type', 'fromPeerId', 'error'],
    'lobby-bob': ['kind', 'toId', 'fromId'],
    'http-bob': ['ping', 'new-peer', 'peer-left', 'error'],
    'socketio-bob': ['peers', 'new-peer', 'live', 'connect', 'disconnect', 'error'],
  })) {
    for (const type of types) {
      eve.send({ type, to: id, payload: { senderId: 'native-bob', id: 'native-bob' } });
      const { code } = JSON.parse(await eve.next());
      assert.equal(code, 'reserved-type', `${type} to ${id}`);
    }
    eve.send({ type: 'hello', to: id, payload: 0 });
    await room.receive(id, [formatOf(id).deliver('hello', 'eve', id, '0')]);
  }
  await eve.close();
});
