// @ts-check
/**
 * Hibernation is invisible to peers: a room that is evicted from memory and rebuilt behaves as
 * before.
 *
 * workerd evicts an object that is idle for ten seconds, and no option shortens this time. All
 * rooms are therefore prepared first and are idle during one common wait. Then each test continues
 * in its own room. A changed `awakeSince` proves the eviction. A test reads `awakeSince` only after
 * the action under test has woken the room, because the request itself would wake the room.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpPeer } from '../../support/http-peer.mjs';
import { Peer, expectQuiet } from '../../support/peer.mjs';
import { IDLE, startWorkerd } from '../../support/workerd.mjs';

/**
 * The short grace period in milliseconds, which ends after the eviction and shortly after the wait.
 */
const GRACE = 13_000;
/** The allowed delay between the end of a grace period and `peer-left`, in milliseconds. */
const LATE = 4_000;

/** @type {import('../../support/workerd.mjs').Workerd<'patient' | 'strict'>} */
let workerd;

/** The room of one test, and the peers in this room. */
class TestRoom {
  /** @type {Record<string, Peer>} */
  peers = {};
  /** `awakeSince` before the wait. */
  awakeSince = '';

  /** @param {string} room @param {'patient' | 'strict'} [instance] */
  constructor(room, instance = 'patient') {
    this.room = room;
    this.instance = instance;
  }

  /**
   * Lets peers join one after another. The earlier peers receive `peer-joined`.
   * @param {...string} ids
   */
  async meet(...ids) {
    for (const id of ids) {
      const others = Object.values(this.peers);
      this.peers[id] = await this.join(id);
      for (const other of others) await other.receives({ type: 'peer-joined', id, polite: true });
    }
  }

  /**
   * @param {string} id
   * @param {import('../../support/peer.mjs').Join} [join]
   */
  join(id, join) {
    return Peer.join(workerd.at[this.instance], this.room, id, { key: `secret of ${id}`, ...join });
  }

  /**
   * Asserts that a join with this id and a wrong key is refused.
   * @param {string} id
   * @param {string} [key]
   */
  async refusesKey(id, key) {
    const eve = await Peer.connect(workerd.at[this.instance], this.room, { id, key });
    await eve.receivesError('id-taken');
    await eve.isClosed(4009, 'id-taken');
  }

  /** @param {...Peer} newcomers */
  expectQuiet(...newcomers) {
    return expectQuiet(...Object.values(this.peers), ...newcomers);
  }

  status() {
    return workerd.at[this.instance].status(this.room);
  }

  /** Stores `awakeSince`. This is the last request before the wait. */
  async recordAwakeSince() {
    this.awakeSince = (await this.status()).awakeSince;
  }

  /**
   * Asserts that the room was evicted, and was not rebuilt before `moment`.
   * @param {number} moment
   */
  async wokenAfter(moment) {
    const { awakeSince } = await this.status();
    assert.notEqual(awakeSince, this.awakeSince, `${this.room} was evicted`);
    assert(Date.parse(awakeSince) >= moment, `${this.room} was rebuilt too early: ${awakeSince}`);
  }
}

const warm = new TestRoom('warm');
const pinged = new TestRoom('pinged');
const signal = new TestRoom('signal');
const newcomer = new TestRoom('newcomer');
const roles = new TestRoom('roles');
const keys = new TestRoom('keys');
const absent = new TestRoom('absent');
const lone = new TestRoom('lone');
const closed = new TestRoom('closed');
const lost = new TestRoom('lost');
const gone = new TestRoom('gone', 'strict');
const unheard = new TestRoom('unheard', 'strict');
const stream = new TestRoom('stream');
const broken = new TestRoom('broken');
const registered = new TestRoom('registered');
const metas = new TestRoom('metas');

/** The HTTP peers with the id `bob`, by room. */
const httpPeers = {
  /** @type {HttpPeer | undefined} */ stream: undefined,
  /** @type {HttpPeer | undefined} */ broken: undefined,
  /** @type {HttpPeer | undefined} */ registered: undefined,
};
/** The largest meta: 1,024 bytes. The `€` makes V8 store two bytes for each character. */
const META = `${'m'.repeat(1019)}€`;
/** A payload of 10 KB: two of them do not fit into the attachment of a WebSocket. */
const LARGE = 'ä'.repeat(5_000);

/**
 * The time at which bob's connection was lost, and the time at which ann received `peer-left`, by
 * room.
 * @type {Map<TestRoom, [number, number?]>}
 */
const left = new Map();
let pings = 0;

/** Returns a value as JSON in base64url. @param {unknown} value */
const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export const evictionTests = () =>
  describe('a room that was evicted from memory', () => {
    before(async () => {
      const settings = { RECONNECT_GRACE: `${GRACE / 1000}` };
      const patient = { RECONNECT_GRACE: '60', PING_INTERVAL: '2' };
      workerd = await startWorkerd({ patient, strict: settings });
      const pairs = [warm, pinged, keys, absent, closed, lost, gone, unheard];
      const threes = [signal, newcomer, roles];
      await Promise.all([
        lone.meet('ann'),
        ...pairs.map((room) => room.meet('ann', 'bob')),
        ...threes.map((room) => room.meet('ann', 'bob', 'eve')),
      ]);

      metas.peers.ann = await metas.join('ann', { meta: base64url(META) });
      await metas.meet('bob');
      await metas.join('eve', { meta: base64url(META) }).then((eve) => eve.cut());
      for (const peer of [metas.peers.ann, metas.peers.bob]) await peer.next(); // peer-joined

      for (const room of [stream, broken, registered]) await room.meet('ann');
      const { patient: server } = workerd.at;
      const [bob, cutOff, silent] = [stream, broken, registered].map(
        ({ room }) => new HttpPeer(server, room, 'bob'),
      );
      Object.assign(httpPeers, { stream: bob, broken: cutOff, registered: silent });
      for (const [peer, room] of /** @type {const} */ ([
        [bob, stream],
        [cutOff, broken],
        [silent, registered],
      ])) {
        assert.equal((await peer.register()).status, 200);
        await room.peers.ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
        if (peer !== silent) await peer.open();
      }
      stream.peers.ann.send({ type: 'n', to: 'bob', payload: 1 });
      await bob.receives('{"type":"n","payload":1,"senderId":"ann"}');
      await bob.sends({ type: 'n', payload: 2, target: 'ann' });
      await stream.peers.ann.receives({ type: 'n', from: 'bob', payload: 2 });
      broken.peers.ann.send({ type: 'n', to: 'bob', payload: 1 });
      await cutOff.receives('{"type":"n","payload":1,"senderId":"ann"}');
      // From here on, bob's client reads nothing. The server cannot detect that nothing is read,
      // because the connection stays open.
      cutOff.lastId = cutOff.stream?.lastId;
      cutOff.stream?.response.pause();
      for (const payload of [2, LARGE, LARGE, 3])
        broken.peers.ann.send({ type: 'n', to: 'bob', payload });
      registered.peers.ann.send({ type: 'n', to: 'bob', payload: 1 });

      lone.peers.ann.send({ type: 'offer', payload: 1 });
      lone.peers.ann.send({ type: 'candidate', payload: 2 });
      await absent.peers.bob.cut();
      absent.peers.ann.send({ type: 'offer', to: 'bob', payload: 1 });
      absent.peers.ann.send({ type: 'candidate', payload: 2 });

      const all = [lone, stream, broken, registered, metas, ...pairs, ...threes];
      await Promise.all(all.map((room) => room.expectQuiet()));
      await Promise.all(all.map((room) => room.recordAwakeSince()));

      for (const room of [gone, unheard]) {
        const times = /** @type {[number, number?]} */ ([Date.now()]);
        left.set(room, times);
        room.peers.ann.socket.on('message', (data) => {
          if (data.toString().includes('peer-left')) times[1] ??= Date.now();
        });
        await room.peers.bob.cut();
      }
      unheard.peers.ann.send({ type: 'offer', to: 'bob', payload: 1 });

      const timers = [
        setInterval(() => warm.peers.ann.send({ type: 'hello', to: 'bob' }), 3_000),
        setInterval(() => (pinged.peers.ann.send('ping'), (pings += 1)), 2_000),
      ];
      await sleep(IDLE);
      timers.forEach(clearInterval);
    });
    after(() => workerd?.stop());

    test('a room stays in memory while signals arrive every 3 s', async () => {
      await warm.peers.bob.receives({ type: 'hello', from: 'ann' });
      const { awakeSince } = await warm.status();
      assert.equal(awakeSince, warm.awakeSince);
    });

    test('pings are answered without keeping the room in memory', async () => {
      const now = Date.now();
      const { ann, bob } = pinged.peers;
      assert(pings >= 4, `${pings} pings`);
      for (let i = 0; i < pings; i += 1) assert.equal(await ann.next(), 'pong');
      ann.send({ type: 'hello', payload: 1 });
      await bob.receives({ type: 'hello', from: 'ann', payload: 1 });
      await pinged.wokenAfter(now);
    });

    test('a signal that wakes its room is delivered only to the peer in `to`', async () => {
      const now = Date.now();
      const { ann, bob, eve } = signal.peers;
      bob.send({ type: 'offer', to: 'eve', payload: 1 });
      await eve.receives({ type: 'offer', from: 'bob', payload: 1 });
      await signal.wokenAfter(now);
      eve.send({ type: 'answer', to: 'bob', payload: 2 });
      await bob.receives({ type: 'answer', from: 'eve', payload: 2 });
      ann.send({ type: 'hello', payload: 3 });
      await bob.receives({ type: 'hello', from: 'ann', payload: 3 });
      await eve.receives({ type: 'hello', from: 'ann', payload: 3 });
      await signal.expectQuiet();
    });

    test('a peer whose join wakes the room receives all peers and their roles', async () => {
      const now = Date.now();
      const { ann, bob, eve } = newcomer.peers;
      const late = await newcomer.join('late');
      await newcomer.wokenAfter(now);
      const peers = ['ann', 'bob', 'eve'].map((id) => ({ id, polite: false }));
      assert.deepEqual(late.welcome, { type: 'welcome', id: 'late', room: 'newcomer', peers });
      for (const peer of [ann, bob, eve]) {
        await peer.receives({ type: 'peer-joined', id: 'late', polite: true });
      }
      late.send({ type: 'offer', to: 'ann', payload: 1 });
      await ann.receives({ type: 'offer', from: 'late', payload: 1 });
      await newcomer.expectQuiet(late);
    });

    test('metas are kept, and an offer whose join wakes the room is forwarded', async () => {
      const now = Date.now();
      const { ann, bob } = metas.peers;
      const protocols = ['partyline', `offer.${base64url({ sdp: '' })}`];
      const late = await metas.join('late', { meta: base64url(7), protocols });
      await metas.wokenAfter(now);
      assert.deepEqual(late.welcome, {
        type: 'welcome',
        id: 'late',
        room: 'metas',
        peers: [
          { id: 'ann', polite: false, meta: META },
          { id: 'bob', polite: false },
          { id: 'eve', polite: false, meta: META },
        ],
        offered: 'ann',
      });
      await bob.receives({ type: 'peer-joined', id: 'late', polite: true });
      await ann.receives({ type: 'peer-joined', id: 'late', polite: true, meta: 7 });
      await ann.receives({ type: 'offer', from: 'late', payload: { sdp: '' } });
      await metas.expectQuiet(late);
    });

    test('all peers keep their polite and impolite roles', async () => {
      const now = Date.now();
      // The `welcome` of a repeated join contains the roles again. Bob joined after ann and before
      // eve.
      const others = {
        bob: { ann: false, eve: true },
        ann: { bob: true, eve: true },
        eve: { ann: false, bob: false },
      };
      const again = [];
      for (const [id, polite] of Object.entries(others)) {
        const tab = await roles.join(id);
        if (again.length === 0) await roles.wokenAfter(now);
        await roles.peers[id].isClosed(4001, 'replaced');
        const peers = Object.entries(polite).map(([id, polite]) => ({ id, polite }));
        assert.deepEqual(tab.welcome, { type: 'welcome', id, room: 'roles', peers });
        again.push(tab);
      }
      await roles.expectQuiet(...again);
    });

    test('an id is refused with a wrong key and accepted with the right key', async () => {
      const now = Date.now();
      const { ann, bob } = keys.peers;
      await keys.refusesKey('bob', 'guess');
      await keys.wokenAfter(now);
      await keys.refusesKey('bob');
      const tab = await keys.join('bob');
      await bob.isClosed(4001, 'replaced');
      ann.send({ type: 'offer', to: 'bob', payload: 1 });
      await tab.receives({ type: 'offer', from: 'ann', payload: 1 });
      await keys.expectQuiet(tab);
    });

    test('an absent peer that returns gets its seat and its queued signals', async () => {
      const now = Date.now();
      const { ann, bob } = absent.peers;
      ann.send({ type: 'candidate', to: 'bob', payload: 3 });
      await absent.expectQuiet();
      await absent.wokenAfter(now);
      assert.equal((await absent.status()).peers, 2);
      await absent.refusesKey('bob', 'guess');
      const back = await absent.join('bob');
      assert.deepEqual(back.welcome, bob.welcome);
      await back.receives({ type: 'offer', from: 'ann', payload: 1 });
      await back.receives({ type: 'candidate', from: 'ann', payload: 2 });
      await back.receives({ type: 'candidate', from: 'ann', payload: 3 });
      back.send({ type: 'answer', to: 'ann', payload: 4 });
      await ann.receives({ type: 'answer', from: 'bob', payload: 4 });
      await absent.expectQuiet(back);
    });

    test('held broadcasts of a lone peer are delivered to the next peer that joins', async () => {
      const now = Date.now();
      const { ann } = lone.peers;
      const bob = await lone.join('bob');
      await lone.wokenAfter(now);
      assert.deepEqual(bob.welcome.peers, [{ id: 'ann', polite: false }]);
      await bob.receives({ type: 'offer', from: 'ann', payload: 1 });
      await bob.receives({ type: 'candidate', from: 'ann', payload: 2 });
      await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
      await lone.expectQuiet(bob);
    });

    test('other peers receive peer-left when a Close frame wakes the room', async () => {
      const now = Date.now();
      const { ann, bob } = closed.peers;
      assert.deepEqual(await bob.close(1000, 'bye'), { code: 1000, reason: 'bye' });
      await ann.receives({ type: 'peer-left', id: 'bob' });
      await closed.wokenAfter(now);
      await closed.expectQuiet();
      assert.equal((await closed.status()).peers, 1);
    });

    test('other peers receive nothing when a lost connection wakes the room, and its peer can return', async () => {
      const now = Date.now();
      const { ann, bob } = lost.peers;
      await ann.cut();
      await lost.wokenAfter(now);
      bob.send({ type: 'offer', to: 'ann', payload: 1 });
      await lost.expectQuiet();
      const back = await lost.join('ann');
      assert.deepEqual(back.welcome.peers, [{ id: 'bob', polite: true }]);
      await back.receives({ type: 'offer', from: 'bob', payload: 1 });
      await lost.expectQuiet(back);
    });

    test('an absent peer is removed on time when the end of its grace period wakes the room', async () => {
      const { ann } = gone.peers;
      await ann.receives({ type: 'peer-left', id: 'bob' });
      await leftOnTime(gone);
      await gone.expectQuiet();
      assert.equal((await gone.status()).peers, 1);
    });

    test('the sender of a queued signal receives an error when the receiver never returns', async () => {
      const { ann } = unheard.peers;
      await ann.receivesError('no-such-peer', { to: 'bob' });
      await ann.receives({ type: 'peer-left', id: 'bob' });
      await leftOnTime(unheard);
      const bob = await unheard.join('bob');
      await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
      await unheard.expectQuiet(bob);
    });

    test('a room is evicted after it read a body, although it pings an open event stream', async () => {
      const now = Date.now();
      const { stream: bob } = httpPeers;
      assert.ok(bob?.stream);
      for (let pings = 0; pings < 4; pings += 1) await bob.stream.pinged();
      stream.peers.ann.send({ type: 'n', to: 'bob', payload: 2 });
      await bob.receives('{"type":"n","payload":2,"senderId":"ann"}');
      await stream.wokenAfter(now);
      await bob.sends({ type: 'answer', payload: 3, target: 'ann' });
      await stream.peers.ann.receives({ type: 'answer', from: 'bob', payload: 3 });
      assert.deepEqual(bob.stream.unread, []);
    });

    test('a broken event stream resumes after the last event received', async () => {
      const now = Date.now();
      const { broken: bob } = httpPeers;
      assert.ok(bob);
      await bob.open(bob.lastId);
      for (const payload of [2, LARGE, LARGE, 3])
        await bob.receives(`{"type":"n","payload":${JSON.stringify(payload)},"senderId":"ann"}`);
      await broken.wokenAfter(now);
      broken.peers.ann.send({ type: 'n', to: 'bob', payload: 4 });
      await bob.receives('{"type":"n","payload":4,"senderId":"ann"}');
    });

    test('a registered peer receives its queued signals when it opens its stream', async () => {
      const now = Date.now();
      const { registered: bob } = httpPeers;
      assert.ok(bob);
      await bob.open();
      await bob.receives('{"type":"n","payload":1,"senderId":"ann"}');
      await registered.wokenAfter(now);
    });
  });

/**
 * Asserts that the end of bob's grace period woke the room, and that bob was removed then.
 * @param {TestRoom} room
 */
async function leftOnTime(room) {
  const [lost = 0, told = 0] = left.get(room) ?? [];
  const wait = told - lost;
  assert(wait >= GRACE && wait < GRACE + LATE, `peer-left came after ${wait} ms`);
  await room.wokenAfter(lost + GRACE);
}
