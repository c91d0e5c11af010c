// @ts-check
/**
 * Hibernation changes nothing: rooms are evicted from memory and built again, and everything that
 * was promised in them still holds.
 *
 * workerd evicts an object that has been idle for ten seconds, and nothing makes it hurry. So all
 * the rooms of this file are prepared first, lie idle through one wait together, and then each test
 * goes on in its own. That its room was evicted it sees by `awakeSince`, which it asks for only
 * after it has woken the room by what it is about.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer, quiet } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** Two and a half seconds more than an idle object stays in memory. */
const IDLE = 12_500;
/** The short grace: it ends when the room has been evicted, and the wait is over. */
const GRACE = 13_000;
/**
 * How late a peer whose grace has ended may leave: far later than it does, far sooner than never.
 */
const LATE = 4_000;

/** @type {import('../support/workerd.mjs').Workerd<'patient' | 'strict'>} */
let workerd;

/** A room, and who is in it. */
class Arm {
  /** @type {Record<string, Peer>} */
  peers = {};
  /** What the room said before the wait. */
  awakeSince = '';

  /** @param {string} room @param {'patient' | 'strict'} [instance] */
  constructor(room, instance = 'patient') {
    this.room = room;
    this.instance = instance;
  }

  /** Each joins, and those who are there are told. @param {...string} ids */
  async meet(...ids) {
    for (const id of ids) {
      const others = Object.values(this.peers);
      this.peers[id] = await this.join(id);
      for (const other of others) await other.hears({ type: 'peer-joined', id, polite: true });
    }
  }

  /** @param {string} id */
  join(id) {
    return Peer.meet(workerd.at[this.instance], this.room, id, { key: `secret of ${id}` });
  }

  /** Somebody without the right key is refused this id. @param {string} id @param {string} [key] */
  async refuses(id, key) {
    const eve = await Peer.join(workerd.at[this.instance], this.room, { id, key });
    await eve.refused('id-taken');
    await eve.ends(4009, 'id-taken');
  }

  /** @param {...Peer} newcomers */
  quiet(...newcomers) {
    return quiet(...Object.values(this.peers), ...newcomers);
  }

  status() {
    return workerd.at[this.instance].status(this.room);
  }

  /** Before the wait: the last thing that happens here. */
  async rest() {
    this.awakeSince = (await this.status()).awakeSince;
  }

  /**
   * The room was evicted, and what was done after this moment is what woke it.
   * @param {number} moment
   */
  async wokenAfter(moment) {
    const { awakeSince } = await this.status();
    assert.notEqual(awakeSince, this.awakeSince, `${this.room} was built again`);
    assert(Date.parse(awakeSince) >= moment, `${this.room} was woken earlier: ${awakeSince}`);
  }
}

const warm = new Arm('warm');
const pinged = new Arm('pinged');
const signal = new Arm('signal');
const newcomer = new Arm('newcomer');
const roles = new Arm('roles');
const keys = new Arm('keys');
const absent = new Arm('absent');
const lone = new Arm('lone');
const closed = new Arm('closed');
const lost = new Arm('lost');
const gone = new Arm('gone', 'strict');
const unheard = new Arm('unheard', 'strict');
const stream = new Arm('stream');
const broken = new Arm('broken');
const registered = new Arm('registered');

/** Those of these rooms that listen to a stream. */
const listening = {
  /** @type {HttpPeer | undefined} */ stream: undefined,
  /** @type {HttpPeer | undefined} */ broken: undefined,
  /** @type {HttpPeer | undefined} */ registered: undefined,
};
/** Together more than fits into the attachment of a socket. */
const LARGE = 'ä'.repeat(5_000);

/**
 * When bob was last there, and when ann heard that he had left.
 * @type {Map<Arm, [number, number?]>}
 */
const left = new Map();
let pings = 0;

before(async () => {
  const settings = { RECONNECT_GRACE: `${GRACE / 1000}` };
  const patient = { RECONNECT_GRACE: '60', PING_INTERVAL: '2' };
  workerd = await startWorkerd({ patient, strict: settings });
  const pairs = [warm, pinged, keys, absent, closed, lost, gone, unheard];
  const threes = [signal, newcomer, roles];
  await Promise.all([
    lone.meet('ann'),
    ...pairs.map((arm) => arm.meet('ann', 'bob')),
    ...threes.map((arm) => arm.meet('ann', 'bob', 'eve')),
  ]);

  for (const arm of [stream, broken, registered]) await arm.meet('ann');
  const { patient: server } = workerd.at;
  const [bob, cutOff, silent] = [stream, broken, registered].map(
    ({ room }) => new HttpPeer(server, room, 'bob'),
  );
  Object.assign(listening, { stream: bob, broken: cutOff, registered: silent });
  for (const [peer, arm] of /** @type {const} */ ([
    [bob, stream],
    [cutOff, broken],
    [silent, registered],
  ])) {
    assert.equal((await peer.register()).status, 200);
    await arm.peers.ann.hears({ type: 'peer-joined', id: 'bob', polite: true });
    if (peer !== silent) await peer.open();
  }
  stream.peers.ann.say({ type: 'n', to: 'bob', payload: 1 });
  await bob.hears('{"type":"n","payload":1,"senderId":"ann"}');
  broken.peers.ann.say({ type: 'n', to: 'bob', payload: 1 });
  await cutOff.hears('{"type":"n","payload":1,"senderId":"ann"}');
  // From now on nothing arrives any more, though the connection stays, so nobody can notice.
  cutOff.lastId = cutOff.stream?.lastId;
  cutOff.stream?.response.pause();
  for (const payload of [2, LARGE, LARGE, 3])
    broken.peers.ann.say({ type: 'n', to: 'bob', payload });
  registered.peers.ann.say({ type: 'n', to: 'bob', payload: 1 });

  lone.peers.ann.say({ type: 'offer', payload: 1 });
  lone.peers.ann.say({ type: 'candidate', payload: 2 });
  await absent.peers.bob.cut();
  absent.peers.ann.say({ type: 'offer', to: 'bob', payload: 1 });
  absent.peers.ann.say({ type: 'candidate', payload: 2 });

  const all = [lone, stream, broken, registered, ...pairs, ...threes];
  await Promise.all(all.map((arm) => arm.quiet()));
  await Promise.all(all.map((arm) => arm.rest()));

  for (const arm of [gone, unheard]) {
    const times = /** @type {[number, number?]} */ ([Date.now()]);
    left.set(arm, times);
    arm.peers.ann.socket.on('message', (data) => {
      if (data.toString().includes('peer-left')) times[1] ??= Date.now();
    });
    await arm.peers.bob.cut();
  }
  unheard.peers.ann.say({ type: 'offer', to: 'bob', payload: 1 });

  const timers = [
    setInterval(() => warm.peers.ann.say({ type: 'hello', to: 'bob' }), 3_000),
    setInterval(() => (pinged.peers.ann.say('ping'), (pings += 1)), 2_000),
  ];
  await sleep(IDLE);
  timers.forEach(clearInterval);
});
after(() => workerd?.stop());

test('a room in which something happens all the time stays in memory', async () => {
  await warm.peers.bob.hears({ type: 'hello', from: 'ann' });
  const { awakeSince } = await warm.status();
  assert.equal(awakeSince, warm.awakeSince);
});

test('pings are answered, and do not keep a room in memory', async () => {
  const now = Date.now();
  const { ann, bob } = pinged.peers;
  assert(pings >= 4, `${pings} pings`);
  for (let i = 0; i < pings; i += 1) assert.equal(await ann.next(), 'pong');
  ann.say({ type: 'hello', payload: 1 });
  await bob.hears({ type: 'hello', from: 'ann', payload: 1 });
  await pinged.wokenAfter(now);
});

test('a signal that wakes its room reaches the one it names, and nobody else', async () => {
  const now = Date.now();
  const { ann, bob, eve } = signal.peers;
  bob.say({ type: 'offer', to: 'eve', payload: 1 });
  await eve.hears({ type: 'offer', from: 'bob', payload: 1 });
  await signal.wokenAfter(now);
  eve.say({ type: 'answer', to: 'bob', payload: 2 });
  await bob.hears({ type: 'answer', from: 'eve', payload: 2 });
  ann.say({ type: 'hello', payload: 3 });
  await bob.hears({ type: 'hello', from: 'ann', payload: 3 });
  await eve.hears({ type: 'hello', from: 'ann', payload: 3 });
  await signal.quiet();
});

test('a newcomer that wakes its room is told who came first', async () => {
  const now = Date.now();
  const { ann, bob, eve } = newcomer.peers;
  const late = await newcomer.join('late');
  await newcomer.wokenAfter(now);
  const peers = ['ann', 'bob', 'eve'].map((id) => ({ id, polite: false }));
  assert.deepEqual(late.welcome, { type: 'welcome', id: 'late', room: 'newcomer', peers });
  for (const peer of [ann, bob, eve]) {
    await peer.hears({ type: 'peer-joined', id: 'late', polite: true });
  }
  late.say({ type: 'offer', to: 'ann', payload: 1 });
  await ann.hears({ type: 'offer', from: 'late', payload: 1 });
  await newcomer.quiet(late);
});

test('everybody still has the role it had', async () => {
  const now = Date.now();
  // Who joins again is told its roles again. The one in the middle came after ann, and before eve.
  const others = {
    bob: { ann: false, eve: true },
    ann: { bob: true, eve: true },
    eve: { ann: false, bob: false },
  };
  const again = [];
  for (const [id, polite] of Object.entries(others)) {
    const tab = await roles.join(id);
    if (again.length === 0) await roles.wokenAfter(now);
    await roles.peers[id].ends(4001, 'replaced');
    const peers = Object.entries(polite).map(([id, polite]) => ({ id, polite }));
    assert.deepEqual(tab.welcome, { type: 'welcome', id, room: 'roles', peers });
    again.push(tab);
  }
  await roles.quiet(...again);
});

test('an id is still refused to a wrong key, and given to the right one', async () => {
  const now = Date.now();
  const { ann, bob } = keys.peers;
  await keys.refuses('bob', 'guess');
  await keys.wokenAfter(now);
  await keys.refuses('bob');
  const tab = await keys.join('bob');
  await bob.ends(4001, 'replaced');
  ann.say({ type: 'offer', to: 'bob', payload: 1 });
  await tab.hears({ type: 'offer', from: 'ann', payload: 1 });
  await keys.quiet(tab);
});

test('an absent peer comes back to its seat, and gets all that was held for it', async () => {
  const now = Date.now();
  const { ann, bob } = absent.peers;
  ann.say({ type: 'candidate', to: 'bob', payload: 3 });
  await absent.quiet();
  await absent.wokenAfter(now);
  assert.equal((await absent.status()).peers, 2);
  await absent.refuses('bob', 'guess');
  const back = await absent.join('bob');
  assert.deepEqual(back.welcome, bob.welcome);
  await back.hears({ type: 'offer', from: 'ann', payload: 1 });
  await back.hears({ type: 'candidate', from: 'ann', payload: 2 });
  await back.hears({ type: 'candidate', from: 'ann', payload: 3 });
  back.say({ type: 'answer', to: 'ann', payload: 4 });
  await ann.hears({ type: 'answer', from: 'bob', payload: 4 });
  await absent.quiet(back);
});

test('what a lone peer has sent still waits for the next to join', async () => {
  const now = Date.now();
  const { ann } = lone.peers;
  const bob = await lone.join('bob');
  await lone.wokenAfter(now);
  assert.deepEqual(bob.welcome.peers, [{ id: 'ann', polite: false }]);
  await bob.hears({ type: 'offer', from: 'ann', payload: 1 });
  await bob.hears({ type: 'candidate', from: 'ann', payload: 2 });
  await ann.hears({ type: 'peer-joined', id: 'bob', polite: true });
  await lone.quiet(bob);
});

test('a clean close that wakes its room is told to the others', async () => {
  const now = Date.now();
  const { ann, bob } = closed.peers;
  assert.deepEqual(await bob.close(1000, 'bye'), { code: 1000, reason: 'bye' });
  await ann.hears({ type: 'peer-left', id: 'bob' });
  await closed.wokenAfter(now);
  await closed.quiet();
  assert.equal((await closed.status()).peers, 1);
});

test('a loss that wakes its room is told to nobody, and the peer may come back', async () => {
  const now = Date.now();
  const { ann, bob } = lost.peers;
  await ann.cut();
  await lost.wokenAfter(now);
  bob.say({ type: 'offer', to: 'ann', payload: 1 });
  await lost.quiet();
  const back = await lost.join('ann');
  assert.deepEqual(back.welcome.peers, [{ id: 'bob', polite: true }]);
  await back.hears({ type: 'offer', from: 'bob', payload: 1 });
  await lost.quiet(back);
});

test('an absent peer leaves when its grace ends, though its room is built for that', async () => {
  const { ann } = gone.peers;
  await ann.hears({ type: 'peer-left', id: 'bob' });
  await isOnTime(gone);
  await gone.quiet();
  assert.equal((await gone.status()).peers, 1);
});

test('what was held for a peer that never came back is refused, despite an eviction', async () => {
  const { ann } = unheard.peers;
  await ann.refused('no-such-peer', { to: 'bob' });
  await ann.hears({ type: 'peer-left', id: 'bob' });
  await isOnTime(unheard);
  const bob = await unheard.join('bob');
  await ann.hears({ type: 'peer-joined', id: 'bob', polite: true });
  await unheard.quiet(bob);
});

test('an open stream, which is pinged all the time, does not keep its room in memory', async () => {
  const now = Date.now();
  const { stream: bob } = listening;
  assert.ok(bob?.stream);
  for (let pings = 0; pings < 4; pings += 1) await bob.stream.pinged();
  stream.peers.ann.say({ type: 'n', to: 'bob', payload: 2 });
  await bob.hears('{"type":"n","payload":2,"senderId":"ann"}');
  await stream.wokenAfter(now);
  await bob.says({ type: 'answer', payload: 3, target: 'ann' });
  await stream.peers.ann.hears({ type: 'answer', from: 'bob', payload: 3 });
  assert.deepEqual(bob.stream.unread, []);
});

test('a stream that broke goes on where it was, though its room was evicted', async () => {
  const now = Date.now();
  const { broken: bob } = listening;
  assert.ok(bob);
  await bob.open(bob.lastId);
  for (const payload of [2, LARGE, LARGE, 3])
    await bob.hears(`{"type":"n","payload":${JSON.stringify(payload)},"senderId":"ann"}`);
  await broken.wokenAfter(now);
  broken.peers.ann.say({ type: 'n', to: 'bob', payload: 4 });
  await bob.hears('{"type":"n","payload":4,"senderId":"ann"}');
});

test('what was sent to who has registered waits for its stream, despite an eviction', async () => {
  const now = Date.now();
  const { registered: bob } = listening;
  assert.ok(bob);
  await bob.open();
  await bob.hears('{"type":"n","payload":1,"senderId":"ann"}');
  await registered.wokenAfter(now);
});

/** Bob has left when his grace had passed, and it was that which woke the room. @param {Arm} arm */
async function isOnTime(arm) {
  const [there = 0, told = 0] = left.get(arm) ?? [];
  const wait = told - there;
  assert(wait >= GRACE && wait < GRACE + LATE, `bob has left after ${wait} ms`);
  await arm.wokenAfter(there + GRACE);
}
