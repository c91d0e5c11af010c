// @ts-check
/**
 * The library connects to clients of the forum, lobby and HTTP dialects. Each client implements the
 * document of its dialect and shares no code with the library. Connections are real.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, start, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

// Globals of the pages: the client of a dialect, and the room of the library. TypeScript needs
// these declarations to check the functions that run in the pages.
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

/** Lets ann join with the library. @param {Page} ann @param {string} name */
async function joinAnn(ann, name) {
  await join(ann, name, { id: 'ann' });
  await logged(ann, 'state joined');
}

/**
 * Lets bob join with a client of another dialect, and waits until the client receives frames.
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
 * Waits until ann and bob are connected, and sends a message in each direction.
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

test('a forum client that joins after the library makes an offer and connects', async () => {
  const [ann, bob, name] = await pair();
  await joinAnn(ann, name);
  await startBob(bob, 'Forum', name);
  await talk(ann, bob);
});

test('the library makes an offer and connects when it joins after a forum client', async () => {
  const [ann, bob, name] = await pair();
  await startBob(bob, 'Forum', name);
  await joinAnn(ann, name);
  await talk(ann, bob);
});

test('a lobby client that joins after the library sends a request and connects', async () => {
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

test('the library connects when it joins after an HTTP device, and either side makes the offer', async () => {
  const [ann, bob, name] = await pair();
  await startBob(bob, 'Http', name);
  await joinAnn(ann, name);
  await talk(ann, bob);
});

/** Timeout in milliseconds: longer than the library waits for the offer of a newcomer. */
const RESTARTED = 12_000;

test('an HTTP device that makes no offer gets an offer from the library', async () => {
  const [ann, bob, name] = await pair();
  await joinAnn(ann, name);
  await startBob(bob, 'Http', name);
  await talk(ann, bob, RESTARTED);
});
