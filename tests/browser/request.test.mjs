// @ts-check
/** In rooms with `connect: "on-request"`, peers connect only after both sides agree. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { hold, lose, lost, release } from '../support/wire.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages(dev);
/** The network between ann and the server. */
const network = new TcpProxy(dev);
useFixtures(dev, pages, network);

/**
 * Opens pages for ann and bob in one room, without a connection. Ann joins first, and reaches the
 * server through `network`.
 * @param {{ ann?: string, bob?: string }} [connect]
 */
async function lobby(connect = {}) {
  const [ann, bob] = await Promise.all([pages.open('ann', network.origin), pages.open('bob')]);
  const room = newRoom();
  await join(ann, room, optionsOf('ann', connect.ann));
  await logged(ann, 'state joined');
  await join(bob, room, optionsOf('bob', connect.bob));
  await logged(ann, 'peer bob');
  await logged(bob, 'peer ann');
  return { ann, bob, room };
}

/** Returns the options with which a peer joins a room. @param {string} id */
const optionsOf = (id, connect = 'on-request') => ({ id, key: `secret of ${id}`, connect });

/**
 * Calls a method of a peer.
 * @param {Page} page
 * @param {string} id
 * @param {'request' | 'accept' | 'decline' | 'cancel'} method
 */
const call = (page, id, method) =>
  page.evaluate(
    ([id, method]) => /** @type {any} */ (globalThis).room.peers.get(id)[method](),
    [id, method],
  );

/**
 * Waits until a peer has this relation.
 * @param {Page} page
 * @param {string} id
 * @param {string} relation
 */
const hasRelation = (page, id, relation) =>
  until(
    page,
    `its relation with ${id} is ${relation}`,
    ([id, relation]) => /** @type {any} */ (globalThis).room.peers.get(id)?.relation === relation,
    [id, relation],
  );

/** Waits until all signals between ann and bob have arrived. @param {Page} ann @param {Page} bob */
async function synced(ann, bob) {
  const bell = `bell-${Math.random()}`;
  for (const page of [ann, bob])
    await page.evaluate((bell) => /** @type {any} */ (globalThis).room.signal(bell), bell);
  await logged(ann, `signal bob ${bell}`);
  await logged(bob, `signal ann ${bell}`);
}

/** @param {Page} page @param {RegExp} pattern */
const entries = async (page, pattern) => (await log(page)).filter((entry) => pattern.test(entry));

/**
 * Connects ann and bob: ann sends a request, and bob accepts.
 * @param {Page} ann
 * @param {Page} bob
 */
async function agree(ann, bob) {
  await call(ann, 'bob', 'request');
  await hasRelation(bob, 'ann', 'asked');
  await call(bob, 'ann', 'accept');
  await connected(ann, 'bob');
  await connected(bob, 'ann');
}

test('peers that have requested nothing see each other and create no connection', async () => {
  const { ann, bob } = await lobby();
  await synced(ann, bob);
  for (const page of [ann, bob]) {
    const types = await page.evaluate(() =>
      /** @type {any} */ (globalThis).trace.map((/** @type {any} */ step) => step.type),
    );
    assert.deepEqual(
      types.filter((/** @type {string} */ type) => /offer|connection|channel/.test(type)),
      [],
    );
  }
  await hasRelation(ann, 'bob', 'none');
  await hasRelation(bob, 'ann', 'none');
});

test('the peer that requested makes the first offer after the other accepts', async () => {
  const { ann, bob } = await lobby();
  for (const page of [ann, bob]) {
    await page.evaluate(async () => {
      // The browser fires `negotiationneeded`, but no offer is made before both sides agree.
      const { connection } = [.../** @type {any} */ (globalThis).room.peers.values()][0];
      const fired = new Promise((resolve) =>
        connection.addEventListener('negotiationneeded', resolve, { once: true }),
      );
      connection.addTransceiver('audio');
      await fired;
    });
  }
  await call(ann, 'bob', 'request');
  await logged(bob, 'request ann');
  await call(bob, 'ann', 'accept');
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  await talk(ann, 'ann', bob, 'bob', 'hello');
  await talk(bob, 'bob', ann, 'ann', 'hello');
  assert.deepEqual(await entries(ann, /^re/), ['relation bob requested', 'relation bob accepted']);
  assert.deepEqual(await entries(bob, /^re/), [
    'relation ann asked',
    'request ann',
    'relation ann accepted',
  ]);
  const first = await bob.evaluate(
    () =>
      /** @type {any} */ (globalThis).trace.find((/** @type {any} */ { type }) => type === 'offer')
        .direction,
  );
  assert.equal(first, 'in');
});

test('a peer that was declined connects when its second request is accepted', async () => {
  const { ann, bob } = await lobby();
  await bob.evaluate(() => {
    let times = 0;
    /** @type {any} */ (globalThis).room.addEventListener(
      'request',
      (/** @type {CustomEvent} */ { detail }) => {
        times += 1;
        if (times === 1) detail.decline();
        else detail.accept();
      },
    );
  });
  await call(ann, 'bob', 'request');
  await hasRelation(ann, 'bob', 'declined');
  await call(ann, 'bob', 'request');
  await connected(ann, 'bob');
  await connected(bob, 'ann');
});

test('a cancelled request cannot be accepted', async () => {
  const { ann, bob } = await lobby();
  await call(ann, 'bob', 'request');
  await hasRelation(bob, 'ann', 'asked');
  await call(ann, 'bob', 'cancel');
  await hasRelation(bob, 'ann', 'none');
  await call(bob, 'ann', 'accept');
  await synced(ann, bob);
  await hasRelation(ann, 'bob', 'none');
});

test('peers connect again after one peer cancels', async () => {
  const { ann, bob } = await lobby();
  await agree(ann, bob);
  const old = await bob.evaluateHandle(
    () => /** @type {any} */ (globalThis).room.peers.get('ann').connection,
  );
  await call(ann, 'bob', 'cancel');
  await hasRelation(bob, 'ann', 'none');
  assert.equal(
    await old.evaluate((/** @type {any} */ connection) => connection.connectionState),
    'closed',
  );
  await agree(ann, bob);
  await talk(bob, 'bob', ann, 'ann', 'again');
});

test('cancel() closes the connection while the WebSocket is disconnected', async () => {
  const { ann, bob } = await lobby();
  await agree(ann, bob);
  network.down();
  await logged(ann, 'state reconnecting');
  await call(ann, 'bob', 'cancel');
  await hasRelation(bob, 'ann', 'none');
  network.restore();
});

test('two peers connect when their requests cross', async () => {
  const { ann, bob } = await lobby();
  await Promise.all([hold(ann), hold(bob)]);
  await call(ann, 'bob', 'request');
  await call(bob, 'ann', 'request');
  await Promise.all([release(ann), release(bob)]);
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  assert.deepEqual(await entries(ann, /^request/), []);
  assert.deepEqual(await entries(bob, /^request/), []);
});

test('both sides end with matching relations when signals cross', async () => {
  const { ann, bob } = await lobby();
  // Ann cancels while bob accepts, so the two signals cross.
  await call(ann, 'bob', 'request');
  await hasRelation(bob, 'ann', 'asked');
  await Promise.all([hold(ann), hold(bob)]);
  await call(ann, 'bob', 'cancel');
  await call(bob, 'ann', 'accept');
  await Promise.all([release(ann), release(bob)]);
  await synced(ann, bob);
  // Waits for the signals that are sent in response.
  await synced(ann, bob);
  await hasRelation(ann, 'bob', 'none');
  await hasRelation(bob, 'ann', 'none');
  // Both peers send a request, and bob cancels before ann's request arrives.
  await Promise.all([hold(ann), hold(bob)]);
  await call(ann, 'bob', 'request');
  await call(bob, 'ann', 'request');
  await call(bob, 'ann', 'cancel');
  await Promise.all([release(ann), release(bob)]);
  await synced(ann, bob);
  await synced(ann, bob);
  await hasRelation(ann, 'bob', 'none');
  await hasRelation(bob, 'ann', 'none');
  // Bob cancels and requests again at once.
  await agree(ann, bob);
  await hold(bob);
  await call(bob, 'ann', 'cancel');
  await call(bob, 'ann', 'request');
  await release(bob);
  await hasRelation(ann, 'bob', 'asked');
  await synced(ann, bob);
  await hasRelation(bob, 'ann', 'requested');
  await call(ann, 'bob', 'accept');
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  // Both peers cancel.
  await Promise.all([hold(ann), hold(bob)]);
  await call(ann, 'bob', 'cancel');
  await call(bob, 'ann', 'cancel');
  await Promise.all([release(ann), release(bob)]);
  await synced(ann, bob);
  await hasRelation(ann, 'bob', 'none');
  await hasRelation(bob, 'ann', 'none');
});

test('a reload clears the requests from and to the page', async () => {
  const { ann, bob, room } = await lobby();
  await call(ann, 'bob', 'request');
  await hasRelation(bob, 'ann', 'asked');
  await bob.reload();
  await logged(ann, 'leave bob');
  await join(bob, room, optionsOf('bob'));
  await logged(ann, 'peer bob', 2);
  await hasRelation(ann, 'bob', 'none');
  await logged(bob, 'peer ann');
  await call(bob, 'ann', 'request');
  await hasRelation(ann, 'bob', 'asked');
  await bob.reload();
  await logged(ann, 'leave bob', 2);
  await join(bob, room, optionsOf('bob'));
  await logged(ann, 'peer bob', 3);
  await hasRelation(ann, 'bob', 'none');
  await logged(bob, 'peer ann');
  await agree(ann, bob);
});

test('a page that takes over an id gets the pending request, or cancels the connection', async () => {
  const { ann, bob, room } = await lobby();
  await call(ann, 'bob', 'request');
  await hasRelation(bob, 'ann', 'asked');
  const again = await pages.open('bob again');
  await join(again, room, optionsOf('bob'));
  await logged(bob, 'close 4001');
  await logged(again, 'request ann');
  await call(again, 'ann', 'accept');
  await connected(ann, 'bob');
  await talk(ann, 'ann', again, 'bob', 'hello');
  const third = await pages.open('bob once more');
  await join(third, room, optionsOf('bob'));
  await hasRelation(ann, 'bob', 'none');
  assert.deepEqual(await entries(ann, /^(peer|leave|error)/), ['peer bob']);
});

test('a request made while disconnected is sent after the reconnect', async () => {
  const { ann, bob } = await lobby();
  network.down();
  await logged(ann, 'state reconnecting');
  await call(ann, 'bob', 'request');
  await hasRelation(ann, 'bob', 'requested');
  network.restore();
  await logged(bob, 'request ann');
});

for (const [direction, type] of /** @type {const} */ ([
  ['out', 'request'],
  ['in', 'request'],
  ['in', 'accept'],
  ['out', 'cancel'],
  ['in', 'cancel'],
])) {
  test(`both sides have matching relations after a reconnect: ann loses ${direction} ${type}`, async () => {
    const { ann, bob } = await lobby();
    const [requester, receiver] =
      direction === 'out' || type === 'accept' ? [ann, bob] : [bob, ann];
    const [receiverId, requesterId] = requester === ann ? ['bob', 'ann'] : ['ann', 'bob'];
    if (type === 'cancel') {
      await call(requester, receiverId, 'request');
      await hasRelation(receiver, requesterId, 'asked');
    }
    await lose(ann, direction, type);
    await call(requester, receiverId, type === 'cancel' ? 'cancel' : 'request');
    if (type === 'accept') {
      await hasRelation(bob, 'ann', 'asked');
      await call(bob, 'ann', 'accept');
    }
    await lost(ann, direction, type);
    network.cut();
    await logged(ann, 'state joined', 2);
    if (type === 'accept') await connected(ann, 'bob');
    else {
      await hasRelation(requester, receiverId, type === 'cancel' ? 'none' : 'requested');
      await hasRelation(receiver, requesterId, type === 'cancel' ? 'none' : 'asked');
    }
  });
}

test('connected peers leave the server and talk until one peer cancels', async () => {
  const { ann, bob } = await lobby();
  await agree(ann, bob);
  const leaveServer = (/** @type {Page} */ page) =>
    page.evaluate(() => /** @type {any} */ (globalThis).room.leaveServer());
  await leaveServer(ann);
  await logged(ann, 'close 1000');
  await talk(bob, 'bob', ann, 'ann', 'you have left the server');
  await leaveServer(bob);
  await logged(bob, 'close 1000');
  await dev.kill();
  try {
    await talk(ann, 'ann', bob, 'bob', 'we both have left');
    await talk(bob, 'bob', ann, 'ann', 'the server is down');
    assert.deepEqual(await entries(ann, /^leave/), []);
    await call(ann, 'bob', 'cancel');
    await logged(bob, 'leave ann');
    await logged(ann, 'leave bob');
  } finally {
    await dev.start();
  }
});

test('a peer that has left the server leaves when its connection is failed, not disconnected', async () => {
  const { ann, bob } = await lobby();
  await agree(ann, bob);
  await bob.evaluate(() => /** @type {any} */ (globalThis).room.leaveServer());
  await until(ann, 'ann has received peer-left', () =>
    /** @type {any} */ (globalThis).trace.some(
      (/** @type {any} */ { type }) => type === 'peer-left',
    ),
  );
  // Chromium needs half a minute to detect a failed connection, so the test sets the state itself.
  for (const [page, id] of /** @type {[Page, string][]} */ ([
    [ann, 'bob'],
    [bob, 'ann'],
  ])) {
    await page.evaluate((id) => {
      const { connection } = /** @type {any} */ (globalThis).room.peers.get(id);
      const setState = (/** @type {string} */ value) => {
        Object.defineProperty(connection, 'connectionState', { value, configurable: true });
        connection.dispatchEvent(new Event('connectionstatechange'));
        delete connection.connectionState;
      };
      setState('disconnected');
      Object.assign(globalThis, { setState });
    }, id);
  }
  await talk(ann, 'ann', bob, 'bob', 'hello bob');
  await talk(bob, 'bob', ann, 'ann', 'hello ann');
  await ann.evaluate(() => /** @type {any} */ (globalThis).setState('failed'));
  await logged(ann, 'leave bob');
  await logged(bob, 'leave ann');
});

test('leaveServer() removes the peer from pages that are not connected to it', async () => {
  const { ann, bob } = await lobby();
  await bob.evaluate(() => /** @type {any} */ (globalThis).room.leaveServer());
  await logged(ann, 'leave bob');
});

test('an offer from a page with "always" is a request that can be declined', async () => {
  const { ann, bob } = await lobby({ bob: 'always' });
  await logged(ann, 'request bob');
  await call(ann, 'bob', 'decline');
  await hasRelation(bob, 'ann', 'declined');
  // A page with "always" accepts every request.
  await call(ann, 'bob', 'request');
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  await call(ann, 'bob', 'cancel');
  await hasRelation(bob, 'ann', 'none');
  await call(bob, 'ann', 'request');
  await hasRelation(ann, 'bob', 'asked');
  await call(ann, 'bob', 'accept');
  await connected(ann, 'bob');
  await talk(bob, 'bob', ann, 'ann', 'hello');
});

test('cancel() in the relation event of accept() prevents the connection', async () => {
  const { ann, bob } = await lobby({ bob: 'always' });
  await logged(ann, 'request bob');
  await ann.evaluate(() =>
    /** @type {any} */ (globalThis).room.addEventListener(
      'relation',
      (/** @type {CustomEvent} */ { detail: { peer, relation } }) =>
        relation === 'accepted' && peer.cancel(),
    ),
  );
  await call(ann, 'bob', 'accept');
  await hasRelation(bob, 'ann', 'none');
  await synced(ann, bob);
  const types = await ann.evaluate(() =>
    /** @type {any} */ (globalThis).trace.map((/** @type {any} */ { type }) => type),
  );
  assert(!types.includes('create-connection'), `${types}`);
});

test('a page with "always" that joined first waits for the request of the other page', async () => {
  const { ann, bob } = await lobby({ ann: 'always' });
  await synced(ann, bob);
  await hasRelation(bob, 'ann', 'none');
  await call(bob, 'ann', 'request');
  await connected(bob, 'ann');
  await talk(ann, 'ann', bob, 'bob', 'hello');
});

/**
 * Joins as eve with the lobby dialect, without the library. Stores the last message from the data
 * channel in the global `received`.
 * @param {Page} page
 * @param {string} room
 * @param {boolean} requests whether eve sends a request before the offer
 */
const speakLobby = (page, room, requests) =>
  page.evaluate(async ([room, requests]) => {
    const url = `${location.origin.replace('http', 'ws')}/parties/main/${room}`;
    const socket = new WebSocket(`${url}?dialect=lobby&_pk=eve`);
    const send = (/** @type {object} */ signal) =>
      socket.send(JSON.stringify({ toId: 'ann', fromId: 'eve', ...signal }));
    const connection = new RTCPeerConnection();
    const channel = connection.createDataChannel('chat');
    connection.onicecandidate = ({ candidate }) => candidate && send({ candidate });
    const offer = async () => {
      await connection.setLocalDescription();
      send({ offer: connection.localDescription });
    };
    await new Promise((resolve) => (socket.onopen = resolve));
    socket.onmessage = async ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.accept && requests) await offer();
      if (frame.answer) await connection.setRemoteDescription(frame.answer);
      if (frame.candidate) await connection.addIceCandidate(frame.candidate);
    };
    if (requests) send({ request: true });
    else await offer();
    channel.onmessage = ({ data }) => Object.assign(globalThis, { received: data });
  }, /** @type {[string, boolean]} */ ([room, requests]));

for (const requests of [true, false]) {
  test(`a client of another dialect is accepted when it sends ${requests ? 'a request' : 'an offer'}`, async () => {
    const { ann, room } = await lobby();
    const eve = await pages.open('eve');
    await speakLobby(eve, room, requests);
    await logged(ann, 'request eve');
    await call(ann, 'eve', 'accept');
    await ann.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('eve').send('welcome'));
    await until(
      eve,
      'eve has received the text',
      () => /** @type {any} */ (globalThis).received === 'welcome',
    );
  });
}
