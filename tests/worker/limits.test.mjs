// @ts-check
/** Tests the limits of a peer: frame size, rate of frames, and queued signals. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Peer, expectQuiet } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const KIB = 1024;

/** @type {import('../support/workerd.mjs').Workerd<'open'>} */
let workerd;
/** @type {import('../support/workerd.mjs').Server} */
let server;

before(async () => {
  workerd = await startWorkerd({ open: { RECONNECT_GRACE: '120' } });
  server = workerd.at.open;
});
after(() => workerd?.stop());

/** Lets ann and bob join a room. @param {string} room */
async function pair(room) {
  const ann = await Peer.join(server, room, 'ann');
  const bob = await Peer.join(server, room, 'bob');
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  return { ann, bob };
}

/**
 * Returns a frame of exactly `bytes` bytes that contains a signal to the peer `to`.
 * @param {string} to
 * @param {number} bytes
 * @param {string} [letter]
 */
function frameOf(to, bytes, letter = 'x') {
  const frame = (/** @type {string} */ payload) =>
    `{"type":"blob","to":"${to}","payload":"${payload}"}`;
  const [room, each] = [bytes - frame('').length, Buffer.byteLength(letter)];
  return frame(letter.repeat(Math.floor(room / each)) + '.'.repeat(room % each));
}

describe('size', () => {
  for (const letter of ['x', 'é', '😀']) {
    test(`a frame of 64 KiB of ${letter} is forwarded with its payload unchanged`, async () => {
      const { ann, bob } = await pair(`as-large-as-may-be-${letter.codePointAt(0)}`);
      const frame = frameOf('ann', 64 * KIB, letter);
      assert.equal(Buffer.byteLength(frame), 64 * KIB);
      bob.send(frame);
      assert.equal(await ann.next(), frame.replace('"to":"ann"', '"from":"bob"'));
      await expectQuiet(ann, bob);
    });

    test(`a frame of 64 KiB + 1 of ${letter} is refused with 1009`, async () => {
      const { ann, bob } = await pair(`too-large-${letter.codePointAt(0)}`);
      bob.send(frameOf('ann', 64 * KIB + 1, letter));
      await bob.receivesError('too-large');
      await bob.isClosed(1009, 'too-large');
      await ann.receives({ type: 'peer-left', id: 'bob' });
      await expectQuiet(ann);
    });
  }

  test('a frame of 8 MiB is refused without restarting the room', async () => {
    const { ann, bob } = await pair('far-too-large');
    const { awakeSince } = await server.status('far-too-large');
    bob.send(frameOf('ann', 8 * KIB * KIB));
    await bob.receivesError('too-large');
    await bob.isClosed(1009, 'too-large');
    await ann.receives({ type: 'peer-left', id: 'bob' });
    assert.equal((await server.status('far-too-large')).awakeSince, awakeSince);
    await expectQuiet(ann);
  });

  for (const [name, frame] of /** @type {[string, Buffer][]} */ ([
    ['of one byte', Buffer.from([0])],
    ['with a signal in it', Buffer.from('{"type":"offer","to":"ann","payload":1}')],
    ['without content', Buffer.alloc(0)],
    ['with the text ping', Buffer.from('ping')],
  ])) {
    test(`a binary frame ${name} is refused as malformed, and its WebSocket stays open`, async () => {
      const { ann, bob } = await pair(`binary-${frame.length}`);
      bob.send(frame);
      await bob.receivesError('malformed');
      bob.send({ type: 'offer', to: 'ann', payload: 1 });
      await ann.receives({ type: 'offer', from: 'bob', payload: 1 });
      await expectQuiet(ann, bob);
    });
  }

  test('a binary frame of 64 KiB + 1 is refused with 1009', async () => {
    const { ann, bob } = await pair('large-and-binary');
    bob.send(Buffer.alloc(64 * KIB));
    await bob.receivesError('malformed');
    bob.send(Buffer.alloc(64 * KIB + 1));
    await bob.receivesError('too-large');
    await bob.isClosed(1009, 'too-large');
    await ann.receives({ type: 'peer-left', id: 'bob' });
    await expectQuiet(ann);
  });
});

describe('rate limit', () => {
  const BURST = 200;
  const REFUSALS = 200;
  /**
   * Number of frames that reliably causes 200 consecutive refusals. Fewer frames might not, because
   * two consecutive accepted frames reset the count of refusals.
   */
  const FLOOD = 5_000;

  /**
   * Sends `count` signals at once. Returns the error frames and the payloads of the forwarded
   * signals.
   * @param {Peer} from @param {Peer} to @param {number} count
   */
  async function flood(from, to, count) {
    for (let i = 0; i < count; i++) from.send(`{"type":"tick","to":"${to.name}","payload":${i}}`);
    await from.settle();
    if (from.open) await to.settle();
    const refused = from.unread.splice(0).map((frame) => JSON.parse(frame));
    const ticks = to.unread
      .filter((frame) => frame.startsWith('{"type":"tick"'))
      .map((frame) => JSON.parse(frame).payload);
    return { refused, ticks };
  }

  test('a burst of 200 signals is forwarded in order', async () => {
    const { ann, bob } = await pair('burst');
    const { refused, ticks } = await flood(bob, ann, BURST);
    assert.deepEqual(refused, []);
    assert.deepEqual(ticks, [...Array(BURST).keys()]);
  });

  test('frames after the burst are refused until the sender slows down', async () => {
    const { ann, bob } = await pair('too-fast');
    const sent = BURST + 150;
    const { refused, ticks } = await flood(bob, ann, sent);
    assert.ok(refused.length > 0, `all ${sent} passed`);
    for (const { type, code } of refused)
      assert.deepEqual({ type, code }, { type: 'error', code: 'too-fast' });
    assert.ok(ticks.length >= BURST, `only ${ticks.length} passed`);
    assert.equal(ticks.length + refused.length, sent, 'each signal is forwarded or refused');
    assert.deepEqual(
      ticks,
      [...ticks].sort((a, b) => a - b),
      'the order is kept',
    );
    assert.ok(bob.open, 'the WebSocket stays open');
    ann.unread.splice(0);
    // The rate limit adds 100 tokens per second, so one of the next attempts is accepted.
    for (let attempts = 0; ; attempts++) {
      assert.ok(attempts < REFUSALS, 'a slow peer can send again');
      bob.send({ type: 'again', to: 'ann' });
      await bob.settle();
      await ann.settle();
      if (ann.unread.length > 0) break;
    }
    await ann.receives({ type: 'again', from: 'bob' });
  });

  test('a WebSocket is closed after 200 consecutive refusals, and the other peers continue', async () => {
    const { ann, bob } = await pair('far-too-fast');
    const eve = await Peer.join(server, 'far-too-fast', 'eve');
    for (const each of [ann, bob])
      await each.receives({ type: 'peer-joined', id: 'eve', polite: true });
    for (let i = 0; i < FLOOD; i++) bob.send('{"type":"tick","to":"ann"}');
    await bob.isClosed(4008, 'too-fast');
    const codes = bob.unread.splice(0).map((frame) => JSON.parse(frame).code);
    assert.ok(codes.length >= REFUSALS, `closed after only ${codes.length} refusals`);
    assert.deepEqual(new Set(codes), new Set(['too-fast']));
    await eve.receives({ type: 'peer-left', id: 'bob' });
    eve.send({ type: 'still here', to: 'ann' });
    for (;;) {
      const frame = await ann.next();
      if (frame === '{"type":"still here","from":"eve"}') break;
      assert.ok(
        ['{"type":"tick","from":"bob"}', '{"type":"peer-left","id":"bob"}'].includes(frame),
        frame,
      );
    }
    await expectQuiet(ann, eve);
    // Bob may join again, with a new rate limit.
    const again = await Peer.join(server, 'far-too-fast', 'bob');
    again.send({ type: 'slowly', to: 'eve' });
    await eve.receives({ type: 'peer-joined', id: 'bob', polite: true });
    await eve.receives({ type: 'slowly', from: 'bob' });
  });

  test('a frame that is refused for another reason counts towards the rate limit', async () => {
    const { ann, bob } = await pair('fast-nonsense');
    for (let i = 0; i < FLOOD; i++) bob.send('nonsense');
    await bob.isClosed(4008, 'too-fast');
    const codes = bob.unread.splice(0).map((frame) => JSON.parse(frame).code);
    assert.ok(codes.filter((code) => code === 'malformed').length >= BURST);
    assert.deepEqual(new Set(codes), new Set(['malformed', 'too-fast']));
    assert.ok(codes.filter((code) => code === 'too-fast').length >= REFUSALS);
    await ann.receives({ type: 'peer-left', id: 'bob' });
  });

  test('pings do not count towards the rate limit', async () => {
    const { ann, bob } = await pair('pings');
    for (let i = 0; i < 2 * BURST + REFUSALS; i++) bob.send('ping');
    for (let i = 0; i < 2 * BURST + REFUSALS; i++) assert.equal(await bob.next(), 'pong');
    bob.send({ type: 'here', to: 'ann' });
    await ann.receives({ type: 'here', from: 'bob' });
    await expectQuiet(ann, bob);
  });
});

describe('signals for absent peers', () => {
  test('a room queues 64 signals for an absent peer and refuses the 65th', async () => {
    const { ann, bob } = await pair('many');
    await bob.cut();
    for (let i = 0; i < 65; i++) ann.send({ type: 'candidate', to: 'bob', payload: i });
    await ann.receivesError('mailbox-full', { to: 'bob' });
    await expectQuiet(ann);
    const back = await Peer.join(server, 'many', 'bob');
    for (let i = 0; i < 64; i++)
      await back.receives({ type: 'candidate', from: 'ann', payload: i });
    ann.send({ type: 'candidate', to: 'bob', payload: 65 });
    await back.receives({ type: 'candidate', from: 'ann', payload: 65 });
    await expectQuiet(ann, back);
  });

  test('a room queues 256 KiB for an absent peer and refuses a larger total', async () => {
    const { ann, bob } = await pair('much');
    await bob.cut();
    const frame = frameOf('bob', 60_000);
    for (let i = 0; i < 5; i++) ann.send(frame);
    await ann.receivesError('mailbox-full', { to: 'bob' });
    ann.send({ type: 'offer', to: 'bob', payload: 'a small one' });
    await expectQuiet(ann);
    const back = await Peer.join(server, 'much', 'bob');
    for (let i = 0; i < 4; i++)
      assert.equal(await back.next(), frame.replace('"to":"bob"', '"from":"ann"'));
    await back.receives({ type: 'offer', from: 'ann', payload: 'a small one' });
    await expectQuiet(ann, back);
  });

  test('the queued signals of all senders count together', async () => {
    const { ann, bob } = await pair('two-senders');
    const eve = await Peer.join(server, 'two-senders', 'eve');
    for (const each of [ann, bob])
      await each.receives({ type: 'peer-joined', id: 'eve', polite: true });
    await bob.cut();
    for (let i = 0; i < 64; i++) {
      ann.send({ type: 'candidate', to: 'bob', payload: i });
      if (i === 31) await ann.settle();
    }
    await ann.settle();
    eve.send({ type: 'candidate', to: 'bob', payload: 'one more' });
    await eve.receivesError('mailbox-full', { to: 'bob' });
    await expectQuiet(ann, eve);
  });

  test('a broadcast is delivered to the connected peers when the queue of an absent peer is full', async () => {
    const { ann, bob } = await pair('all-but-one');
    const eve = await Peer.join(server, 'all-but-one', 'eve');
    for (const each of [ann, bob])
      await each.receives({ type: 'peer-joined', id: 'eve', polite: true });
    await bob.cut();
    for (let i = 0; i < 64; i++) ann.send({ type: 'candidate', to: 'bob', payload: i });
    ann.send({ type: 'to all', payload: 1 });
    await eve.receives({ type: 'to all', from: 'ann', payload: 1 });
    await ann.receivesError('mailbox-full', { to: 'bob' });
    await expectQuiet(ann, eve);
  });

  test('a room holds 64 broadcasts of a lone peer and refuses the 65th', async () => {
    const ann = await Peer.join(server, 'alone', 'ann');
    for (let i = 0; i < 65; i++) ann.send({ type: 'candidate', payload: i });
    await ann.receivesError('mailbox-full');
    await expectQuiet(ann);
    const bob = await Peer.join(server, 'alone', 'bob');
    for (let i = 0; i < 64; i++) await bob.receives({ type: 'candidate', from: 'ann', payload: i });
    await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
    await expectQuiet(ann, bob);
  });

  test('a room holds 256 KiB of broadcasts and refuses a larger total', async () => {
    const ann = await Peer.join(server, 'alone-with-much', 'ann');
    const payload = 'x'.repeat(60_000);
    for (let i = 0; i < 5; i++) ann.send({ type: 'offer', payload });
    await ann.receivesError('mailbox-full');
    await expectQuiet(ann);
    const bob = await Peer.join(server, 'alone-with-much', 'bob');
    for (let i = 0; i < 4; i++) await bob.receives({ type: 'offer', from: 'ann', payload });
    await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
    await expectQuiet(ann, bob);
  });

  test('a queued signal is not delivered again when its receiver leaves and joins again', async () => {
    const { ann, bob } = await pair('left');
    await bob.cut();
    ann.send({ type: 'offer', to: 'bob', payload: 1 });
    await ann.settle();
    const back = await Peer.join(server, 'left', 'bob');
    await back.receives({ type: 'offer', from: 'ann', payload: 1 });
    await back.close(1000);
    await ann.receives({ type: 'peer-left', id: 'bob' });
    const later = await Peer.join(server, 'left', 'bob');
    await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
    await expectQuiet(ann, later);
  });
});
