// @ts-check
/**
 * The library shares each `RTCPeerConnection` with the application. Tests what an application may do
 * with it: set handlers, create channels, set an offer, and close it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  connected,
  join,
  log,
  logged,
  meet,
  newRoom,
  start,
  talk,
  until,
} from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { hold, passed, release } from '../support/wire.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages(dev);
useFixtures(dev, pages);

/**
 * Uses every connection as tutorials do: sets the `on…` properties, and opens a channel with the
 * label `chat`. The global `heard` lists what these handlers receive.
 */
function useAsTutorial() {
  /** @type {string[]} */
  const heard = [];
  Object.assign(globalThis, { heard });
  const { room } = /** @type {any} */ (globalThis);
  room.addEventListener('peer', (/** @type {any} */ { detail: { peer } }) => {
    const { connection } = peer;
    for (const name in connection) {
      if (!name.startsWith('on')) continue;
      if (connection[name]) heard.push(`the library has set ${name}`);
      connection[name] = (/** @type {Event} */ { type }) => heard.push(type);
    }
    connection.ondatachannel = (/** @type {RTCDataChannelEvent} */ { channel }) => {
      heard.push(`channel ${channel.label}`);
      channel.onmessage = ({ data }) => heard.push(data);
    };
    const channel = connection.createDataChannel('chat');
    channel.onopen = () => channel.send(`the channel of ${room.id}`);
  });
}

/**
 * Waits until the handlers of the page have received something.
 * @param {Page} page
 * @param {string} text
 */
const hears = (page, text) =>
  until(
    page,
    `hears ${text}`,
    (text) => /** @type {any} */ (globalThis).heard.includes(text),
    text,
  );

test('an application sets handlers and opens a channel "chat" as in a tutorial', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await ann.evaluate(useAsTutorial);
  await logged(ann, 'state joined');
  // Holds `welcome` back until the listener is registered.
  await hold(bob, 'in');
  await join(bob, room, { id: 'bob' });
  await bob.evaluate(useAsTutorial);
  await release(bob, 'in');
  await connected(ann, 'bob');
  await talk(ann, 'ann', bob, 'bob', 'hello bob');
  await talk(bob, 'bob', ann, 'ann', 'hello ann');
  await hears(ann, 'the channel of bob');
  await hears(bob, 'the channel of ann');
  await bob.evaluate(() => {
    const { room } = /** @type {any} */ (globalThis);
    room.peers.get('ann').connection.addTransceiver('audio');
  });
  await logged(ann, 'track bob');
  await hears(ann, 'track');
  for (const page of [ann, bob]) {
    const messages = (await log(page)).filter((line) => line.startsWith('message'));
    assert.equal(messages.length, 1, 'a message of the application is not a message of the room');
    const heard = await page.evaluate(() => /** @type {any} */ (globalThis).heard);
    assert.deepEqual(
      heard.filter((/** @type {string} */ it) => /^(channel|the library)/.test(it)),
      ['channel chat'],
    );
  }
});

test('a client without the library opens a channel "chat" for texts', async () => {
  const [ann, eve] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await start(eve, 'Perfect', room, 'eve');
  await logged(eve, 'open ann');
  await ann.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('eve').send('hello'));
  await logged(eve, 'message ann hello');
});

test('an offer that the application sets is answered at once', async () => {
  const [ann, bob] = await pages.pair();
  await meet(ann, bob);
  await ann.evaluate(() => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
    return connection.setLocalDescription();
  });
  await connected(ann, 'bob');
  assert.equal((await passed(ann)).filter((frame) => frame === 'out offer').length, 1);
});

for (const connect of ['always', 'on-request']) {
  test(`with "${connect}", connection.close() is treated as cancel()`, async () => {
    const [ann, bob] = await pages.pair();
    const room = newRoom();
    await join(ann, room, { id: 'ann', connect });
    await logged(ann, 'state joined');
    await join(bob, room, { id: 'bob', connect });
    await logged(ann, 'peer bob');
    if (connect === 'on-request') {
      await ann.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('bob').request());
      await logged(bob, 'request ann');
      await bob.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('ann').accept());
    }
    await connected(ann, 'bob');
    await connected(bob, 'ann');
    const offers = async () =>
      [...(await passed(ann)), ...(await passed(bob))].filter((frame) => frame === 'out offer');
    const before = (await offers()).length;
    const error = await ann.evaluate(() => {
      const peer = /** @type {any} */ (globalThis).room.peers.get('bob');
      peer.connection.close();
      try {
        return peer.send('too late');
      } catch (error) {
        return String(error);
      }
    });
    assert.match(error, /^InvalidStateError: .*"none": call request\(\) before send\(\)/);
    await logged(ann, 'relation bob none');
    await logged(bob, 'relation ann none');
    // Each side has sent `cancel`. The answer to a signal shows that no other signal is under way.
    await bob.evaluate(() => /** @type {any} */ (globalThis).room.signal('wave', null, 'ann'));
    await logged(ann, 'signal bob wave');
    assert.equal((await offers()).length, before, 'no offer follows');
    for (const page of [ann, bob])
      assert.deepEqual(
        (await log(page)).filter((line) => /^(leave|error)/.test(line)),
        [],
      );
    await bob.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('ann').request());
    if (connect === 'on-request') {
      await logged(ann, 'request bob');
      await ann.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('bob').accept());
    }
    await connected(ann, 'bob');
    await talk(ann, 'ann', bob, 'bob', 'hello again');
  });
}

test('connection.close() before a connection is wanted discards only that connection', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann', connect: 'on-request' });
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob', connect: 'on-request' });
  await logged(ann, 'peer bob');
  const states = await ann.evaluate(() => {
    const peer = /** @type {any} */ (globalThis).room.peers.get('bob');
    const { connection } = peer;
    connection.close();
    return [connection.signalingState, peer.connection.signalingState, peer.relation];
  });
  assert.deepEqual(states, ['closed', 'stable', 'none']);
});
