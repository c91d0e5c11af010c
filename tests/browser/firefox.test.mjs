// @ts-check
/** The library in Firefox: Firefox with Firefox, and Firefox with Chromium in both orders. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, start, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { PAIRS } from '../support/firefox.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { decodes } from '../support/media.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { ROOM_SECRET, sign } from '../support/token.mjs';
import { Coturn } from '../support/turn.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

// Globals of the pages: the room of the library, and the client of a dialect. TypeScript needs
// these declarations to check the functions that run in the pages.
/** @type {any} */
let room;
/** @type {any} */
let device;

const TURN_SECRET = 'what-coturn-knows-too';
/** One Worker with the default settings, and one that requires a token and has a TURN server. */
const servers = {
  /** @type {import('../support/workerd.mjs').Workerd<'open' | 'guarded'> | undefined} */
  workerd: undefined,
  /** @type {Coturn | undefined} */
  coturn: undefined,
  async start() {
    this.coturn = await Coturn.start(TURN_SECRET);
    const turn = { STUN_URLS: '', TURN_URLS: this.coturn.url, TURN_SECRET };
    const instances = { open: {}, guarded: { ...turn, ROOM_SECRET } };
    this.workerd = await startWorkerd(instances, { assets: true });
  },
  stop() {
    return Promise.all([this.workerd?.stop(), this.coturn?.stop()]);
  },
  /** @param {'open' | 'guarded'} name */
  at(name) {
    assert(this.workerd, 'the servers are not running');
    return this.workerd.at[name];
  },
  get port() {
    return this.at('open').port;
  },
  get origin() {
    return this.at('open').origin;
  },
};
const pages = { Chromium: new Pages(servers, 'Chromium'), Firefox: new Pages(servers, 'Firefox') };
/** The network between a page and the open Worker. */
const network = new TcpProxy(servers);
useFixtures(servers, network, pages.Chromium, pages.Firefox);

/**
 * Runs a test in each pair of browsers. Ann joins first.
 * @param {string} claim
 * @param {(open: (name: 'ann' | 'bob', origin?: string) => Promise<Page>) => Promise<void>} body
 */
function inEachPair(claim, body) {
  for (const [first, second] of PAIRS)
    test(`${claim}: ${first} first, then ${second}`, () =>
      body((name, origin = '') =>
        pages[name === 'ann' ? first : second].open(name, `${origin}/health`),
      ));
}

/**
 * Lets ann and then bob join a new room.
 * @param {Page} ann
 * @param {Page} bob
 * @param {Record<string, unknown>} [options] the options of `Room`
 */
async function joinBoth(ann, bob, options) {
  const name = newRoom();
  await join(ann, name, { id: 'ann', key: 'secret of ann', ...options });
  await logged(ann, 'state joined');
  await join(bob, name, { id: 'bob', key: 'secret of bob', ...options });
  await logged(ann, 'peer bob');
}

/**
 * Waits until ann and bob are connected, and sends a text in each direction.
 * @param {Page} ann
 * @param {Page} bob
 */
async function greet(ann, bob) {
  await Promise.all([connected(ann, 'bob'), connected(bob, 'ann')]);
  await talk(ann, 'ann', bob, 'bob', 'hello 👩‍👩‍👧 bob');
  await talk(bob, 'bob', ann, 'ann', 'grüße, 𝒶nn 🎉');
}

/** Asserts that no peer left and that there was no error. @param {...Page} all */
async function undisturbed(...all) {
  for (const page of all)
    assert.deepEqual(
      (await log(page)).filter((line) => /^(leave|error|close)/.test(line)),
      [],
    );
}

/** Adds a camera to the connection with a peer. @param {Page} page @param {string} id */
const addCamera = (page, id) =>
  page.evaluate(async (id) => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true });
    const { connection } = room.peers.get(id);
    Object.assign(globalThis, { sender: connection.addTrack(stream.getTracks()[0], stream) });
  }, id);

/** Removes the camera. @param {Page} page @param {string} id */
const removeCamera = (page, id) =>
  page.evaluate((id) => {
    const { sender } = /** @type {any} */ (globalThis);
    sender.track.stop();
    room.peers.get(id).connection.removeTrack(sender);
  }, id);

/** Waits until a page decodes video of a peer. @param {Page} page @param {string} id */
const sees = (page, id) => decodes(page, `room.peers.get('${id}').connection`);

/** Waits until a page receives no track of a peer. @param {Page} page @param {string} id */
const seesNothing = (page, id) =>
  until(
    page,
    `${id}'s camera is off`,
    (id) => {
      const { connection } = room.peers.get(id);
      return (
        connection.signalingState === 'stable' &&
        connection
          .getTransceivers()
          .every((/** @type {RTCRtpTransceiver} */ t) => !t.currentDirection?.includes('recv'))
      );
    },
    id,
  );

inEachPair('texts and cameras reach the other side', async (open) => {
  const [ann, bob] = await Promise.all([open('ann'), open('bob')]);
  await joinBoth(ann, bob);
  await greet(ann, bob);
  await addCamera(ann, 'bob');
  await sees(bob, 'ann');
  await addCamera(bob, 'ann');
  await sees(ann, 'bob');
  await removeCamera(ann, 'bob');
  await seesNothing(bob, 'ann');
  await removeCamera(bob, 'ann');
  await seesNothing(ann, 'bob');
  await greet(ann, bob);
  await undisturbed(ann, bob);
});

inEachPair(
  'a lost WebSocket ends no connection, and offers are sent again after it',
  async (open) => {
    const [ann, bob] = await Promise.all([open('ann', network.origin), open('bob')]);
    await joinBoth(ann, bob);
    await greet(ann, bob);
    network.cut();
    await logged(ann, 'state reconnecting 1006');
    await logged(ann, 'state joined', 2);
    await addCamera(ann, 'bob');
    await sees(bob, 'ann');
    await greet(ann, bob);
    await undisturbed(ann, bob);
  },
);

inEachPair('requests are cancelled, declined and accepted', async (open) => {
  const [ann, bob] = await Promise.all([open('ann'), open('bob')]);
  await joinBoth(ann, bob, { connect: 'on-request' });
  await logged(bob, 'peer ann');
  /** @param {Page} page @param {string} id @param {string} action */
  const call = (page, id, action) =>
    page.evaluate(([id, action]) => room.peers.get(id)[action](), [id, action]);
  await call(bob, 'ann', 'request');
  await logged(ann, 'request bob');
  await call(bob, 'ann', 'cancel');
  await logged(ann, 'relation bob none');
  await call(bob, 'ann', 'request');
  await logged(ann, 'request bob', 2);
  await call(ann, 'bob', 'decline');
  await logged(bob, 'relation ann declined');
  await call(ann, 'bob', 'request');
  await logged(bob, 'request ann');
  await call(bob, 'ann', 'accept');
  await greet(ann, bob);
  await undisturbed(ann, bob);
});

inEachPair('peers with tokens connect through a TURN server alone', async (open) => {
  const { origin } = servers.at('guarded');
  const [ann, bob] = await Promise.all([open('ann', origin), open('bob', origin)]);
  const refused = newRoom();
  await join(bob, refused, { id: 'bob' });
  await logged(bob, 'close 4010');
  const token = sign({ room: '*', exp: Math.floor(Date.now() / 1000) + 600 });
  await joinBoth(ann, bob, { token, iceServers: undefined, iceTransportPolicy: 'relay' });
  await greet(ann, bob);
  for (const page of [ann, bob]) {
    const used = await page.evaluate(async () => {
      const { connection } = [...room.peers.values()][0];
      const stats = [...(await connection.getStats()).values()];
      const pair = stats.find(({ nominated, state }) => nominated && state === 'succeeded');
      return stats.find(({ id }) => id === pair?.localCandidateId)?.candidateType;
    });
    assert.equal(used, 'relay');
  }
  await undisturbed(ann, bob);
});

/** Timeout in milliseconds: longer than the library waits for the offer of a newcomer. */
const OFFERED = 12_000;

for (const client of /** @type {const} */ (['Perfect', 'Forum', 'Lobby', 'Http'])) {
  inEachPair(`the library connects to a client without the library (${client})`, async (open) => {
    const [ann, bob] = await Promise.all([open('ann'), open('bob')]);
    const name = newRoom();
    // The HTTP client makes no offer, so the library joins second.
    const [library, other] = client === 'Http' ? [bob, ann] : [ann, bob];
    if (library === ann) {
      await join(ann, name, { id: 'library' });
      await logged(ann, 'state joined');
    }
    await start(other, client, name, 'other');
    if (client === 'Http')
      await other.evaluate(async () => {
        await device.register();
        device.listen();
        await new Promise((resolve) => (device.events.onopen = resolve));
      });
    if (library === bob) await join(bob, name, { id: 'library' });
    if (client === 'Lobby') {
      await logged(other, '< {"kind":"connected","id":"library"}');
      await other.evaluate(() => device.request('library'));
    }
    await logged(other, 'open library', 1, OFFERED);
    await connected(library, 'other');
    await library.evaluate(() => room.peers.get('other').send('hello 🎉'));
    await logged(other, 'message library hello 🎉');
    await other.evaluate(() =>
      device.channel ? device.channel.send('hello 👋') : device.send('library', 'hello 👋'),
    );
    await logged(library, 'message other hello 👋');
    await undisturbed(library);
  });
}

test('Firefox refuses a room name with half of a character, as Chromium does', async () => {
  for (const browser of [pages.Chromium, pages.Firefox]) {
    const page = await browser.open('ann', '/health');
    const error = await page.evaluate(async () => {
      const { Room } = await import(/** @type {string} */ ('/room.js'));
      try {
        return new Room('half \ud800').name;
      } catch (error) {
        return String(error);
      }
    });
    assert.match(error, /^RangeError: invalid room name/);
  }
});
