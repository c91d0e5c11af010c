// @ts-check
/** Tests the API of `Room` with real connections in Chromium. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { connected, join, log, logged, meet, newRoom, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { hold, release } from '../support/wire.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages(dev);
useFixtures(dev, pages);

test('a track event names the peer that sends the track', async () => {
  const [ann, bob] = await pages.pair();
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

test('a peer that adds a track leaves the first offer to the newcomer', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await ann.evaluate(() => {
    const { stream } = new AudioContext().createMediaStreamDestination();
    const { room, log } = /** @type {any} */ (globalThis);
    room.addEventListener('peer', (/** @type {any} */ { detail: { peer } }) => {
      peer.connection.addEventListener('negotiationneeded', () => log.push('negotiationneeded'));
      peer.connection.addTrack(stream.getTracks()[0], stream);
    });
  });
  // Holds back the newcomer's offer.
  await hold(bob);
  await join(bob, room, { id: 'bob' });
  await logged(ann, 'negotiationneeded');
  // Waits for as long as ann would need to create an offer.
  await ann.evaluate(() => {
    const connection = new RTCPeerConnection();
    connection.addTransceiver('audio');
    return connection.setLocalDescription();
  });
  await release(bob);
  await logged(bob, 'track ann');
  await connected(ann, 'bob');
  const offers = await ann.evaluate(() =>
    /** @type {any} */ (globalThis).trace.flatMap((/** @type {any} */ { type, direction }) =>
      type === 'offer' ? [direction] : [],
    ),
  );
  assert.deepEqual(offers.slice(0, 2), ['in', 'out']);
});

/**
 * Lets bob join. Sends `texts` in the listener of his `peer` event, before the channel is open.
 * @param {Page} bob
 * @param {string} room
 * @param {string[]} texts
 * @returns {Promise<string>} `sent`, or the name of the error
 */
async function joinAndSend(bob, room, texts) {
  // Holds `welcome` back until the listener is registered.
  await hold(bob, 'in');
  await join(bob, room, { id: 'bob' });
  return bob.evaluate(
    (texts) =>
      new Promise((resolve) => {
        const { room, wire } = /** @type {any} */ (globalThis);
        room.addEventListener('peer', (/** @type {any} */ { detail: { peer } }) => {
          try {
            for (const text of texts) peer.send(text);
            resolve('sent');
          } catch (error) {
            resolve(/** @type {Error} */ (error).name);
          }
        });
        wire.release('in');
      }),
    texts,
  );
}

test('send() queues messages in order until the channel is open, up to 16 MiB', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  const texts = Array.from({ length: 100 }, (_, i) => `n${i}.`);
  assert.equal(await joinAndSend(bob, room, texts), 'sent');
  await logged(ann, 'message bob', 100);
  const heard = (await log(ann)).filter((line) => line.startsWith('message'));
  assert.deepEqual(
    heard,
    texts.map((text) => `message bob ${text}`),
  );
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.close());
  await logged(ann, 'leave bob');
});

test('a full queue refuses another message, and is sent when the channel opens', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  const large = 'x'.repeat(2 ** 24 + 1);
  assert.equal(await joinAndSend(bob, room, ['small', large, 'refused']), 'OperationError');
  await logged(ann, 'message bob xxx', 1, 15_000);
  const heard = (await log(ann)).filter((line) => line.startsWith('message'));
  assert.deepEqual(heard, ['message bob small', `message bob ${large}`]);
});

test('signal() sends to one peer or to all, and an unknown receiver is reported', async () => {
  const [ann, bob] = await pages.pair();
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
      return String(error);
    }
  });
  assert.match(String(refused), /^TypeError: signal type "offer" is reserved for the library/);
});

test('invalid options throw errors that quote the value', async () => {
  const page = await pages.open('ann');
  const messages = await page.evaluate(async () => {
    const { Room } = await import(/** @type {string} */ ('/room.js'));
    const message = (/** @type {unknown[]} */ ...args) => {
      try {
        return `no error, but a room: ${new Room(...args)}`;
      } catch (error) {
        return String(error);
      }
    };
    return {
      name: message('..'),
      star: message('*'),
      long: message('x'.repeat(129)),
      surrogate: message('\ud800'),
      missing: message(undefined),
      nothing: message(null, {}),
      text: message('demo', 'localhost:1999'),
      id: message('demo', { id: 'Ann Lee' }),
      token: message('demo', { token: 'secret ticket' }),
      connect: message('demo', { connect: 'sometimes' }),
      policy: message('demo', { iceTransportPolicy: 'public' }),
      misspelt: message('demo', { iceserver: [] }),
      host: message('demo', { host: new URL('http://localhost:1999') }),
      key: message('demo', { key: 7 }),
      iceServers: message('demo', { iceServers: { urls: 'stun:stun.example' } }),
      pace: message('demo', { pace: true }),
    };
  });
  assert.match(messages.name, /^RangeError: invalid room name "\.\.": expected 1 to 128 bytes/);
  assert.match(messages.star, /^RangeError: invalid room name "\*": .* and "\*"$/);
  assert.match(messages.long, /^RangeError: invalid room name "xxx/);
  assert.match(messages.surrogate, /^RangeError: invalid room name "/);
  assert.match(messages.missing, /^RangeError: invalid room name ""/);
  assert.match(messages.nothing, /^RangeError: invalid room name ""/);
  assert.equal(messages.text, 'TypeError: invalid options "localhost:1999": expected an object');
  assert.match(messages.id, /^RangeError: invalid peer id "Ann Lee": expected 1 to 64 characters/);
  assert.match(messages.token, /^RangeError: invalid token: expected a JWT/);
  assert.doesNotMatch(messages.token, /secret/);
  assert.match(
    messages.connect,
    /^RangeError: invalid option connect "sometimes": expected "always"/,
  );
  assert.match(
    messages.policy,
    /^RangeError: invalid option iceTransportPolicy "public": expected "all"/,
  );
  assert.match(
    messages.misspelt,
    /^TypeError: unknown option "iceserver": expected one of host, id, key, token, iceServers, /,
  );
  for (const [name, actual, expected] of [
    ['host', 'object', 'string'],
    ['key', 'number', 'string'],
    ['iceServers', 'object', 'array'],
    ['pace', 'boolean', 'function'],
  ])
    assert.equal(
      /** @type {Record<string, string>} */ (messages)[name],
      `TypeError: the option ${name} has the type ${actual}: expected ${expected}`,
    );
});

test('both Unicode forms of a name are one room, for the library and the page', async () => {
  const composed = `caf\u00e9 ${newRoom()}`;
  const decomposed = composed.normalize('NFD');
  const [ann, bob] = await pages.pair();
  await join(ann, decomposed, { id: 'ann' });
  await join(bob, composed, { id: 'bob' });
  await connected(ann, 'bob');
  assert.equal(await ann.evaluate(() => /** @type {any} */ (globalThis).room.name), composed);
  const eve = await pages.open('eve', `/?room=${encodeURIComponent(decomposed)}&id=eve`);
  await connected(bob, 'ann', 'eve');
  assert.equal(await eve.locator('#room-title').textContent(), composed);
});

test('malformed signals are reported and disturb no connection', async () => {
  const [ann, bob] = await pages.pair();
  await meet(ann, bob);
  const eve = await pages.open('eve');
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
    // The candidate is queued until the first description is set.
    send('candidate', { candidate: 'nonsense' });
    send('answer', 7);
    send('offer', { type: 'offer', sdp: 'v=0\r\nnonsense' });
    send('offer', offer);
    await answer;
  }, room);
  await logged(ann, 'error negotiation', 2);
  await talk(ann, 'ann', bob, 'bob', 'still connected');
});

test('the library works when a page of another origin imports it', async () => {
  const page = '<!doctype html><title>another origin</title>';
  const otherServer = http.createServer((_, response) =>
    response.setHeader('Content-Type', 'text/html').end(page),
  );
  await new Promise((resolve) => otherServer.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (otherServer.address());
  try {
    const room = newRoom();
    const ann = await pages.open('ann');
    const bob = await pages.open('bob', `http://127.0.0.1:${port}`);
    await join(ann, room, { id: 'ann' });
    await logged(ann, 'state joined');
    await join(bob, room, { id: 'bob' }, `${dev.origin}/room.js`);
    await connected(bob, 'ann');
    await talk(bob, 'bob', ann, 'ann', 'from another origin');
    const eve = await pages.open('eve', `http://127.0.0.1:${port}`);
    await join(eve, room, { id: 'eve', host: `127.0.0.1:${dev.port}` }, `${dev.origin}/room.js`);
    await connected(eve, 'ann', 'bob');
  } finally {
    otherServer.closeAllConnections();
    otherServer.close();
  }
});

test('nine peers add and remove tracks without losing a connection', async () => {
  // All peers are in one page, because this test covers only the negotiations.
  const page = await pages.open('all');
  await page.evaluate(async (name) => {
    const { Room } = await import(/** @type {string} */ ('/room.js'));
    const context = new AudioContext();
    /** @type {any[]} */
    const people = [];
    const addPerson = () => {
      const { stream } = context.createMediaStreamDestination();
      const room = new Room(name, { iceServers: [], id: `p${people.length}` });
      const person = { room, stream, connections: new Map(), tracks: new Map(), troubles: 0 };
      room.addEventListener('peer', (/** @type {any} */ { detail: { peer } }) => {
        person.connections.set(peer.id, peer.connection);
        peer.connection.addTrack(stream.getTracks()[0], stream);
      });
      room.addEventListener('track', (/** @type {any} */ { detail: { peer, track, streams } }) => {
        person.tracks.set(peer.id, track);
        streams[0].onremovetrack = () => person.tracks.delete(peer.id);
      });
      for (const trouble of ['leave', 'error', 'close'])
        room.addEventListener(trouble, () => (person.troubles += 1));
      people.push(person);
    };
    Object.assign(globalThis, { people, addPerson });
    for (let count = 1; count <= 8; count += 1) addPerson();
  }, newRoom());
  const allSettled = (/** @type {[number, number]} */ [count, silent]) => {
    const { people } = /** @type {any} */ (globalThis);
    const settled = (/** @type {any} */ { room, connections, tracks }, /** @type {number} */ i) =>
      [...room.peers.values()].filter(
        (peer) =>
          peer.ready &&
          peer.connection === connections.get(peer.id) &&
          peer.connection.signalingState === 'stable',
      ).length ===
        count - 1 && tracks.size === (silent >= 0 && silent !== i ? count - 2 : count - 1);
    return people.length === count && people.every(settled);
  };
  await until(
    page,
    'eight hear each other',
    allSettled,
    /** @type {[number, number]} */ ([8, -1]),
    60_000,
  );
  await page.evaluate(() => /** @type {any} */ (globalThis).addPerson());
  await until(
    page,
    'nine hear each other',
    allSettled,
    /** @type {[number, number]} */ ([9, -1]),
    60_000,
  );
  await page.evaluate(() => {
    for (const peer of /** @type {any} */ (globalThis).people[3].room.peers.values()) {
      const { connection } = peer;
      for (const sender of connection.getSenders()) connection.removeTrack(sender);
    }
  });
  await until(page, 'one is silent', allSettled, /** @type {[number, number]} */ ([9, 3]), 60_000);
  await page.evaluate(() => {
    const { room, stream } = /** @type {any} */ (globalThis).people[3];
    for (const { connection } of room.peers.values())
      connection.addTrack(stream.getTracks()[0], stream);
  });
  await until(
    page,
    'nine hear each other',
    allSettled,
    /** @type {[number, number]} */ ([9, -1]),
    60_000,
  );
  const troubles = await page.evaluate(() =>
    /** @type {any} */ (globalThis).people.map((/** @type {any} */ { troubles }) => troubles),
  );
  assert.deepEqual(troubles, Array(9).fill(0));
});

test('peers connect over https', async () => {
  const secure = new Dev({}, 'https');
  await secure.start();
  try {
    const options = { ignoreHTTPSErrors: true };
    const [ann, bob] = await Promise.all([
      pages.open('ann', secure.origin, options),
      pages.open('bob', secure.origin, options),
    ]);
    await meet(ann, bob);
    await talk(ann, 'ann', bob, 'bob', 'hello');
    const status = await ann.evaluate(async () => (await fetch('/ice-servers')).status);
    assert.equal(status, 200);
  } finally {
    await secure.stop();
  }
});

test('a page that uses TURN only learns that the server has no TURN server', async () => {
  const ann = await pages.open('ann');
  await join(ann, newRoom(), { iceServers: undefined, iceTransportPolicy: 'relay' });
  await logged(ann, 'error ice-servers');
});

test('a room that is closed by a listener of `peer` stays closed', async () => {
  const [ann, bob] = await pages.pair();
  const cat = await pages.open('cat');
  const room = newRoom();
  for (const [page, id] of /** @type {const} */ ([
    [ann, 'ann'],
    [bob, 'bob'],
  ])) {
    await join(page, room, { id });
    await logged(page, 'state joined');
  }
  await hold(cat, 'in');
  await join(cat, room, { id: 'cat' });
  await cat.evaluate(() => {
    const { room, wire } = /** @type {any} */ (globalThis);
    room.addEventListener('peer', () => room.close());
    wire.release('in');
  });
  await logged(cat, 'close 1000');
  const { state, peers, entries } = await cat.evaluate(() => {
    const { room, log } = /** @type {any} */ (globalThis);
    return { state: room.state, peers: room.peers.size, entries: log };
  });
  assert.deepEqual([state, peers], ['closed', 0]);
  assert.equal(entries.filter((/** @type {string} */ line) => line.startsWith('peer')).length, 1);
});
