// @ts-check
/** Peers have a name and metadata from the start, and `maxPeers` keeps a call small. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, talk, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const deployed = new Deployed();
const network = new TcpProxy(deployed);
const pages = new Pages(deployed);
useFixtures(deployed, pages, network);

/** Collects the name and metadata of each peer as the event `peer` has them. @param {Page} page */
const collect = (page) =>
  page.evaluate(() => {
    const globals = /** @type {any} */ (globalThis);
    globals.seen = [];
    globals.room.on('peer', (/** @type {any} */ { peer }) =>
      globals.seen.push([peer.id, peer.name ?? null, peer.metadata ?? null]),
    );
  });

/** Waits for what `collect` has collected. @param {Page} page @param {unknown} expected */
const sees = (page, expected) =>
  until(
    page,
    `it sees ${JSON.stringify(expected)}`,
    (expected) => JSON.stringify(/** @type {any} */ (globalThis).seen) === expected,
    JSON.stringify(expected),
  );

/** What a page knows about a peer now. @param {Page} page @param {string} id */
const known = (page, id) =>
  page.evaluate((id) => {
    const { name, metadata } = /** @type {any} */ (globalThis).room.peers.get(id);
    return [typeof name, name ?? null, metadata ?? null];
  }, id);

/** Joins without the library. @param {Page} page @param {string} room @param {unknown} meta @param {string} id */
const joinRaw = (page, room, meta, id) =>
  page.evaluate(
    ([room, meta, id]) => {
      const url = new URL(`/parties/main/${room}`, location.href.replace('http', 'ws'));
      url.searchParams.set('_pk', String(id));
      url.searchParams.set('meta', btoa(JSON.stringify(meta)).replaceAll('=', ''));
      return new Promise((done) => {
        const socket = new WebSocket(url, [
          'partyline',
          `key.${btoa('my key').replaceAll('=', '')}`,
        ]);
        socket.onmessage = () => done(undefined);
      });
    },
    [room, meta, id],
  );

test('both sides know the name and metadata of the other in the event peer', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  const cut = '\u{1f600}'.slice(0, 1); // half of a character, as in a text that was shortened
  await join(ann, room, {
    id: 'ann',
    name: `Ann ${cut}`,
    metadata: { color: 'red', n: [1, null] },
  });
  await collect(ann);
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob', name: 'Böb 😀', metadata: false });
  await sees(ann, [['bob', 'Böb 😀', false]]);
  await connected(bob, 'ann');
  assert.deepEqual(await known(bob, 'ann'), [
    'string',
    'Ann \ufffd',
    { color: 'red', n: [1, null] },
  ]);
  const eve = await pages.open('eve');
  await join(eve, room, { id: 'eve' });
  await connected(ann, 'bob', 'eve');
  assert.deepEqual(await known(ann, 'eve'), ['undefined', null, null]);
});

test('a peer can send any JSON value, and the next welcome updates it', async () => {
  const ann = await pages.open('ann', network.origin);
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  const raw = await pages.open('raw');
  await joinRaw(raw, room, { name: { first: 'Eve' }, metadata: 'm' }, 'eve');
  await joinRaw(raw, room, ['no object'], 'list');
  await joinRaw(raw, room, null, 'null');
  await logged(ann, 'peer null');
  assert.deepEqual(await known(ann, 'eve'), ['undefined', null, 'm']);
  assert.deepEqual(await known(ann, 'list'), ['undefined', null, null]);
  assert.deepEqual(await known(ann, 'null'), ['undefined', null, null]);
  await joinRaw(raw, room, { name: 'Eve' }, 'eve');
  network.cut();
  await until(ann, 'eve has a new name', () => {
    const { peers } = /** @type {any} */ (globalThis).room;
    return peers.get('eve')?.name === 'Eve' && peers.get('eve').metadata === undefined;
  });
});

test('names and metadata that are too large or no JSON, and an invalid maxPeers, throw', async () => {
  const page = await pages.open('ann');
  const errors = await page.evaluate(async () => {
    const { Room } = await import(/** @type {string} */ ('/room.js'));
    const cycle = /** @type {any} */ ({});
    cycle.cycle = cycle;
    return [
      { name: 'é'.repeat(507) },
      { metadata: 'x'.repeat(1100) },
      { name: 5 },
      { metadata: () => 1 },
      { metadata: cycle },
      { maxPeers: 0 },
      { maxPeers: NaN },
      { maxPeers: '2' },
      { name: 'é'.repeat(506) },
    ].map((options) => {
      try {
        return new Room('r', options).close();
      } catch (error) {
        return String(error).split('\n')[0].slice(0, 62);
      }
    });
  });
  assert.deepEqual(errors, [
    'RangeError: name and metadata have 1025 bytes as JSON: the lim',
    'RangeError: name and metadata have 1115 bytes as JSON: the lim',
    'TypeError: the option name has the type number: expected strin',
    'TypeError: the option metadata has the type function: expected',
    'TypeError: Converting circular structure to JSON',
    'RangeError: invalid option maxPeers 0: expected at least 1',
    'RangeError: invalid option maxPeers NaN: expected at least 1',
    'TypeError: the option maxPeers has the type string: expected n',
    undefined,
  ]);
});

test('a page leaves a room that has maxPeers, and the others never see it as a peer', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  const options = { maxPeers: 2 };
  await join(ann, room, { id: 'ann', ...options });
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob', ...options });
  await connected(ann, 'bob');
  const eve = await pages.open('eve');
  await join(eve, room, { id: 'eve', ...options });
  await logged(eve, 'close 4003');
  const [closed] = await eve.evaluate(() => [/** @type {any} */ (globalThis).room.state]);
  assert.equal(closed, 'closed');
  assert.ok(!(await log(eve)).some((line) => line.startsWith('peer')));
  await talk(bob, 'bob', ann, 'ann', 'just us');
  for (const page of [ann, bob])
    assert.deepEqual(
      (await log(page)).filter((line) => /eve/.test(line)),
      [],
    );
});

test('a page that came beyond maxPeers gets the place of one that leaves', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  await join(ann, room, { id: 'ann', maxPeers: 2 });
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob' });
  await connected(ann, 'bob');
  const eve = await pages.open('eve');
  await join(eve, room, { id: 'eve', name: 'Eve' });
  await logged(bob, 'peer eve');
  assert.ok(!(await log(ann)).includes('peer eve'));
  await bob.evaluate(() => /** @type {any} */ (globalThis).room.close());
  await connected(ann, 'eve');
  await connected(eve, 'ann');
  assert.deepEqual(await known(ann, 'eve'), ['string', 'Eve', null]);
  await talk(eve, 'eve', ann, 'ann', 'at last');
});
