// @ts-check
/** The id of the library: made out of its key, kept after a reload, and in use by another client. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom, talk } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Peer } from '../support/peer.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';

const dev = new Dev();
const pages = new Pages(dev);
/** The network between ann and the server. */
const network = new TcpProxy(dev);
useFixtures(dev, pages, network);

test('without an id, the server makes one out of the key, if the key is long enough', async () => {
  const room = newRoom();
  const page = await pages.open('ann');
  /** @param {Record<string, unknown>} options */
  const idWith = async (options) => {
    await join(page, room, options);
    await logged(page, 'state joined');
    const id = await page.evaluate(() => /** @type {any} */ (globalThis).room.id);
    await page.reload();
    return id;
  };
  const [key, other] = ['1234567890123456789012', '1234567890123456789ü12'];
  const hash = createHash('sha256').update(`partyline-id${key}`).digest('base64url');
  assert.equal(await idWith({ key }), `k.${hash.slice(0, 22)}`);
  const id = await idWith({ key: other });
  assert.match(id, /^k\./);
  assert.notEqual(id, `k.${hash.slice(0, 22)}`);
  assert.equal(await idWith({ key: other }), id);
  // 21 characters, although they have 23 UTF-16 code units
  assert.doesNotMatch(await idWith({ key: '1234567890123456789😀😀' }), /^k\./);
  assert.equal(await idWith({ key, id: 'ann' }), 'ann');
});

test('a page that keeps its key gets its id back after a reload, and no other page gets the id', async () => {
  const [ann, bob] = await pages.pair();
  // This code is the sample in docs/connections.md.
  const loadKey = () =>
    ann.evaluate(() => {
      const random = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
      const key = sessionStorage.getItem('key') ?? random();
      sessionStorage.setItem('key', key);
      return key;
    });
  const key = await loadKey();
  const room = newRoom();
  await join(ann, room, { key });
  await logged(ann, 'state joined');
  const id = await ann.evaluate(() => /** @type {any} */ (globalThis).room.id);
  await join(bob, room, { id: 'bob' });
  await connected(bob, id);
  await ann.reload();
  assert.equal(await loadKey(), key);
  await join(ann, room, { key });
  await connected(ann, 'bob');
  await connected(bob, id);
  await talk(bob, 'bob', ann, id, 'after the reload');
  const arrivals = (await log(bob)).filter((line) => /^(peer|leave) /.test(line));
  assert.deepEqual(arrivals, [`peer ${id}`, `leave ${id}`, `peer ${id}`]);
  const eve = await pages.open('eve');
  await join(eve, room, { id });
  await logged(eve, 'state connecting 4009');
});

test('an id that the server generated stays the same after a reconnect', async () => {
  const ann = await pages.open('ann', network.origin);
  await join(ann, newRoom());
  await logged(ann, 'state joined');
  const id = () => ann.evaluate(() => /** @type {any} */ (globalThis).room.id);
  const first = await id();
  assert.match(first, /^k\.[\w-]{22}$/);
  network.cut();
  await logged(ann, 'state joined', 2);
  assert.equal(await id(), first);
});

/** Opens a page that asks for the id of another client. The test advances the clock of the page. */
async function askForIdInUse() {
  const server = /** @type {any} */ ({ host: new URL(dev.origin).host });
  const room = newRoom();
  const owner = await Peer.join(server, room, 'ann', { key: 'of another' });
  const page = await pages.open('ann');
  await page.clock.install({ time: 0 });
  await page.clock.pauseAt(1_000);
  await join(page, room, { id: 'ann' });
  await logged(page, 'state connecting 4009');
  return { page, owner };
}

test('an id that is in use is tried again for a minute', async () => {
  const { page, owner } = await askForIdInUse();
  const waits = () => /** @type {any} */ (globalThis).retryIn;
  await page.evaluate(() => {
    const { room } = /** @type {any} */ (globalThis);
    room.addEventListener('state', (/** @type {any} */ { detail }) =>
      Object.assign(globalThis, { retryIn: detail.retryIn }),
    );
  });
  await page.clock.fastForward(4_000); // longer than the first delay
  let waited = 4_000;
  let attempts = 1;
  for (;;) {
    await logged(page, 'state', (attempts += 1));
    const retryIn = await page.evaluate(waits);
    if (retryIn === undefined) break;
    assert(retryIn <= 10_000, `${retryIn}`);
    await page.clock.fastForward(Math.ceil(retryIn));
    waited += Math.ceil(retryIn);
  }
  assert.match((await log(page)).join(), /state closed,close 4009$/);
  assert(waited >= 60_000 && waited < 64_000, `${waited} ms`);
  assert(attempts >= 6 && attempts <= 14, `${attempts} attempts`);
  await owner.close(1000);
});

test('a page gets an id that becomes free in the meantime', async () => {
  const { page, owner } = await askForIdInUse();
  await owner.close(1000);
  await page.clock.fastForward(4_000);
  await logged(page, 'state joined');
});
