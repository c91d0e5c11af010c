// @ts-check
/**
 * The library meets clients that know nothing of it: a client of the forum, a user of the lobby and
 * a device with requests and an event stream alone, as their documents describe them, with real
 * connections.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, start, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

// What pages have, the client and the library's room. Here they only have a type: the functions
// that name them run in pages.
/** @type {any} */
let device;
/** @type {any} */
let room;

const server = new Deployed();
const pages = new Pages(server);
useFixtures(server, pages);

/**
 * Two pages of the server's origin, and the name of a room.
 * @returns {Promise<[Page, Page, string]>}
 */
async function pair() {
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => pages.open(name, '/health')));
  return [ann, bob, newRoom()];
}

/** Ann joins by the library. @param {Page} ann @param {string} name */
async function joinAnn(ann, name) {
  await join(ann, name, { id: 'ann' });
  await logged(ann, 'state joined');
}

/**
 * Bob joins by another client, which does what it does by itself.
 * @param {Page} bob
 * @param {'Forum' | 'Lobby' | 'Http'} kind
 * @param {string} name
 */
async function startBob(bob, kind, name) {
  await start(bob, kind, name, 'bob');
  if (kind !== 'Http') return logged(bob, '< {');
  await bob.evaluate(async () => {
    await device.register();
    device.listen();
  });
  await until(bob, 'its stream is open', () => device.events.readyState === EventSource.OPEN);
}

/**
 * They are connected, and each hears the other.
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

test('a client of the forum comes to the library, and offers', async () => {
  const [ann, bob, name] = await pair();
  await joinAnn(ann, name);
  await startBob(bob, 'Forum', name);
  await talk(ann, bob);
});

test('the library comes to a client of the forum, and offers', async () => {
  const [ann, bob, name] = await pair();
  await startBob(bob, 'Forum', name);
  await joinAnn(ann, name);
  await talk(ann, bob);
});

test('a user of the lobby comes to the library, and requests', async () => {
  const [ann, bob, name] = await pair();
  await joinAnn(ann, name);
  await startBob(bob, 'Lobby', name);
  await logged(bob, '< {"kind":"connected","id":"ann"}');
  await bob.evaluate(() => device.request('ann'));
  await talk(ann, bob);
});

test('the library comes to a user of the lobby, who accepts', async () => {
  const [ann, bob, name] = await pair();
  await startBob(bob, 'Lobby', name);
  await joinAnn(ann, name);
  await until(bob, 'there is something to accept', () => device.offers.has('ann'));
  await bob.evaluate(() => device.accept('ann'));
  await talk(ann, bob);
});

test('the library comes to a device, and both may offer', async () => {
  const [ann, bob, name] = await pair();
  await startBob(bob, 'Http', name);
  await joinAnn(ann, name);
  await talk(ann, bob);
});

/** The library lets a newcomer offer, and offers itself when nothing has come for a while. */
const REPAIRED = 12_000;

test('a device comes to the library and waits for an offer, as its document says', async () => {
  const [ann, bob, name] = await pair();
  await joinAnn(ann, name);
  await startBob(bob, 'Http', name);
  await talk(ann, bob, REPAIRED);
});
