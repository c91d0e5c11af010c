// @ts-check
/** What `Room` promises an application, with real connections. */
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

test('a track comes with the peer who sends it', async () => {
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

test('who was there first has a track at once, and leaves the first offer to the newcomer', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await ann.evaluate(() => {
    const { stream } = new AudioContext().createMediaStreamDestination();
    const { room, log } = /** @type {any} */ (globalThis);
    room.addEventListener('peer', (/** @type {any} */ { detail: { peer } }) => {
      peer.connection.addEventListener('negotiationneeded', () => log.push('asked to offer'));
      peer.connection.addTrack(stream.getTracks()[0], stream);
    });
  });
  // The newcomer's offer is late.
  await hold(bob);
  await join(bob, room, { id: 'bob' });
  await logged(ann, 'asked to offer');
  // As long as an offer of ann's would take.
  await ann.evaluate(() => {
    const connection = new RTCPeerConnection();
    connection.addTransceiver('audio');
    return connection.setLocalDescription();
  });
  await release(bob);
  await logged(bob, 'track ann');
  await connected(ann, 'bob');
  const offers = await ann.evaluate(() =>
    /** @type {any} */ (globalThis).trace.flatMap((/** @type {any} */ { kind, way }) =>
      kind === 'offer' ? [way] : [],
    ),
  );
  assert.deepEqual(offers.slice(0, 2), ['in', 'out']);
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
  await hold(bob, 'in');
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
  const [ann, bob] = await pages.pair();
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
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  assert.equal(await joinAndSend(bob, room, ['small', 'x'.repeat(2 ** 21), 'after']), 'taken');
  await logged(bob, 'error unsent');
  await logged(ann, 'message bob after');
  const heard = (await log(ann)).filter((line) => line.startsWith('message'));
  assert.deepEqual(heard, ['message bob small', 'message bob after']);
});

test('signals of an application go to one or to all, and what cannot arrive is told', async () => {
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
      return /** @type {Error} */ (error).name;
    }
  });
  assert.equal(refused, 'TypeError');
});

test('signals that are nonsense are reported and disturb nobody, not even the sender', async () => {
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
    const ann = await pages.open('ann');
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

test('nine people: tracks come to who is late, go, come again, and nobody reconnects', async () => {
  // All in one page: what is asked is whether the negotiations come out right.
  const page = await pages.open('all');
  await page.evaluate(async (name) => {
    const { Room } = await import(/** @type {string} */ ('/room.js'));
    const context = new AudioContext();
    /** @type {any[]} */
    const people = [];
    const enter = () => {
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
    Object.assign(globalThis, { people, enter });
    for (let count = 1; count <= 8; count += 1) enter();
  }, newRoom());
  const all = (/** @type {[number, number]} */ [count, silent]) => {
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
    all,
    /** @type {[number, number]} */ ([8, -1]),
    60_000,
  );
  await page.evaluate(() => /** @type {any} */ (globalThis).enter());
  await until(page, 'nine hear each other', all, /** @type {[number, number]} */ ([9, -1]), 60_000);
  await page.evaluate(() => {
    for (const peer of /** @type {any} */ (globalThis).people[3].room.peers.values()) {
      const { connection } = peer;
      for (const sender of connection.getSenders()) connection.removeTrack(sender);
    }
  });
  await until(page, 'one is silent', all, /** @type {[number, number]} */ ([9, 3]), 60_000);
  await page.evaluate(() => {
    const { room, stream } = /** @type {any} */ (globalThis).people[3];
    for (const { connection } of room.peers.values())
      connection.addTrack(stream.getTracks()[0], stream);
  });
  await until(page, 'nine hear each other', all, /** @type {[number, number]} */ ([9, -1]), 60_000);
  const troubles = await page.evaluate(() =>
    /** @type {any} */ (globalThis).people.map((/** @type {any} */ { troubles }) => troubles),
  );
  assert.deepEqual(troubles, Array(9).fill(0));
});

test('who keeps id and key is the same person after a reload, and nobody else can be', async () => {
  const [ann, bob] = await pages.pair();
  // As README has it.
  const whoami = () =>
    ann.evaluate(() => {
      const random = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
      const me = JSON.parse(sessionStorage.getItem('me') ?? 'null') ?? {
        id: random(),
        key: random(),
      };
      sessionStorage.setItem('me', JSON.stringify(me));
      return me;
    });
  const me = await whoami();
  const room = newRoom();
  await join(ann, room, me);
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob' });
  await connected(bob, me.id);
  await ann.reload();
  const again = await whoami();
  assert.deepEqual(again, me);
  await join(ann, room, again);
  await connected(ann, 'bob');
  await connected(bob, me.id);
  await talk(bob, 'bob', ann, me.id, 'the same');
  const comings = (await log(bob)).filter((line) => /^(peer|leave) /.test(line));
  assert.deepEqual(comings, [`peer ${me.id}`, `leave ${me.id}`, `peer ${me.id}`]);
  const eve = await pages.open('eve');
  await join(eve, room, { id: me.id });
  await logged(eve, 'close 4009');
});

test('over https it is the same', async () => {
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
    const named = await ann.evaluate(async () => (await fetch('/ice-servers')).status);
    assert.equal(named, 200);
  } finally {
    await secure.stop();
  }
});
