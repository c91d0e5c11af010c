// @ts-check
/**
 * Five documents describe how peers of theirs meet. Here each is played from its first line to its
 * last, in Chromium, by clients that are written as it says (`support/devices.mjs`). The task list,
 * 002, has a file of its own: `documents-tasks.test.mjs`.
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

/**
 * What pages have, the client. Here it only has a type: the functions that name it run in pages.
 * @type {any}
 */
let device;

const TURN_SECRET = 'what-coturn-knows-too';
/** The end of a stream shows with the pings, one a second here, and is told after the grace. */
const NOTICED = 10_000;
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

/** A page of the server's origin. @param {string} name */
const open = (name) => pages.open(name, `${workerd.at.main.origin}/health`);

/** @param {string} room */
const present = async (room) => (await workerd.at.main.status(room)).peers;

let texts = 0;

/**
 * Sends a text over the data channel of a client, and waits until it has come.
 * @param {Page} from
 * @param {string} sender
 * @param {Page} to
 * @param {string} receiver
 */
async function talk(from, sender, to, receiver) {
  const text = `text ${(texts += 1)}.`;
  await from.evaluate(([id, text]) => device.send(id, text), [receiver, text]);
  await logged(to, `message ${sender} ${text}`);
  // On the sender's own channel, not in reply on the receiver's.
  assert.ok((await log(to)).includes(`message ${sender} ${text}`));
}

test('000: client A, client B, and a client C that learns who is left', async () => {
  const [a, b, c, d] = await Promise.all(['A', 'B', 'C', 'D'].map(open));
  const room = newRoom();
  /** @param {...string} peerIds */
  const welcome = (...peerIds) => `< ${JSON.stringify({ type: 'connected-peers', peerIds })}`;

  // A connects, learns that nobody is there, and does nothing.
  await start(a, 'Forum', room);
  await logged(a, welcome());
  // B connects, learns of A, makes a connection and a channel, and offers.
  await start(b, 'Forum', room);
  await logged(b, '< {"type":"connected-peers"');
  const [{ peerIds }] = await frames(b, '<');
  assert.equal(peerIds.length, 1);
  const [A] = peerIds;
  await logged(a, '< {"type":"offer","offer":');
  const [, { fromPeerId: B }] = await frames(a, '<');
  assert.notEqual(A, B);
  // A answers; both send each candidate as it is found, and at last that there are no more.
  await logged(b, '< {"type":"answer","answer":');
  for (const page of [a, b]) await logged(page, '< {"type":"icecandidate","candidate":null');
  await Promise.all([logged(a, `open ${B}`), logged(b, `open ${A}`)]);
  await talk(a, A, b, B);
  await talk(b, B, a, A);

  // Whatever either said was forwarded to the other as the document writes it, in its order.
  for (const [from, fromPeerId, to, toPeerId] of /** @type {[Page, string, Page, string][]} */ ([
    [b, B, a, A],
    [a, A, b, B],
  ])) {
    const said = await frames(from, '>');
    assert.equal(said[0].action, from === b ? 'forward-offer' : 'forward-answer');
    assert.ok(said.some(({ candidate }) => candidate?.candidate.includes('typ host')));
    const forwarded = said.map(({ action, toPeerId: to, ...rest }) => {
      assert.equal(to, toPeerId);
      return { type: action.slice('forward-'.length), ...rest, fromPeerId };
    });
    assert.deepEqual((await frames(to, '<')).slice(1), forwarded);
  }

  // C is connected with both of them.
  await start(c, 'Forum', room);
  await logged(c, welcome(A, B));
  for (const id of [A, B]) await logged(c, `open ${id}`);
  const C = (await frames(a, '<')).at(-1).fromPeerId;
  await talk(c, C, a, A);
  await talk(b, B, c, C);

  // B disconnects, and is on no list any more; nobody is told, and the two still talk.
  await b.evaluate(() => device.leave());
  await start(d, 'Forum', room);
  await logged(d, welcome(A, C));
  for (const id of [A, C]) await logged(d, `open ${id}`);
  await d.evaluate((B) => device.sendFrame({ action: 'forward-offer', offer: {}, toPeerId: B }), B);
  await logged(d, '< {"type":"error","code":"no-such-peer"');
  const kinds = (await frames(a, '<')).map(({ type }) => type);
  assert.deepEqual(new Set(kinds), new Set(['connected-peers', 'offer', 'icecandidate']));
  await talk(b, B, a, A);
});

test('001: users A and B, who at last both disconnect from the server and still talk', async () => {
  const [a, b] = await Promise.all(['A', 'B'].map(open));
  const room = newRoom();
  // A user is told its own id, and who is there; the others are told of it.
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

  // A clicks to request, B to accept.
  await a.evaluate((id) => device.request(id), B);
  await until(b, 'B may accept', (id) => device.offers.has(id), A);
  assert.equal((await frames(b, '>')).length, 0);
  await b.evaluate((id) => device.accept(id), A);
  await logged(a, `open ${B}`);
  await logged(b, `open ${A}`);
  await talk(a, A, b, B);
  await talk(b, B, a, A);

  // That took one frame each way, forwarded as it was said.
  const [[offer, ...rest], [answer, ...others]] = await Promise.all(
    [a, b].map((page) => frames(page, '>')),
  );
  assert.deepEqual([rest, others], [[], []]);
  assert.deepEqual([offer.fromId, offer.toId, offer.offer.type], [A, B, 'offer']);
  assert.deepEqual([answer.fromId, answer.toId, answer.answer.type], [B, A, 'answer']);
  assert.deepEqual((await frames(b, '<')).slice(2), [offer]);
  assert.deepEqual((await frames(a, '<')).slice(2), [answer]);

  // Both disconnect. Who is still there is told, and they need the server no more.
  await a.evaluate(() => device.leave());
  await logged(b, `< {"kind":"disconnected","id":"${A}"}`);
  await b.evaluate(() => device.leave());
  assert.equal(await present(room), 0);
  await talk(a, A, b, B);
  await talk(b, B, a, A);
});

test('003: the first is polite, the second offers, and they change when offers cross', async () => {
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

  // What the server does not know is passed through, to the one that is named.
  const payload = { anything: ['at', 'all', null, 1.5] };
  await ann.evaluate((payload) => device.signal('never heard of', 'bob', payload), payload);
  await logged(
    bob,
    `< {"type":"never heard of","from":"ann","payload":${JSON.stringify(payload)}}`,
  );

  // Offers cross: neither leaves before both are made. The polite caller becomes the callee.
  for (const page of [ann, bob]) {
    await hold(page);
    await page.evaluate(() => {
      device.from = device.log.length;
      device.peer.addTransceiver('audio');
    });
  }
  for (const page of [ann, bob])
    await until(page, 'an offer waits to leave', () =>
      device.log
        .slice(device.from)
        .some((/** @type {string} */ line) => line.startsWith('> {"type":"offer"')),
    );
  for (const page of [ann, bob]) await release(page);
  for (const page of [ann, bob])
    await until(page, 'both transceivers are agreed', () => {
      const agreed = (/** @type {any} */ { currentDirection }) => currentDirection !== null;
      return (
        device.peer.signalingState === 'stable' &&
        device.peer.getTransceivers().filter(agreed).length === 2
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

test('003: the health page of a room, in a browser', async () => {
  const page = await pages.open('a person', `${workerd.at.main.origin}/parties/main/example`);
  assert.equal(await page.innerText('h1'), 'example');
  assert.equal(await page.innerText('.peers'), 'Nobody is here yet.');
  const ann = await open('ann');
  await start(ann, 'Plain', 'example', 'ann');
  await logged(ann, '< {"type":"welcome"');
  await page.reload();
  assert.equal(await page.innerText('.peers'), 'One peer is here.');
});

test('004: peer1 and peer2, with requests and an event stream alone', async () => {
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
  // peer1 starts its stream, and is there.
  await peer1.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.getContext('2d');
    device.stream = canvas.captureStream();
  });
  await register(peer1);
  await listen(peer1);
  // peer2 registers; peer1 hears of it and offers, while peer2 has no event stream yet.
  await register(peer2);
  await logged(peer1, '< {"type":"new-peer","senderId":"peer2"}');
  await logged(peer1, '= 200 {"message":"Message sent"}');
  // When peer2 has one, the offer comes first.
  await listen(peer2);
  await logged(peer2, '< {"type":"offer"');
  const [offer] = await frames(peer2, '<');
  assert.equal(offer.type, 'offer');
  // It answers, both send their candidates as they are found, and the connection starts.
  await Promise.all([logged(peer1, 'open peer2'), logged(peer2, 'open peer1')]);
  await logged(peer2, 'track peer1 video');
  await talk(peer1, 'peer1', peer2, 'peer2');
  await talk(peer2, 'peer2', peer1, 'peer1');

  // Whatever either posted came to the other as the document writes it, in order, once.
  for (const [from, senderId, to, other] of /** @type {[Page, string, Page, string][]} */ ([
    [peer1, 'peer1', peer2, 'peer2'],
    [peer2, 'peer2', peer1, 'peer1'],
  ])) {
    await logged(to, '< {"type":"ice-candidate","payload":null'); // there are no more
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

  // The streams are closed, and the two still talk.
  await peer2.evaluate(() => device.events.close());
  await logged(peer1, '< {"type":"peer-left","senderId":"peer2"}', 1, NOTICED);
  await peer1.evaluate(() => device.events.close());
  await talk(peer1, 'peer1', peer2, 'peer2');
  await talk(peer2, 'peer2', peer1, 'peer1');
});
