// @ts-check
/** Rooms in which nobody is connected without having been asked. */
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
/** Ann's way to the server. */
const line = new TcpProxy(dev);
useFixtures(dev, pages, line);

/**
 * Ann and bob in a room, ann first and behind the line. Nobody is connected.
 * @param {{ ann?: string, bob?: string }} [connect]
 */
async function lobby(connect = {}) {
  const [ann, bob] = await Promise.all([pages.open('ann', line.origin), pages.open('bob')]);
  const room = newRoom();
  await join(ann, room, who('ann', connect.ann));
  await logged(ann, 'state joined');
  await join(bob, room, who('bob', connect.bob));
  await logged(ann, 'peer bob');
  await logged(bob, 'peer ann');
  return { ann, bob, room };
}

/** @param {string} id */
const who = (id, connect = 'on-request') => ({ id, key: `secret of ${id}`, connect });

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

/** @param {Page} page @param {string} id @param {string} relation */
const stands = (page, id, relation) =>
  until(
    page,
    `its relation with ${id} is ${relation}`,
    ([id, relation]) => /** @type {any} */ (globalThis).room.peers.get(id)?.relation === relation,
    [id, relation],
  );

/** All that either has sent has come. @param {Page} ann @param {Page} bob */
async function caughtUp(ann, bob) {
  const bell = `bell-${Math.random()}`;
  for (const page of [ann, bob])
    await page.evaluate((bell) => /** @type {any} */ (globalThis).room.signal(bell), bell);
  await logged(ann, `signal bob ${bell}`);
  await logged(bob, `signal ann ${bell}`);
}

/** @param {Page} page @param {RegExp} which */
const entries = async (page, which) => (await log(page)).filter((entry) => which.test(entry));

/** Ann asks, bob accepts. @param {Page} ann @param {Page} bob */
async function agree(ann, bob) {
  await call(ann, 'bob', 'request');
  await stands(bob, 'ann', 'asked');
  await call(bob, 'ann', 'accept');
  await connected(ann, 'bob');
  await connected(bob, 'ann');
}

test('who has not asked is seen, and nothing more', async () => {
  const { ann, bob } = await lobby();
  await caughtUp(ann, bob);
  for (const page of [ann, bob]) {
    const kinds = await page.evaluate(() =>
      /** @type {any} */ (globalThis).trace.map((/** @type {any} */ step) => step.kind),
    );
    assert.deepEqual(
      kinds.filter((/** @type {string} */ kind) => /offer|connection|channel/.test(kind)),
      [],
    );
  }
  await stands(ann, 'bob', 'none');
  await stands(bob, 'ann', 'none');
});

test('one asks, the other accepts, and the one who asked makes the first offer', async () => {
  const { ann, bob } = await lobby();
  for (const page of [ann, bob]) {
    await page.evaluate(async () => {
      // What is added before waits until both want it, though the browser asks for an offer now.
      const { connection } = [.../** @type {any} */ (globalThis).room.peers.values()][0];
      const asks = new Promise((resolve) =>
        connection.addEventListener('negotiationneeded', resolve, { once: true }),
      );
      connection.addTransceiver('audio');
      await asks;
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
      /** @type {any} */ (globalThis).trace.find((/** @type {any} */ { kind }) => kind === 'offer')
        .way,
  );
  assert.equal(first, 'in');
});

test('one is declined, asks again, and is accepted by the event itself', async () => {
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
  await stands(ann, 'bob', 'declined');
  await call(ann, 'bob', 'request');
  await connected(ann, 'bob');
  await connected(bob, 'ann');
});

test('a request is taken back, and then it cannot be accepted', async () => {
  const { ann, bob } = await lobby();
  await call(ann, 'bob', 'request');
  await stands(bob, 'ann', 'asked');
  await call(ann, 'bob', 'cancel');
  await stands(bob, 'ann', 'none');
  await call(bob, 'ann', 'accept');
  await caughtUp(ann, bob);
  await stands(ann, 'bob', 'none');
});

test('either hangs up, and they can be connected again', async () => {
  const { ann, bob } = await lobby();
  await agree(ann, bob);
  const old = await bob.evaluateHandle(
    () => /** @type {any} */ (globalThis).room.peers.get('ann').connection,
  );
  await call(ann, 'bob', 'cancel');
  await stands(bob, 'ann', 'none');
  assert.equal(await old.evaluate((/** @type {any} */ it) => it.connectionState), 'closed');
  await agree(ann, bob);
  await talk(bob, 'bob', ann, 'ann', 'again');
});

test('who hangs up while its line is down is understood all the same', async () => {
  const { ann, bob } = await lobby();
  await agree(ann, bob);
  line.down();
  await logged(ann, 'state reconnecting');
  await call(ann, 'bob', 'cancel');
  await stands(bob, 'ann', 'none');
  line.restore();
});

test('who is asked back while asking has an agreement', async () => {
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

test('whatever crosses, both end with the same answer', async () => {
  const { ann, bob } = await lobby();
  // An acceptance crosses what takes the request back.
  await call(ann, 'bob', 'request');
  await stands(bob, 'ann', 'asked');
  await Promise.all([hold(ann), hold(bob)]);
  await call(ann, 'bob', 'cancel');
  await call(bob, 'ann', 'accept');
  await Promise.all([release(ann), release(bob)]);
  await caughtUp(ann, bob);
  await caughtUp(ann, bob); // and what was answered to it
  await stands(ann, 'bob', 'none');
  await stands(bob, 'ann', 'none');
  // Both ask, and one takes that back before it has seen the other's.
  await Promise.all([hold(ann), hold(bob)]);
  await call(ann, 'bob', 'request');
  await call(bob, 'ann', 'request');
  await call(bob, 'ann', 'cancel');
  await Promise.all([release(ann), release(bob)]);
  await caughtUp(ann, bob);
  await caughtUp(ann, bob);
  await stands(ann, 'bob', 'none');
  await stands(bob, 'ann', 'none');
  // One hangs up and asks again at once.
  await agree(ann, bob);
  await hold(bob);
  await call(bob, 'ann', 'cancel');
  await call(bob, 'ann', 'request');
  await release(bob);
  await stands(ann, 'bob', 'asked');
  await caughtUp(ann, bob);
  await stands(bob, 'ann', 'requested');
  await call(ann, 'bob', 'accept');
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  // Both hang up.
  await Promise.all([hold(ann), hold(bob)]);
  await call(ann, 'bob', 'cancel');
  await call(bob, 'ann', 'cancel');
  await Promise.all([release(ann), release(bob)]);
  await caughtUp(ann, bob);
  await stands(ann, 'bob', 'none');
  await stands(bob, 'ann', 'none');
});

test('a page that is reloaded while it is asked, or asks, leaves no request behind', async () => {
  const { ann, bob, room } = await lobby();
  await call(ann, 'bob', 'request');
  await stands(bob, 'ann', 'asked');
  await bob.reload();
  await logged(ann, 'leave bob');
  await join(bob, room, who('bob'));
  await logged(ann, 'peer bob', 2);
  await stands(ann, 'bob', 'none');
  await logged(bob, 'peer ann');
  await call(bob, 'ann', 'request');
  await stands(ann, 'bob', 'asked');
  await bob.reload();
  await logged(ann, 'leave bob', 2);
  await join(bob, room, who('bob'));
  await logged(ann, 'peer bob', 3);
  await stands(ann, 'bob', 'none');
  await logged(bob, 'peer ann');
  await agree(ann, bob);
});

test('a page that takes over an id hears of a request, or hangs up for the old one', async () => {
  const { ann, bob, room } = await lobby();
  await call(ann, 'bob', 'request');
  await stands(bob, 'ann', 'asked');
  const again = await pages.open('bob again');
  await join(again, room, who('bob'));
  await logged(bob, 'close 4001');
  await logged(again, 'request ann');
  await call(again, 'ann', 'accept');
  await connected(ann, 'bob');
  await talk(ann, 'ann', again, 'bob', 'hello');
  const third = await pages.open('bob once more');
  await join(third, room, who('bob'));
  await stands(ann, 'bob', 'none');
  assert.deepEqual(await entries(ann, /^(peer|leave|error)/), ['peer bob']);
});

test('what is asked while the line is down is said when it is back', async () => {
  const { ann, bob } = await lobby();
  line.down();
  await logged(ann, 'state reconnecting');
  await call(ann, 'bob', 'request');
  await stands(ann, 'bob', 'requested');
  line.restore();
  await logged(bob, 'request ann');
});

for (const [way, kind] of /** @type {const} */ ([
  ['out', 'request'],
  ['in', 'request'],
  ['in', 'accept'],
  ['out', 'cancel'],
  ['in', 'cancel'],
])) {
  test(`no request is stuck: ann loses her line with ${way} ${kind}`, async () => {
    const { ann, bob } = await lobby();
    const [asks, asked] = way === 'out' || kind === 'accept' ? [ann, bob] : [bob, ann];
    const [idOfAsked, idOfAsker] = asks === ann ? ['bob', 'ann'] : ['ann', 'bob'];
    if (kind === 'cancel') {
      await call(asks, idOfAsked, 'request');
      await stands(asked, idOfAsker, 'asked');
    }
    await lose(ann, way, kind);
    await call(asks, idOfAsked, kind === 'cancel' ? 'cancel' : 'request');
    if (kind === 'accept') {
      await stands(bob, 'ann', 'asked');
      await call(bob, 'ann', 'accept');
    }
    await lost(ann, way, kind);
    line.cut();
    await logged(ann, 'state joined', 2);
    if (kind === 'accept') await connected(ann, 'bob');
    else {
      await stands(asks, idOfAsked, kind === 'cancel' ? 'none' : 'requested');
      await stands(asked, idOfAsker, kind === 'cancel' ? 'none' : 'asked');
    }
  });
}

test('two who are connected talk on without the server, until one hangs up', async () => {
  const { ann, bob } = await lobby();
  await agree(ann, bob);
  const leaveServer = (/** @type {Page} */ page) =>
    page.evaluate(() => /** @type {any} */ (globalThis).room.leaveServer());
  await leaveServer(ann);
  await logged(ann, 'close 1000');
  await talk(bob, 'bob', ann, 'ann', 'you have left');
  await leaveServer(bob);
  await logged(bob, 'close 1000');
  await dev.kill();
  try {
    await talk(ann, 'ann', bob, 'bob', 'so have you');
    await talk(bob, 'bob', ann, 'ann', 'and the server is gone');
    assert.deepEqual(await entries(ann, /^leave/), []);
    await call(ann, 'bob', 'cancel');
    await logged(bob, 'leave ann');
    await logged(ann, 'leave bob');
  } finally {
    await dev.start();
  }
});

test('one who has left the server may stumble, but not fall', async () => {
  const { ann, bob } = await lobby();
  await agree(ann, bob);
  await bob.evaluate(() => /** @type {any} */ (globalThis).room.leaveServer());
  await until(ann, 'she knows', () =>
    /** @type {any} */ (globalThis).trace.some(
      (/** @type {any} */ { kind }) => kind === 'peer-left',
    ),
  );
  // Chromium takes half a minute to get there; the state is all that the library goes by.
  for (const [page, id] of /** @type {[Page, string][]} */ ([
    [ann, 'bob'],
    [bob, 'ann'],
  ])) {
    await page.evaluate((id) => {
      const { connection } = /** @type {any} */ (globalThis).room.peers.get(id);
      const become = (/** @type {string} */ value) => {
        Object.defineProperty(connection, 'connectionState', { value, configurable: true });
        connection.dispatchEvent(new Event('connectionstatechange'));
        delete connection.connectionState;
      };
      become('disconnected');
      Object.assign(globalThis, { become });
    }, id);
  }
  await talk(ann, 'ann', bob, 'bob', 'still here');
  await talk(bob, 'bob', ann, 'ann', 'so am I');
  await ann.evaluate(() => /** @type {any} */ (globalThis).become('failed'));
  await logged(ann, 'leave bob');
  await logged(bob, 'leave ann');
});

test('who leaves the server is gone for those whom it did not talk to', async () => {
  const { ann, bob } = await lobby();
  await bob.evaluate(() => /** @type {any} */ (globalThis).room.leaveServer());
  await logged(ann, 'leave bob');
});

test('a page that wants everybody asks by its offer, and takes no for an answer', async () => {
  const { ann, bob } = await lobby({ bob: 'always' });
  await logged(ann, 'request bob');
  await call(ann, 'bob', 'decline');
  await stands(bob, 'ann', 'declined');
  await call(ann, 'bob', 'request'); // which such a page accepts by itself
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  await call(ann, 'bob', 'cancel');
  await stands(bob, 'ann', 'none');
  await call(bob, 'ann', 'request');
  await stands(ann, 'bob', 'asked');
  await call(ann, 'bob', 'accept');
  await connected(ann, 'bob');
  await talk(bob, 'bob', ann, 'ann', 'after all');
});

test('who takes it back in the moment of accepting is not connected', async () => {
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
  await stands(bob, 'ann', 'none');
  await caughtUp(ann, bob);
  const kinds = await ann.evaluate(() =>
    /** @type {any} */ (globalThis).trace.map((/** @type {any} */ { kind }) => kind),
  );
  assert(!kinds.includes('create-connection'), `${kinds}`);
});

test('a page that wants everybody and was there first leaves the asking to the other', async () => {
  const { ann, bob } = await lobby({ ann: 'always' });
  await caughtUp(ann, bob);
  await stands(bob, 'ann', 'none');
  await call(bob, 'ann', 'request');
  await connected(bob, 'ann');
  await talk(ann, 'ann', bob, 'bob', 'hello');
});

/**
 * A page that speaks the lobby's language by hand, with nothing of the library. What it hears over
 * its channel is in `heard`.
 * @param {Page} page
 * @param {string} room
 * @param {boolean} asks whether it sends a request, or at once its offer
 */
const speakLobby = (page, room, asks) =>
  page.evaluate(async ([room, asks]) => {
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
      if (frame.accept && asks) await offer();
      if (frame.answer) await connection.setRemoteDescription(frame.answer);
      if (frame.candidate) await connection.addIceCandidate(frame.candidate);
    };
    if (asks) send({ request: true });
    else await offer();
    channel.onmessage = ({ data }) => Object.assign(globalThis, { heard: data });
  }, /** @type {[string, boolean]} */ ([room, asks]));

for (const asks of [true, false]) {
  test(`a client of another dialect asks ${asks ? 'by a request' : 'by its offer'}`, async () => {
    const { ann, room } = await lobby();
    const eve = await pages.open('eve');
    await speakLobby(eve, room, asks);
    await logged(ann, 'request eve');
    await call(ann, 'eve', 'accept');
    await ann.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('eve').send('welcome'));
    await until(eve, 'it hears', () => /** @type {any} */ (globalThis).heard === 'welcome');
  });
}
