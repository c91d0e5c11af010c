// @ts-check
/**
 * Two browsers connect over bad networks: slow ones, lossy ones, and when a device gets another address
 * at any step of the connection setup.
 */
import { test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
import { BadNetwork } from '../support/bad-network.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Site } from '../support/site.mjs';
import { some } from '../support/tier.mjs';

/** @typedef {import('../support/bad-network.mjs').Step} Step */
/** @typedef {{ case: string, room: string, id: string, host: string }} Entry */

const dev = new Dev();
// The Content-Security-Policy of our own pages forbids HTTP requests to other origins. The library
// sends one to the server of a room if no WebSocket opens.
const site = new Site();
const pages = { Chromium: new Pages(site, 'Chromium'), Firefox: new Pages(site, 'Firefox') };
useFixtures(dev, site, pages.Chromium, pages.Firefox);

/** The time until a message must have arrived in both directions, in milliseconds. */
const LIMIT = 60_000;
/** @type {Step[]} */
const STEPS = ['welcome', 'offer', 'answer', 'candidate', 'ice', 'dtls'];

/**
 * Lets ann and then bob join one room for each case, and waits until a message has arrived in both
 * directions in all rooms. Returns the time that each case took.
 * @param {import('node:test').TestContext} t
 * @param {readonly ('Chromium' | 'Firefox')[]} browsers the browsers of ann and bob
 * @param {import('../support/bad-network.mjs').Quality} quality
 * @param {Record<string, (accesses: Record<'ann' | 'bob', import('../support/bad-network.mjs').Access>) => void>} cases
 */
async function connect(t, [first, second], quality, cases) {
  const network = new BadNetwork(quality);
  t.after(() => network.stop());
  const [ann, bob] = [await pages[first].open('ann'), await pages[second].open('bob')];
  const rooms = { ann: /** @type {Entry[]} */ ([]), bob: /** @type {Entry[]} */ ([]) };
  for (const [name, disturb] of Object.entries(cases)) {
    const room = newRoom();
    const accesses = { ann: await network.connect(dev), bob: await network.connect(dev) };
    disturb(accesses);
    for (const id of /** @type {const} */ (['ann', 'bob']))
      rooms[id].push({ case: name, room, id, host: accesses[id].host });
  }
  await enter(ann, rooms.ann);
  await until(ann, 'in all rooms', () => /** @type {any} */ (globalThis).entered(), null, LIMIT);
  await enter(bob, rooms.bob);
  for (const page of [ann, bob])
    await until(
      page,
      'all connected',
      () => /** @type {any} */ (globalThis).greeted(),
      null,
      LIMIT,
    );
  t.diagnostic(await bob.evaluate(() => JSON.stringify(/** @type {any} */ (globalThis).log)));
}

/**
 * Joins rooms. The page greets its peer in each room, and logs the time until it has received a greeting.
 * @param {import('playwright-core').Page} page
 * @param {Entry[]} entries
 */
function enter(page, entries) {
  const library = `${dev.origin}/room.js`;
  return page.evaluate(async ([library, entries]) => {
    const { Room } = await import(library);
    const start = performance.now();
    const log = /** @type {Record<string, string>} */ ({});
    const rooms = entries.map(({ case: name, room, ...options }) => {
      const joined = new Room(room, { iceServers: [], ...options });
      joined.addEventListener('peer', (/** @type {any} */ { detail }) => detail.peer.send('hello'));
      joined.addEventListener('message', () => {
        log[name] ??= `${((performance.now() - start) / 1000).toFixed(1)} s`;
      });
      return joined;
    });
    const entered = () => rooms.every(({ state }) => state === 'joined');
    const greeted = () => Object.keys(log).length === rooms.length;
    Object.assign(globalThis, { log, entered, greeted });
  }, /** @type {const} */ ([library, entries]));
}

// Chromium as the first peer and Firefox as the newcomer is the pair with the most defects.
/** @type {(readonly ['Chromium' | 'Firefox', 'Chromium' | 'Firefox'])[]} */
const pairs = [
  ['Chromium', 'Firefox'],
  ['Firefox', 'Chromium'],
  ['Firefox', 'Firefox'],
  ['Chromium', 'Chromium'],
];
for (const pair of some(pairs)) {
  const [first, second] = pair;
  test(`${first}, then ${second}, with a delay of 150 ms and a loss of 5 %`, (t) =>
    connect(t, pair, { delay: 150, loss: 0.05 }, { 'slow and lossy': () => {} }));

  for (const id of /** @type {const} */ (['ann', 'bob']))
    test(`${first}, then ${second}, although ${id} gets another address at any step`, (t) => {
      const cases = STEPS.map((step) => [step, (/** @type {any} */ it) => it[id].changeAt(step)]);
      return connect(t, pair, { delay: 20 }, Object.fromEntries(cases));
    });
}
