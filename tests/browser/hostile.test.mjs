// @ts-check
/**
 * Honest pages beside hostile peers, which send signals as fast as the server permits. The hostile
 * peers are WebSockets without the library. All floods are bounded.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join, log, logged, meet, newRoom, PATIENCE, talk, until } from '../support/browser.mjs';
import { SignalLimits } from '../../public/signal-limits.js';
import { tracedPayload } from '../../public/trace.js';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { at, isShown, joined } from '../support/page.mjs';
import { Peer } from '../support/peer.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('../../public/room.js').Trace} Trace */

const deployed = new Deployed();
const pages = new Pages(deployed);
useFixtures(deployed, pages);

/** One per second, minus the time between the limit and the trace, which a busy machine makes longer. */
const ALMOST_A_SECOND = 900;
/** The library delays a connection by 5 s at most. */
const LONG = 12_000;

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Joins a room as a hostile peer. @param {string} room @param {string} [id] */
const intrude = (room, id = 'mallory') => Peer.join(deployed.server, room, id);

/**
 * A session description that browsers accept as an offer.
 * @param {number} number selects the fingerprint and the origin
 */
function offer(number) {
  const fingerprint = Array.from({ length: 32 }, (_, index) =>
    ((number >> (8 * (index % 4))) & 255).toString(16).padStart(2, '0').toUpperCase(),
  ).join(':');
  const lines = [
    'v=0',
    `o=- ${1000 + number} 2 IN IP4 127.0.0.1`,
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=ice-ufrag:abcd',
    'a=ice-pwd:abcdefghijklmnopqrstuvwx',
    `a=fingerprint:sha-256 ${fingerprint}`,
    'a=setup:actpass',
    'a=mid:0',
    'a=sctp-port:5000',
  ];
  return { type: 'offer', sdp: lines.map((line) => `${line}\r\n`).join('') };
}

/** Returns the fingerprint line of an offer. @param {number} number */
function fingerprintOf(number) {
  return /a=fingerprint:.*\r\n/.exec(offer(number).sdp)?.[0] ?? '';
}

/**
 * Returns the times of the traced steps that concern a peer, in milliseconds.
 * @param {Page} page
 * @param {string} step direction and type
 * @param {string} [peer]
 * @returns {Promise<number[]>}
 */
const times = (page, step, peer = 'mallory') =>
  page.evaluate(
    ([step, peer]) =>
      /** @type {any} */ (globalThis).trace
        .filter((/** @type {Trace} */ t) => t.peer === peer && `${t.direction} ${t.type}` === step)
        .map((/** @type {Trace} */ t) => t.time),
    [step, peer],
  );

/** @param {number[]} values */
const gaps = (values) => values.slice(1).map((value, index) => value - values[index]);

/**
 * Waits until a step that concerns mallory was traced `count` times.
 * @param {Page} page
 * @param {string} step direction and type
 * @param {number} count
 * @param {number} [patience]
 */
const happened = (page, step, count, patience = LONG) =>
  until(
    page,
    `${count} times ${step}`,
    ([step, count]) =>
      /** @type {any} */ (globalThis).trace.filter(
        (/** @type {Trace} */ t) => t.peer === 'mallory' && `${t.direction} ${t.type}` === step,
      ).length >= Number(count),
    /** @type {[string, number]} */ ([step, count]),
    patience,
  );

for (const [type, reply, connect] of [
  ['request', 'accept', 'always'],
  ['accept', 'cancel', 'on-request'],
  ['cancel', 'request', 'on-request'],
  ['offer', 'answer', 'always'],
]) {
  test(`many times the same ${type} is answered once a second, and the last is answered`, async () => {
    const ann = await pages.open('ann');
    const room = newRoom();
    await join(ann, room, { id: 'ann', connect });
    await logged(ann, 'state joined');
    const mallory = await intrude(room);
    await logged(ann, 'peer mallory');
    // A lost `request` is repeated when a `cancel` arrives.
    if (type === 'cancel')
      await ann.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('mallory').request());
    const payload = type === 'offer' ? offer(1) : null;
    if (type === 'offer') {
      mallory.send({ type, to: 'ann', payload });
      await happened(ann, 'out answer', 1);
    }
    const already = (await times(ann, `out ${reply}`)).length;
    for (let count = 0; count < 60; count += 1) mallory.send({ type, to: 'ann', payload });
    await mallory.settle();
    await happened(ann, `in ${type}`, 60);
    await happened(ann, `out ${reply}`, already + 2, PATIENCE);
    const answered = (await times(ann, `out ${reply}`)).slice(already);
    assert(
      gaps(answered).every((gap) => gap > ALMOST_A_SECOND),
      `${answered}`,
    );
    const [received] = (await times(ann, `in ${type}`)).slice(-1);
    await until(
      ann,
      'the last signal is answered',
      ([reply, received]) =>
        /** @type {any} */ (globalThis).trace.some(
          (/** @type {Trace} */ t) => t.type === reply && t.time >= Number(received),
        ),
      /** @type {[string, number]} */ ([reply, received]),
    );
  });
}

test('offers with new fingerprints make two connections at once, and then one in 5 s', async () => {
  const [ann, bob] = await pages.pair();
  const room = await meet(ann, bob);
  const mallory = await intrude(room);
  await logged(ann, 'peer mallory');
  for (let number = 1; number <= 15; number += 1) {
    mallory.send({ type: 'offer', to: 'ann', payload: offer(number) });
    // A newer offer would replace an offer that waits until our candidates are sent.
    if (number <= 3) await happened(ann, 'out answer', number);
  }
  await mallory.settle();
  await happened(ann, 'in offer', 15);
  await happened(ann, 'local create-connection', 4);
  const created = await times(ann, 'local create-connection');
  // The first connection is for the peer that the server announced, and the next two are for the
  // second and the third offer.
  assert.equal(created.length, 4);
  assert(created[3] - created[1] > 4_900, `${created}`);
  const last = (/** @type {string} */ sdp) => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('mallory');
    return connection.remoteDescription?.sdp.includes(sdp);
  };
  await until(ann, 'the last offer is set', last, offer(15).sdp.split('\r\n')[1]);
  await talk(ann, 'ann', bob, 'bob', 'still here');
  const carol = await pages.open('carol');
  await join(carol, room, { id: 'carol' });
  await until(carol, 'the newcomer is connected', () =>
    ['ann', 'bob'].every((id) => /** @type {any} */ (globalThis).room.peers.get(id)?.connected),
  );
  assert.deepEqual((await log(ann)).filter((line) => line.startsWith('error')).length, 0);
});

/**
 * Offers of a peer that hides its new fingerprint from the library.
 * @type {Record<string, string[]>}
 */
const DISGUISES = {
  // The fingerprint of the media section replaces that of the session.
  'behind the old one': [offer(2).sdp.replace('m=', `${fingerprintOf(1)}m=`)],
  'after an offer without a fingerprint': [
    offer(2).sdp.replace(' 9 ', ' 0 ').replace(fingerprintOf(2), ''),
    offer(3).sdp,
  ],
};
for (const [how, offers] of Object.entries(DISGUISES)) {
  test(`an offer cannot hide a new fingerprint ${how}`, async () => {
    const ann = await pages.open('ann');
    const room = newRoom();
    await join(ann, room, { id: 'ann', connect: 'always' });
    await logged(ann, 'state joined');
    const mallory = await intrude(room);
    await logged(ann, 'peer mallory');
    for (const [index, sdp] of [offer(1).sdp, ...offers].entries()) {
      mallory.send({ type: 'offer', to: 'ann', payload: { type: 'offer', sdp } });
      // Firefox refuses an offer without a fingerprint, and the library then creates a new connection.
      const isHandled = (/** @type {number} */ count) => {
        const { log, trace } = /** @type {any} */ (globalThis);
        const answers = trace.filter((/** @type {any} */ entry) => entry.type === 'answer');
        const errors = log.filter((/** @type {string} */ line) => line === 'error negotiation');
        return answers.length + errors.length >= count;
      };
      await until(ann, `offer ${index + 1} is answered or refused`, isHandled, index + 1);
    }
    assert.equal((await times(ann, 'local create-connection')).length, 2);
  });
}

test('a peer that the server announced is not delayed', async () => {
  const ann = await pages.open('ann');
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  for (const visit of [0, 1, 2]) {
    const mallory = await intrude(room);
    await happened(ann, 'in peer-joined', visit + 1);
    for (const number of [1, 2, 3]) {
      mallory.send({ type: 'offer', to: 'ann', payload: offer(3 * visit + number) });
      await happened(ann, 'out answer', 3 * visit + number);
    }
    await mallory.close();
  }
  const answered = await times(ann, 'out answer');
  // A delayed connection is made 5 s after the previous one.
  const last = [answered[5] - answered[4], answered[8] - answered[7]];
  assert(Math.min(...last) < 4_500, `${answered}`);
});

test('a waiting offer is delivered when the server announces a known peer', () => {
  /** @type {unknown[]} */
  const delivered = [];
  const limits = new SignalLimits({
    deliver: (type, payload) => delivered.push([type, payload]),
    isSending: () => false,
    reportError: ({ message }) => assert.fail(message),
  });
  const taken = [1, 2, 3].map(() => limits.takeConnection());
  assert.deepEqual(taken, [true, true, false]);
  limits.hold('offer', 'the third page');
  limits.receive('candidate', 'of the third page');
  assert.deepEqual(delivered, []);
  limits.handleAnnounced();
  assert.deepEqual(delivered, [
    ['offer', 'the third page'],
    ['candidate', 'of the third page'],
  ]);
  limits.stop();
});

test('no second answer is queued for a peer, so the answers to other peers come next', async () => {
  const ann = await pages.open('ann');
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  const [mallory, carol] = await Promise.all(
    ['mallory', 'carol', 'dave'].map((id) => intrude(room, id)),
  );
  await logged(ann, 'peer', 3);
  // These signals keep the answers in the queue for 40 s.
  await ann.evaluate(() => {
    for (let count = 0; count < 3_500; count += 1)
      /** @type {any} */ (globalThis).room.signal('wave', count, 'dave');
  });
  const version = (/** @type {number} */ number) => {
    const { type, sdp } = offer(1);
    return { type, to: 'ann', payload: { type, sdp: sdp.replace(' 2 IN', ` ${number} IN`) } };
  };
  mallory.send(version(1));
  await happened(ann, 'out answer', 1);
  for (let number = 2; number <= 20; number += 1) mallory.send(version(number));
  await happened(ann, 'in offer', 20);
  carol.send({ type: 'offer', to: 'ann', payload: offer(2) });
  const isAnswered = () =>
    /** @type {any} */ (globalThis).trace.some(
      (/** @type {Trace} */ t) => t.type === 'answer' && t.peer === 'carol',
    );
  await until(ann, 'an answer for carol is queued', isAnswered);
  assert.equal((await times(ann, 'out answer')).length, 1);
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.close());
});

test('a call with 30 tracks on a computer with 15 network addresses is within the budget', () => {
  let delivered = 0;
  const limits = new SignalLimits({
    deliver: () => (delivered += 1),
    isSending: () => false,
    reportError: ({ message }) => assert.fail(message),
  });
  limits.receive('offer', offer(1));
  // The data channel has candidates, too.
  for (let count = 0; count < 31 * 15; count += 1) limits.receive('candidate', null);
  assert.equal(delivered, 466);
  limits.stop();
});

test('five different offers are delivered at once', () => {
  let delivered = 0;
  const limits = new SignalLimits({
    deliver: () => (delivered += 1),
    isSending: () => false,
    reportError: ({ message }) => assert.fail(message),
  });
  for (let number = 1; number <= 20; number += 1) limits.receive('offer', offer(number));
  assert.equal(delivered, 5);
  limits.stop();
});

test('requests and cancels in turn make two connections at once, and then one in 5 s', async () => {
  const ann = await pages.open('ann');
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  const mallory = await intrude(room);
  for (let count = 0; count < 5; count += 1) {
    mallory.send({ type: 'cancel', to: 'ann' });
    mallory.send({ type: 'request', to: 'ann' });
    await sleep(100);
  }
  await happened(ann, 'local create-connection', 4);
  const created = await times(ann, 'local create-connection');
  // The first connection is for the peer that the server announced.
  assert(created[3] - created[1] > 4_900, `${created}`);
  // The last signal was a request, so ann connects in the end.
  const accepted = () =>
    /** @type {any} */ (globalThis).room.peers.get('mallory').relation === 'accepted';
  await until(ann, 'the last request is accepted', accepted, undefined, LONG);
});

test('signals beyond the budget of a peer are dropped with one error', async () => {
  const [ann, bob] = await pages.pair();
  const room = await meet(ann, bob);
  const mallory = await intrude(room);
  const payload = { candidate: '', sdpMid: '0' };
  const candidate = { type: 'candidate', to: 'ann', payload };
  // A burst as large as the server permits is not an error.
  for (let count = 0; count < 6; count += 1) mallory.send(Array(32).fill(candidate));
  await happened(ann, 'in candidate', 192);
  assert.deepEqual(
    (await log(ann)).filter((line) => line.startsWith('error')),
    [],
  );
  const start = Date.now();
  const errors = async () =>
    (await log(ann)).filter((line) => line === 'error peer-too-fast').length;
  // The server permits 100 signals a second, so this takes 8 s.
  for (let sent = 0; (await errors()) === 0 && sent < 1_400; await sleep(50))
    for (; sent < 0.095 * (Date.now() - start); sent += 1) mallory.send(candidate);
  assert.equal(await errors(), 1);
  for (let count = 0; count < 30; count += 1) mallory.send(candidate);
  await mallory.settle();
  await talk(ann, 'ann', bob, 'bob', 'still here');
  assert.equal(await errors(), 1);
});

test('a browser that creates no more connections reports an error, and tries again', async () => {
  const ann = await pages.open('ann');
  const room = newRoom();
  await intrude(room);
  const refusal = await ann.evaluate(() => {
    /** @type {RTCPeerConnection[]} */
    const all = [];
    Object.assign(globalThis, { all });
    try {
      for (let count = 0; count < 1_000; count += 1) all.push(new RTCPeerConnection());
      return null;
    } catch (error) {
      return String(error);
    }
  });
  assert(refusal, 'Chromium has a limit');
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'error negotiation');
  await logged(ann, 'state joined');
  assert((await log(ann)).includes('peer mallory'));
  await ann.evaluate(() => {
    /** @type {any} */ (globalThis).all.forEach((/** @type {any} */ one) => one.close());
    Object.assign(globalThis, { all: null });
  });
  const devtools = await ann.context().newCDPSession(ann);
  await devtools.send('HeapProfiler.collectGarbage');
  await happened(ann, 'out offer', 1);
});

for (const step of ['create-connection', 'set-remote-description']) {
  test(`while ${step} is paused, 64 signals of a peer wait, and the rest is dropped`, async () => {
    const ann = await pages.open('ann');
    const room = newRoom();
    await ann.evaluate((step) => {
      /** @type {any[]} */
      const added = [];
      /** @type {(() => void)[]} */
      const gates = [];
      const pace = (/** @type {any} */ { type, payload }) => {
        if (type === 'add-candidate') added.push(payload.usernameFragment);
        if (type === step && gates.length === 0)
          return new Promise((/** @type {(value?: any) => void} */ go) => gates.push(go));
      };
      Object.assign(globalThis, { added, gates, pace });
    }, step);
    await join(ann, room, { id: 'ann' });
    await logged(ann, 'state joined');
    const mallory = await intrude(room);
    mallory.send({ type: 'offer', to: 'ann', payload: offer(1) });
    const candidate = (/** @type {string} */ usernameFragment) => ({
      type: 'candidate',
      to: 'ann',
      payload: { candidate: '', sdpMid: '0', usernameFragment },
    });
    for (let count = 1; count <= 100; count += 1) mallory.send(candidate('abcd'));
    await happened(ann, 'in candidate', 100);
    await ann.evaluate(() => /** @type {any} */ (globalThis).gates[0]());
    await happened(ann, 'out answer', 1);
    mallory.send(candidate('last'));
    const isOver = () => /** @type {any} */ (globalThis).added.includes('last');
    await until(ann, 'the last candidate is added', isOver);
    assert.equal(await ann.evaluate(() => /** @type {any} */ (globalThis).added.length), 64);
  });
}

test('many answers that are too large are five errors at once', async () => {
  const ann = await pages.open('ann');
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  const mallory = await intrude(room);
  // The answer repeats the ICE credentials and the fingerprint in each of these sections.
  const mids = Array.from({ length: 300 }, (_, index) => index + 1);
  const sections = mids.map(
    (mid) =>
      'm=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=recvonly\r\na=rtcp-mux\r\n' +
      `a=mid:${mid}\r\n`,
  );
  const sdp = offer(1).sdp.replace('BUNDLE 0', `BUNDLE 0 ${mids.join(' ')}`) + sections.join('');
  for (let version = 1; version <= 10; version += 1) {
    const payload = { type: 'offer', sdp: sdp.replace(' 2 IN IP4', ` ${version} IN IP4`) };
    mallory.send({ type: 'offer', to: 'ann', payload });
    await happened(ann, 'local set-local-description', version);
  }
  const errors = (await log(ann)).filter((line) => line.startsWith('error'));
  assert(errors.every((line) => line === 'error too-large'));
  // One more is permitted in 5 s.
  assert(errors.length >= 5 && errors.length <= 8, `${errors.length}`);
});

test('a description whose SDP is no text is an error of the negotiation', async () => {
  const ann = await pages.open('ann');
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  const mallory = await intrude(room);
  // String() throws for this object.
  const payload = { sdp: { toString: 1, valueOf: 1 } };
  for (const type of ['offer', 'answer', 'offer']) mallory.send({ type, to: 'ann', payload });
  await happened(ann, 'in offer', 2);
  await logged(ann, 'error negotiation');
});

test('trace leaves out large payloads, except the SDP of descriptions', async () => {
  const ann = await pages.open('ann');
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  const mallory = await intrude(room);
  const large = 'x'.repeat(20_000);
  const { sdp } = offer(1);
  const padded = `${sdp}a=x:${large}\r\n`;
  mallory.send({ type: 'wave', to: 'ann', payload: 'small' });
  mallory.send({ type: 'wave', to: 'ann', payload: large });
  mallory.send({ type: 'candidate', to: 'ann', payload: { candidate: '', large } });
  mallory.send({ type: 'offer', to: 'ann', payload: { type: 'offer', sdp: padded, large } });
  await happened(ann, 'in offer', 1);
  const traced = await ann.evaluate(() =>
    /** @type {any} */ (globalThis).trace
      .filter((/** @type {Trace} */ t) => t.direction === 'in' && t.peer === 'mallory')
      .map((/** @type {Trace} */ { type, payload }) => [type, payload])
      .filter((/** @type {[string]} */ [type]) => type !== 'peer-joined'),
  );
  assert.deepEqual(traced, [
    ['wave', 'small'],
    ['wave', undefined],
    ['candidate', undefined],
    ['offer', { type: 'offer', sdp: padded }],
  ]);
  // JSON.stringify() exceeds the stack.
  const nested = JSON.parse('['.repeat(30_000) + ']'.repeat(30_000));
  assert.equal(tracedPayload('wave', nested), undefined);
});

test('the page renders a flood of signals once per frame', async () => {
  const room = newRoom();
  const ann = await pages.open('ann', at({ room, id: 'ann' }, '#inside'));
  await joined(ann);
  const bob = await pages.open('bob', at({ room, id: 'bob' }));
  await isShown(bob, 'ann', 'connected');
  const hostile = await Promise.all([1, 2, 3, 4].map((n) => intrude(room, `mallory-${n}`)));
  await ann.locator('#chosen option').nth(4).waitFor({ state: 'attached' });
  await ann.evaluate(() => {
    const seen = { frames: 0, renderings: 0 };
    const count = () => {
      seen.frames += 1;
      requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
    new MutationObserver((records) => (seen.renderings += records.length)).observe(
      /** @type {Node} */ (document.getElementById('chosen')),
      { childList: true },
    );
    Object.assign(globalThis, { seen });
  });
  for (let round = 0; round < 20; round += 1) {
    for (const one of hostile)
      for (let count = 0; count < 8; count += 1) {
        const name = `${one.name} ${round} ${count}`;
        one.send({ type: 'hello', to: 'ann', payload: { name } });
      }
    await sleep(80);
  }
  await ann.locator('#chosen option', { hasText: 'mallory-4 19 7' }).waitFor({ state: 'attached' });
  const { frames, renderings } = await ann.evaluate(() => /** @type {any} */ (globalThis).seen);
  assert(renderings <= frames + 8, `${renderings} renderings in ${frames} frames`);
  await isShown(ann, 'bob', 'connected');
});
