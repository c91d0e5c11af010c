// @ts-check
/**
 * Tests the seed documents 000, 001, 003 and 004. The project started from five such documents,
 * each of which describes how two or more peers connect. The tests follow each document from
 * beginning to end, in Chromium, with a client that implements the document
 * (`support/devices.mjs`). Document 002 is a list of tasks, which `tasks.test.mjs` tests.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frames, log, logged, newRoom, start, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Coturn } from '../support/turn.mjs';
import { hold, release } from '../support/wire.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** The client. This global variable exists only in the pages. @type {any} */
let device;

const TURN_SECRET = 'what-coturn-knows-too';
/**
 * The timeout for `peer-left` in milliseconds. The server detects a closed stream at the next ping,
 * and then waits for the grace period.
 */
const LEAVE_TIMEOUT = 10_000;
const pages = new Pages();
/** @type {Coturn} */
let coturn;
/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;

useFixtures(pages, {
  start: async () => {
    coturn = await Coturn.start(TURN_SECRET);
    const turn = { TURN_URLS: coturn.url, TURN_SECRET, TURN_OPEN: 'true' };
    const main = { STUN_URLS: coturn.stun, ...turn, RECONNECT_GRACE: '1', PING_INTERVAL: '1' };
    workerd = await startWorkerd({ main }, { assets: true });
  },
  stop: () => Promise.all([workerd?.stop(), coturn?.stop()]),
});

/** Opens a page with the server's origin. @param {string} name */
const open = (name) => pages.open(name, `${workerd.at.main.origin}/health`);

/** @param {string} room */
const present = async (room) => (await workerd.at.main.status(room)).peers;

let texts = 0;

/**
 * Sends a message over the data channel of a client, and waits until the receiver has logged it.
 * @param {Page} from
 * @param {string} sender
 * @param {Page} to
 * @param {string} receiver
 */
async function talk(from, sender, to, receiver) {
  const text = `text ${(texts += 1)}.`;
  await from.evaluate(([id, text]) => device.send(id, text), [receiver, text]);
  await logged(to, `message ${sender} ${text}`);
  // The log entry of a message on the receiver's own channel has a suffix, and would not match.
  assert.ok((await log(to)).includes(`message ${sender} ${text}`));
}

test('seed 000 (forum): clients A, B and C connect, and client D receives the ids of the remaining peers', async () => {
  const [a, b, c, d] = await Promise.all(['A', 'B', 'C', 'D'].map(open));
  const room = newRoom();
  /** @param {...string} peerIds */
  const welcome = (...peerIds) => `< ${JSON.stringify({ type: 'connected-peers', peerIds })}`;

  // A connects and receives an empty array.
  await start(a, 'Forum', room);
  await logged(a, welcome());
  // B connects, receives the id of A, creates a connection with a channel, and sends an offer.
  await start(b, 'Forum', room);
  await logged(b, '< {"type":"connected-peers"');
  const [{ peerIds }] = await frames(b, '<');
  assert.equal(peerIds.length, 1);
  const [A] = peerIds;
  await logged(a, '< {"type":"offer","offer":');
  const [, { fromPeerId: B }] = await frames(a, '<');
  assert.notEqual(A, B);
  // A answers. Both send each gathered candidate, and then the end of candidates.
  await logged(b, '< {"type":"answer","answer":');
  for (const page of [a, b]) await logged(page, '< {"type":"icecandidate","candidate":null');
  await Promise.all([logged(a, `open ${B}`), logged(b, `open ${A}`)]);
  await talk(a, A, b, B);
  await talk(b, B, a, A);

  // The server has forwarded each frame to the other client, in the document's format and in order.
  for (const [from, fromPeerId, to, toPeerId] of /** @type {[Page, string, Page, string][]} */ ([
    [b, B, a, A],
    [a, A, b, B],
  ])) {
    const sent = await frames(from, '>');
    assert.equal(sent[0].action, from === b ? 'forward-offer' : 'forward-answer');
    assert.ok(sent.some(({ candidate }) => candidate?.candidate.includes('typ host')));
    const forwarded = sent.map(({ action, toPeerId: to, ...rest }) => {
      assert.equal(to, toPeerId);
      return { type: action.slice('forward-'.length), ...rest, fromPeerId };
    });
    assert.deepEqual((await frames(to, '<')).slice(1), forwarded);
  }

  // C connects to A and B.
  await start(c, 'Forum', room);
  await logged(c, welcome(A, B));
  for (const id of [A, B]) await logged(c, `open ${id}`);
  const C = (await frames(a, '<')).at(-1).fromPeerId;
  await talk(c, C, a, A);
  await talk(b, B, c, C);

  // B disconnects from the server. Later arrays of ids do not contain B, and A receives no frame
  // about the disconnect. A and B can still talk, because their peer connection does not need the
  // server.
  await b.evaluate(() => device.leave());
  await start(d, 'Forum', room);
  await logged(d, welcome(A, C));
  for (const id of [A, C]) await logged(d, `open ${id}`);
  await d.evaluate((B) => device.sendFrame({ action: 'forward-offer', offer: {}, toPeerId: B }), B);
  await logged(d, '< {"type":"error","code":"no-such-peer"');
  const types = (await frames(a, '<')).map(({ type }) => type);
  assert.deepEqual(new Set(types), new Set(['connected-peers', 'offer', 'icecandidate']));
  await talk(b, B, a, A);
});

test('seed 001 (lobby): users A and B connect, and still talk after both leave the server', async () => {
  const [a, b] = await Promise.all(['A', 'B'].map(open));
  const room = newRoom();
  // A new user receives its own id and the ids of the peers in the room. The peers receive the id
  // of the new user.
  await start(a, 'Lobby', room);
  await logged(a, '< {"kind":"self-connected"');
  await start(b, 'Lobby', room);
  await logged(b, '< {"kind":"connected"');
  const [[{ id: A }], [{ id: B }]] = await Promise.all([frames(a, '<'), frames(b, '<')]);
  assert.deepEqual(await frames(b, '<'), [
    { kind: 'self-connected', id: B },
    { kind: 'connected', id: A },
  ]);
  await logged(a, `< {"kind":"connected","id":"${B}"}`);

  // A clicks to request a connection, and B clicks to accept the request.
  await a.evaluate((id) => device.request(id), B);
  await until(b, 'B may accept', (id) => device.offers.has(id), A);
  assert.equal((await frames(b, '>')).length, 0);
  await b.evaluate((id) => device.accept(id), A);
  await logged(a, `open ${B}`);
  await logged(b, `open ${A}`);
  await talk(a, A, b, B);
  await talk(b, B, a, A);

  // The connection needed one frame in each direction, which the server forwarded unchanged.
  const [[offer, ...rest], [answer, ...others]] = await Promise.all(
    [a, b].map((page) => frames(page, '>')),
  );
  assert.deepEqual([rest, others], [[], []]);
  assert.deepEqual([offer.fromId, offer.toId, offer.offer.type], [A, B, 'offer']);
  assert.deepEqual([answer.fromId, answer.toId, answer.answer.type], [B, A, 'answer']);
  assert.deepEqual((await frames(b, '<')).slice(2), [offer]);
  assert.deepEqual((await frames(a, '<')).slice(2), [answer]);

  // A disconnects, and B receives a frame about the disconnect. After B disconnects, too, both can
  // still talk.
  await a.evaluate(() => device.leave());
  await logged(b, `< {"kind":"disconnected","id":"${A}"}`);
  await b.evaluate(() => device.leave());
  assert.equal(await present(room), 0);
  await talk(a, A, b, B);
  await talk(b, B, a, A);
});

test('seed 003 (native): the server assigns roles by order of joining, and peers resolve glare', async () => {
  const [ann, bob] = await Promise.all(['ann', 'bob'].map(open));
  const room = newRoom();
  await start(ann, 'Perfect', room, 'ann');
  await logged(ann, '< {"type":"welcome"');
  await start(bob, 'Perfect', room, 'bob');
  await Promise.all([logged(ann, 'open bob'), logged(bob, 'open ann')]);
  assert.deepEqual((await frames(bob, '<'))[0].peers, [{ id: 'ann', polite: false }]);
  assert.deepEqual((await frames(ann, '<'))[1], { type: 'peer-joined', id: 'bob', polite: true });
  const [[first], [reply]] = await Promise.all([frames(bob, '>'), frames(ann, '>')]);
  assert.deepEqual([first.type, reply.type], ['offer', 'answer']);

  // The server forwards a signal of an unknown type to the addressed peer.
  const payload = { anything: ['at', 'all', null, 1.5] };
  await ann.evaluate((payload) => device.signal('never heard of', 'bob', payload), payload);
  await logged(
    bob,
    `< {"type":"never heard of","from":"ann","payload":${JSON.stringify(payload)}}`,
  );

  // Each peer creates an offer before it receives the offer of the other peer. The polite peer
  // rolls its offer back.
  for (const page of [ann, bob]) {
    await hold(page);
    await page.evaluate(() => {
      device.from = device.log.length;
      device.peer.addTransceiver('audio');
    });
  }
  for (const page of [ann, bob])
    await until(page, 'an offer is held back', () =>
      device.log
        .slice(device.from)
        .some((/** @type {string} */ line) => line.startsWith('> {"type":"offer"')),
    );
  for (const page of [ann, bob]) await release(page);
  for (const page of [ann, bob])
    await until(page, 'both transceivers are negotiated', () => {
      const negotiated = (/** @type {any} */ { currentDirection }) => currentDirection !== null;
      return (
        device.peer.signalingState === 'stable' &&
        device.peer.getTransceivers().filter(negotiated).length === 2
      );
    });
  const states = (/** @type {Page} */ page) =>
    page.evaluate(() =>
      device.log
        .slice(device.from)
        .filter((/** @type {string} */ line) => line.startsWith('state '))
        .map((/** @type {string} */ line) => line.slice('state '.length)),
    );
  const [polite, impolite] = await Promise.all([ann, bob].map(states));
  assert.deepEqual(polite.slice(0, 3), ['have-local-offer', 'stable', 'have-remote-offer']);
  assert.deepEqual(impolite.slice(0, 2), ['have-local-offer', 'stable']);
  await ann.evaluate(() => device.channel.send('after all'));
  await logged(bob, 'message ann after all');
  await bob.evaluate(() => device.channel.send('still here'));
  await logged(ann, 'message bob still here');
});

test('seed 003 (native): the status page of a room shows the number of peers', async () => {
  const page = await pages.open('a person', `${workerd.at.main.origin}/parties/main/example`);
  assert.equal(await page.innerText('h1'), 'example');
  assert.equal(await page.innerText('.peers'), 'Nobody is here yet.');
  const ann = await open('ann');
  await start(ann, 'Plain', 'example', 'ann');
  await logged(ann, '< {"type":"welcome"');
  await page.reload();
  assert.equal(await page.innerText('.peers'), 'One peer is here.');
});

test('seed 004 (HTTP): peer1 and peer2 connect over HTTP requests and event streams', async () => {
  const room = newRoom();
  const [peer1, peer2] = await Promise.all(['peer1', 'peer2'].map(open));
  /** @param {Page} page */
  const register = async (page) => {
    await page.evaluate(() => device.register());
    const answer = '= 200 {"message":"session registered successfully"';
    assert.ok((await log(page)).at(-1)?.startsWith(answer), `${await log(page)}`);
  };
  /** @param {Page} page */
  const listen = async (page) => {
    await page.evaluate(() => device.listen());
    await until(page, 'its stream is open', () => device.events.readyState === EventSource.OPEN);
  };

  for (const [page, id] of /** @type {[Page, string][]} */ ([
    [peer1, 'peer1'],
    [peer2, 'peer2'],
  ])) {
    await start(page, 'Http', room, id);
    const { urls, ...credentials } = await page.evaluate(() => device.findServers());
    assert.deepEqual(urls, [coturn.stun, coturn.url]);
    assert.deepEqual(Object.keys(credentials).sort(), ['credential', 'username']);
  }
  // peer1 joins by registering and opening its event stream.
  await peer1.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.getContext('2d');
    device.stream = canvas.captureStream();
  });
  await register(peer1);
  await listen(peer1);
  // peer2 registers. peer1 receives `new-peer`, and sends an offer before peer2 opens its stream.
  await register(peer2);
  await logged(peer1, '< {"type":"new-peer","senderId":"peer2"}');
  await logged(peer1, '= 200 {"message":"Message sent"}');
  // peer2 opens its stream. The offer is the first event.
  await listen(peer2);
  await logged(peer2, '< {"type":"offer"');
  const [offer] = await frames(peer2, '<');
  assert.equal(offer.type, 'offer');
  // peer2 answers, both send their gathered candidates, and the connection opens.
  await Promise.all([logged(peer1, 'open peer2'), logged(peer2, 'open peer1')]);
  await logged(peer2, 'track peer1 video');
  await talk(peer1, 'peer1', peer2, 'peer2');
  await talk(peer2, 'peer2', peer1, 'peer1');

  // Each peer has received every message of the other once, in the document's format and in order.
  for (const [from, senderId, to, other] of /** @type {[Page, string, Page, string][]} */ ([
    [peer1, 'peer1', peer2, 'peer2'],
    [peer2, 'peer2', peer1, 'peer1'],
  ])) {
    // The payload null means the end of candidates.
    await logged(to, '< {"type":"ice-candidate","payload":null');
    const posted = await frames(from, '>');
    assert.equal(posted[0].type, from === peer1 ? 'offer' : 'answer');
    const expected = posted.map(({ target, type, payload }) => {
      assert.equal(target, other);
      return { type, payload, senderId };
    });
    const came = (await frames(to, '<')).filter(({ type }) => !['ping', 'new-peer'].includes(type));
    assert.deepEqual(came, expected);
    await logged(from, '= 200 {"message":"Message sent"}', posted.length);
  }

  // Both close their event streams, and can still talk.
  await peer2.evaluate(() => device.events.close());
  await logged(peer1, '< {"type":"peer-left","senderId":"peer2"}', 1, LEAVE_TIMEOUT);
  await peer1.evaluate(() => device.events.close());
  await talk(peer1, 'peer1', peer2, 'peer2');
  await talk(peer2, 'peer2', peer1, 'peer1');
});
