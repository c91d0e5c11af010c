// @ts-check
/**
 * Tests seed document 002, which is a list of 26 tasks. PEER1 and PEER2 perform the tasks one by
 * one in Chromium, with the native dialect, and each test checks one task. In this document, users
 * click a button for each step. So PEER1 sends its offer before PEER2 has loaded the page, and
 * sends its candidates only after it has received an answer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frames, logged, newRoom, start, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Coturn } from '../support/turn.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

// These global variables exist only in the pages: the client (`device`), and the objects that the
// tasks create (`my`).
/** @type {any} */
let device;
/** @type {any} */
let my;

const TURN_SECRET = 'what-coturn-knows-too';
const room = newRoom();
const pages = new Pages();
/** @type {Coturn} */
let coturn;
/** @type {import('../support/workerd.mjs').Server} */
let server;
/** @type {() => Promise<void>} */
let stop;
/** @type {Page} */
let peer1;
/** @type {Page} */
let peer2;
/** @type {any} */
let offer;
/** @type {any} */
let answer;

useFixtures({
  start: async () => {
    coturn = await Coturn.start(TURN_SECRET);
    const turn = { TURN_URLS: coturn.url, TURN_SECRET, TURN_OPEN: 'true' };
    const main = { STUN_URLS: coturn.stun, ...turn };
    const workerd = await startWorkerd({ main }, { assets: true });
    server = workerd.at.main;
    stop = workerd.stop;
    await pages.start();
    // PEER1 uses this page for all tasks.
    peer1 = await open('PEER1');
    await start(peer1, 'Plain', room, 'PEER1');
    await logged(peer1, '< {"type":"welcome"');
  },
  stop: () => pages.tidy().finally(() => Promise.all([stop?.(), coturn?.stop(), pages.stop()])),
});

/** Opens a page with the server's origin. @param {string} name */
const open = (name) => pages.open(name, `${server.origin}/health`);

/** @param {Page} page */
const configure = (page) =>
  page.evaluate(async () => {
    const response = await fetch('/ice-servers');
    Object.assign(globalThis, { my: { configuration: await response.json() } });
    return my.configuration.iceServers[0].urls[0];
  });

/**
 * Creates a connection. Stores the gathered candidates, because a later task sends them.
 * @param {Page} page
 */
const create = (page) =>
  page.evaluate(() => {
    const connection = new RTCPeerConnection(my.configuration);
    Object.assign(my, { connection, candidates: [] });
    connection.onicecandidate = ({ candidate }) => candidate && my.candidates.push(candidate);
    connection.onconnectionstatechange = () => device.log.push(connection.connectionState);
    return [connection.signalingState, connection.iceGatheringState];
  });

/** @param {Page} page */
const gather = async (page) => {
  await until(page, 'gathered', () => my.connection.iceGatheringState === 'complete');
  const types = await page.evaluate(() => my.candidates.map((/** @type {any} */ c) => c.type));
  // The STUN server runs on the same machine, so a server-reflexive candidate would equal a host
  // candidate. The browser therefore omits it as redundant (RFC 8445, section 5.1.3).
  for (const type of ['host', 'relay']) assert.ok(types.includes(type), `${type} in ${types}`);
};

/** @param {Page} page @param {string} to */
const sendCandidates = (page, to) =>
  page.evaluate((to) => {
    for (const payload of my.candidates) device.sendFrame({ type: 'candidate', to, payload });
    return my.candidates.length;
  }, to);

/**
 * Returns the candidates in the WebSocket messages that a page has sent (`>`) or received (`<`).
 * @param {Page} page
 * @param {'>' | '<'} direction
 */
const candidates = async (page, direction) => {
  const all = await frames(page, direction);
  return all.filter(({ type }) => type === 'candidate').map(({ payload }) => payload);
};

test('seed 002, task 1: PEER1 configures STUN servers', async () => {
  assert.match(await configure(peer1), /^stun:/);
});

test('seed 002, task 2: PEER1 creates a connection', async () => {
  assert.deepEqual(await create(peer1), ['stable', 'new']);
});

test('seed 002, task 3: PEER1 creates a data channel', async () => {
  const state = await peer1.evaluate(() => {
    my.connection.onnegotiationneeded = () => device.log.push('negotiation needed');
    my.channel = my.connection.createDataChannel('chat');
    my.channel.onopen = () => device.log.push('open');
    my.channel.onmessage = (/** @type {any} */ { data }) => device.log.push(`message ${data}`);
    return my.channel.readyState;
  });
  assert.equal(state, 'connecting');
});

test('seed 002, task 4: PEER1 adds the channel and gathers no candidate yet', async () => {
  await logged(peer1, 'negotiation needed');
  assert.equal(await peer1.evaluate(() => my.connection.iceGatheringState), 'new');
});

test('seed 002, task 5: PEER1 creates an offer with the channel', async () => {
  offer = await peer1.evaluate(async () => {
    my.offer = await my.connection.createOffer();
    return { type: my.offer.type, sdp: my.offer.sdp };
  });
  assert.equal(offer.type, 'offer');
  assert.match(offer.sdp, /^m=application /m);
});

test('seed 002, task 6: PEER1 sets its local description', async () => {
  const state = await peer1.evaluate(async () => {
    await my.connection.setLocalDescription(my.offer);
    return my.connection.signalingState;
  });
  assert.equal(state, 'have-local-offer');
});

test('seed 002, task 7: PEER1 collects candidates', () => gather(peer1));

test('seed 002, task 8: PEER1 sends its offer while it is alone', async () => {
  await peer1.evaluate(() => {
    device.sendFrame({ type: 'offer', payload: my.offer });
    device.sendFrame({ type: 'accepted?', to: 'PEER1' });
  });
  // The server handles frames in order. No error arrives before the second signal, so the server
  // has accepted the offer.
  await logged(peer1, '< {"type":"accepted?","from":"PEER1"}');
  assert.deepEqual(
    (await frames(peer1, '<')).map(({ type }) => type),
    ['welcome', 'accepted?'],
  );
});

test('seed 002, task 9: PEER1 keeps its candidates until an answer arrives', async () => {
  assert.deepEqual(await candidates(peer1, '>'), []);
});

test('seed 002, task 10: the server holds the offer for PEER2, which has not joined', async () => {
  assert.equal((await server.status(room)).peers, 1);
});

test('seed 002, task 11: PEER2 loads the page and opens its WebSocket', async () => {
  peer2 = await open('PEER2');
  await start(peer2, 'Plain', room, 'PEER2');
  await logged(peer2, '< {"type":"welcome","id":"PEER2"');
  await logged(peer1, '< {"type":"peer-joined","id":"PEER2","polite":true}');
});

test('seed 002, task 12: PEER2 receives the offer', async () => {
  await logged(peer2, '< {"type":"offer"');
  const [, received] = await frames(peer2, '<');
  assert.deepEqual(received, { type: 'offer', from: 'PEER1', payload: offer });
});

test('seed 002, task 13: PEER2 configures STUN servers', async () => {
  assert.match(await configure(peer2), /^stun:/);
});

test('seed 002, task 14: PEER2 creates a connection', async () => {
  assert.deepEqual(await create(peer2), ['stable', 'new']);
});

test('seed 002, task 15: PEER2 receives an offer with data and without media', async () => {
  assert.doesNotMatch(offer.sdp, /^m=(audio|video)/m);
});

test('seed 002, task 16: PEER2 listens for the channel', () =>
  peer2.evaluate(() => {
    my.connection.ondatachannel = (/** @type {RTCDataChannelEvent} */ { channel }) => {
      my.channel = channel;
      channel.onopen = () => device.log.push('open');
      channel.onmessage = ({ data }) => device.log.push(`message ${data}`);
    };
  }));

test('seed 002, task 17: PEER2 sets its remote description', async () => {
  const state = await peer2.evaluate(async (offer) => {
    await my.connection.setRemoteDescription(offer);
    return my.connection.signalingState;
  }, offer);
  assert.equal(state, 'have-remote-offer');
});

test('seed 002, task 18: PEER2 creates an answer', async () => {
  answer = await peer2.evaluate(async () => {
    my.answer = await my.connection.createAnswer();
    return { type: my.answer.type, sdp: my.answer.sdp };
  });
  assert.equal(answer.type, 'answer');
  assert.match(answer.sdp, /^m=application /m);
});

test('seed 002, task 19: PEER2 sets its local description', async () => {
  const state = await peer2.evaluate(async () => {
    await my.connection.setLocalDescription(my.answer);
    return my.connection.signalingState;
  });
  assert.equal(state, 'stable');
});

test('seed 002, task 20: PEER2 collects candidates', () => gather(peer2));

test('seed 002, task 21: PEER2 sends its answer', async () => {
  await peer2.evaluate(() => device.sendFrame({ type: 'answer', to: 'PEER1', payload: my.answer }));
});

test('seed 002, task 22: PEER2 sends its candidates', async () => {
  assert.ok((await sendCandidates(peer2, 'PEER1')) > 0);
});

test('seed 002, task 23: the server sends PEER1 the answer and the candidates, in order', async () => {
  const sent = await candidates(peer2, '>');
  await logged(peer1, '< {"type":"candidate"', sent.length);
  const received = (await frames(peer1, '<')).slice(3);
  const forwarded = sent.map((payload) => ({ type: 'candidate', from: 'PEER2', payload }));
  const answered = { type: 'answer', from: 'PEER2', payload: answer };
  assert.deepEqual(received, [answered, ...forwarded]);
});

test('seed 002, task 24: PEER1 keeps the answer and the candidates for later', async () => {
  assert.equal(await peer1.evaluate(() => my.connection.signalingState), 'have-local-offer');
});

test('seed 002, task 25: PEER1 sends its candidates, and PEER2 receives all of them', async () => {
  const count = await sendCandidates(peer1, 'PEER2');
  await logged(peer2, '< {"type":"candidate"', count);
  assert.deepEqual(await candidates(peer2, '<'), await candidates(peer1, '>'));
});

test('seed 002, task 26: PEER1 sets its remote description', async () => {
  const state = await peer1.evaluate(async (answer) => {
    await my.connection.setRemoteDescription(answer);
    return my.connection.signalingState;
  }, answer);
  assert.equal(state, 'stable');
});

test('seed 002, result: PEER1 and PEER2 connect and exchange data in both directions', async () => {
  for (const page of [peer1, peer2]) {
    const theirs = await candidates(page, '<');
    await page.evaluate(async (/** @type {any[]} */ theirs) => {
      for (const candidate of theirs) await my.connection.addIceCandidate(candidate);
    }, theirs);
  }
  for (const page of [peer1, peer2])
    await Promise.all([logged(page, 'connected'), logged(page, 'open')]);
  await peer1.evaluate(() => my.channel.send('from PEER1'));
  await logged(peer2, 'message from PEER1');
  await peer2.evaluate(() => my.channel.send('from PEER2'));
  await logged(peer1, 'message from PEER2');
});
