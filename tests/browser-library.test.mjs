// @ts-check
/** What `Room` promises an application, with real connections. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import { connected, join, log, logged, meet, newRoom, Pages, talk } from './support/browser.mjs';
import { Dev } from './support/dev.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages();

before(() => Promise.all([dev.start(), pages.launch()]));
afterEach(() => pages.closeAll());
after(() => Promise.all([dev.stop(), pages.quit()]));

/** Two pages without a room yet. @returns {Promise<[Page, Page]>} */
function pair() {
  return Promise.all([pages.open('ann', dev.origin), pages.open('bob', dev.origin)]);
}

test('a track comes with the peer who sends it', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  await ann.evaluate(() => {
    const { stream } = new AudioContext().createMediaStreamDestination();
    /** @type {any} */ (globalThis).room.peers
      .get('bob')
      .connection.addTrack(stream.getTracks()[0], stream);
  });
  await logged(bob, 'track ann');
  await connected(bob, 'ann');
});

/**
 * Bob joins, and sends each text as soon as he knows of ann, long before a channel is open.
 * @param {Page} bob
 * @param {string} room
 * @param {string[]} texts
 * @returns {Promise<string>} how it went: `taken`, or the name of the error
 */
async function joinAndSend(bob, room, texts) {
  // The welcome is kept back until the listener is there.
  await bob.evaluate(() => {
    /** @type {any} */ (globalThis).wire.holding.in = true;
  });
  await join(bob, room, { id: 'bob' });
  return bob.evaluate(
    (texts) =>
      new Promise((resolve) => {
        const { room, wire } = /** @type {any} */ (globalThis);
        room.addEventListener('peer', (/** @type {any} */ { detail: { peer } }) => {
          try {
            for (const text of texts) peer.send(text);
            resolve('taken');
          } catch (error) {
            resolve(/** @type {Error} */ (error).name);
          }
        });
        wire.release('in');
      }),
    texts,
  );
}

test('what is sent before the channel is open waits for it, in order, up to a limit', async () => {
  const [ann, bob] = await pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  const texts = Array.from({ length: 65 }, (_, i) => `n${i}.`);
  assert.equal(await joinAndSend(bob, room, texts), 'OperationError');
  await logged(ann, 'message bob', 64);
  const heard = (await log(ann)).filter((line) => line.startsWith('message'));
  assert.deepEqual(
    heard,
    texts.slice(0, 64).map((text) => `message bob ${text}`),
  );
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.close());
  await logged(ann, 'leave bob');
});

test('what waited and is too large for the channel is reported, and holds nothing up', async () => {
  const [ann, bob] = await pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  assert.equal(await joinAndSend(bob, room, ['small', 'x'.repeat(2 ** 21), 'after']), 'taken');
  await logged(bob, 'error unsent');
  await logged(ann, 'message bob after');
  const heard = (await log(ann)).filter((line) => line.startsWith('message'));
  assert.deepEqual(heard, ['message bob small', 'message bob after']);
});

test('signals of an application go to one or to all, and what cannot be delivered is told', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  const sent = await ann.evaluate(() => {
    const { room } = /** @type {any} */ (globalThis);
    return [
      room.signal('wave', { hand: 'left' }, 'bob'),
      room.signal('bell'),
      room.signal('wave', 1, 'nobody'),
    ];
  });
  assert.deepEqual(sent, [true, true, true]);
  await logged(bob, 'signal ann wave {"hand":"left"}');
  await logged(bob, 'signal ann bell');
  await logged(ann, 'error no-such-peer');
  const refused = await ann.evaluate(() => {
    try {
      /** @type {any} */ (globalThis).room.signal('offer', {}, 'bob');
    } catch (error) {
      return /** @type {Error} */ (error).name;
    }
  });
  assert.equal(refused, 'TypeError');
});

test('signals that are nonsense are reported and disturb nothing, not even their sender', async () => {
  const [ann, bob] = await pair();
  await meet(ann, bob);
  const eve = await pages.open('eve', dev.origin);
  const room = await ann.evaluate(() => /** @type {any} */ (globalThis).room.name);
  await eve.evaluate(async (room) => {
    const connection = new RTCPeerConnection();
    connection.createDataChannel('chat');
    const offer = await connection.createOffer();
    const socket = new WebSocket(
      `${location.origin.replace('http', 'ws')}/parties/main/${room}?_pk=eve`,
    );
    const send = (/** @type {string} */ type, /** @type {unknown} */ payload) =>
      socket.send(JSON.stringify({ type, to: 'ann', payload }));
    await new Promise((resolve) => (socket.onopen = resolve));
    const answer = new Promise((resolve) => {
      socket.onmessage = ({ data }) => JSON.parse(data).type === 'answer' && resolve(undefined);
    });
    send('candidate', { candidate: 'nonsense' }); // kept until there is something to try it with
    send('answer', 7);
    send('offer', { type: 'offer', sdp: 'v=0\r\nnonsense' });
    send('offer', offer);
    await answer;
  }, room);
  await logged(ann, 'error negotiation', 2);
  await talk(ann, 'ann', bob, 'bob', 'undisturbed');
});

test('the library works imported from another origin, with nothing but its address', async () => {
  const page = '<!doctype html><title>elsewhere</title>';
  const elsewhere = http.createServer((_, response) =>
    response.setHeader('Content-Type', 'text/html').end(page),
  );
  await new Promise((resolve) => elsewhere.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (elsewhere.address());
  try {
    const room = newRoom();
    const ann = await pages.open('ann', dev.origin);
    const bob = await pages.open('bob', `http://127.0.0.1:${port}`);
    await join(ann, room, { id: 'ann' });
    await logged(ann, 'state joined');
    await join(bob, room, { id: 'bob' }, `${dev.origin}/room.js`);
    await connected(bob, 'ann');
    await talk(bob, 'bob', ann, 'ann', 'from elsewhere');
    const eve = await pages.open('eve', `http://127.0.0.1:${port}`);
    await join(eve, room, { id: 'eve', host: `127.0.0.1:${dev.port}` }, `${dev.origin}/room.js`);
    await connected(eve, 'ann', 'bob');
  } finally {
    elsewhere.closeAllConnections();
    elsewhere.close();
  }
});
