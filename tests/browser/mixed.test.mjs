// @ts-check
/**
 * The library connects to clients of the forum, lobby and HTTP dialects. The clients follow their
 * own documents and share no code with the library. Connections are real.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, start, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

// Globals of the pages: the client and the library's room. They are declared here for the functions
// that run in pages.
/** @type {any} */
let device;
/** @type {any} */
let room;

const server = new Deployed();
const pages = new Pages(server);
useFixtures(server, pages);

/**
 * Opens two pages of the server's origin and returns them with the name of a room.
 * @returns {Promise<[Page, Page, string]>}
 */
async function pair() {
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => pages.open(name, '/health')));
  return [ann, bob, newRoom()];
}

/** Ann joins with the library. @param {Page} ann @param {string} name */
async function joinAnn(ann, name) {
  await join(ann, name, { id: 'ann' });
  await logged(ann, 'state joined');
}

/**
 * Bob joins with another client, which may then act by itself.
 * @param {Page} bob
 * @param {'Forum' | 'Lobby' | 'Http'} client
 * @param {string} name
 */
async function startBob(bob, client, name) {
  await start(bob, client, name, 'bob');
  if (client !== 'Http') return logged(bob, '< {');
  await bob.evaluate(async () => {
    await device.register();
    device.listen();
  });
  await until(bob, 'the event stream is open', () => device.events.readyState === EventSource.OPEN);
}

/**
 * Waits until they are connected, and sends a text in each direction.
 * @param {Page} ann
 * @param {Page} bob
 * @param {number} [patience]
 */
async function talk(ann, bob, patience) {
  await logged(bob, 'open ann', 1, patience);
  await connected(ann, 'bob');
  await ann.evaluate(() => room.peers.get('bob').send('hello bob'));
  await logged(bob, 'message ann hello bob');
  await bob.evaluate(() => device.send('ann', 'hello ann'));
  await logged(ann, 'message bob hello ann');
  assert.deepEqual(
    (await log(ann)).filter((line) => /^(leave|error)/.test(line)),
    [],
  );
}

test('a forum client joins a room with the library and offers', async () => {
  const [ann, bob, name] = await pair();
  await joinAnn(ann, name);
  await startBob(bob, 'Forum', name);
  await talk(ann, bob);
});

test('the library joins a room with a forum client and offers', async () => {
  const [ann, bob, name] = await pair();
  await startBob(bob, 'Forum', name);
  await joinAnn(ann, name);
  await talk(ann, bob);
});

test('a lobby client joins a room with the library and requests', async () => {
  const [ann, bob, name] = await pair();
  await joinAnn(ann, name);
  await startBob(bob, 'Lobby', name);
  await logged(bob, '< {"kind":"connected","id":"ann"}');
  await bob.evaluate(() => device.request('ann'));
  await talk(ann, bob);
});

test('a lobby client accepts the offer of the library', async () => {
  const [ann, bob, name] = await pair();
  await startBob(bob, 'Lobby', name);
  await joinAnn(ann, name);
  await until(bob, 'an offer has arrived', () => device.offers.has('ann'));
  await bob.evaluate(() => device.accept('ann'));
  await talk(ann, bob);
});

test('the library joins a room with an HTTP device, and either may offer', async () => {
  const [ann, bob, name] = await pair();
  await startBob(bob, 'Http', name);
  await joinAnn(ann, name);
  await talk(ann, bob);
});

/** Time after which the library has offered itself, because the newcomer made no offer. */
const RESTARTED = 12_000;

test('an HTTP device that waits for an offer gets one from the library', async () => {
  const [ann, bob, name] = await pair();
  await joinAnn(ann, name);
  await startBob(bob, 'Http', name);
  await talk(ann, bob, RESTARTED);
});
