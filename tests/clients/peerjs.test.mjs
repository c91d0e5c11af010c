// @ts-check
/**
 * The browser bundle of PeerJS, unmodified. The pages have another origin than the server, as the pages
 * of most applications have. They use every part of PeerJS that needs its server.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { mint } from '../support/jwt.mjs';
import { Peer, expectQuiet } from '../support/peer.mjs';
import { call, connect, heard, hears, open, openPage } from '../support/peerjs-page.mjs';
import { Site } from '../support/site.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'main' | 'tokens'>} */
let workerd;
const site = new Site();
const pages = new Pages();
const firefox = new Pages(undefined, 'Firefox');
useFixtures(pages, firefox, site, {
  start: async () => (workerd = await startWorkerd({ main: {}, tokens: { ROOM_SECRET } })),
  stop: () => workerd?.stop(),
});

/** @param {string} name @param {Pages} [browser] */
const page = (name, browser = pages) => openPage(browser, name, site.origin);

for (const [name, browser] of /** @type {[string, Pages][]} */ ([
  ['Chromium', pages],
  ['Firefox', firefox],
]))
  test(`two pages connect, exchange data and call each other: ${name}`, async () => {
    const [ann, bob] = await Promise.all([page('ann', browser), page('bob', browser)]);
    const server = workerd.at.main;
    await open(ann, server, name, { id: 'ann' });
    const id = await open(bob, server, name);
    assert.match(id, /^[0-9a-f]{32}$/, 'the server has created an id');
    await connect(bob, 'ann', 'from bob');
    await hears(ann, `data ${id} from bob`);
    await hears(bob, 'data ann from bob, too');
    await call(bob, 'ann');
    await hears(bob, 'stream ann 1');
    await hears(ann, `stream ${id} 1`);
  });

test('an id in use, an absent peer and a list of peers have the errors of PeerJS', async () => {
  const server = workerd.at.main;
  const [ann, eve] = await Promise.all([page('ann'), page('eve')]);
  await open(ann, server, 'errors', { id: 'ann' });
  await open(eve, server, 'errors', { id: 'ann', fails: true });
  await hears(eve, 'error unavailable-id');
  const begin = Date.now();
  await ann.evaluate(() => /** @type {any} */ (globalThis).peer.connect('nobody'));
  await hears(ann, 'error peer-unavailable', 15_000);
  assert.ok(Date.now() - begin >= 4_900, 'a peer that is just joining has five seconds');
  assert.ok(!(await heard(ann)).includes('disconnected'), 'the client stays connected');
  await ann.evaluate(() => /** @type {any} */ (globalThis).peer.listAllPeers(() => {}));
  await hears(ann, 'error server-error');
});

test('a page reconnects with its id, and connections work meanwhile', async () => {
  const server = workerd.at.main;
  const [ann, bob] = await Promise.all([page('ann'), page('bob')]);
  await open(ann, server, 'again', { id: 'ann' });
  await open(bob, server, 'again', { id: 'bob' });
  await connect(bob, 'ann', 'one');
  await hears(bob, 'data ann one, too');
  await bob.evaluate(() => /** @type {any} */ (globalThis).peer.disconnect());
  await hears(bob, 'disconnected');
  await bob.evaluate(() => {
    const { peer, connection } = /** @type {any} */ (globalThis);
    connection.send('two');
    peer.reconnect();
  });
  await hears(bob, 'data ann two, too');
  await hears(bob, 'open bob', 5_500, 2);
  await connect(ann, 'bob', 'three');
  await hears(ann, 'data bob three, too');
  assert.ok(!(await heard(ann)).includes('close bob'), 'nobody learns that bob was away');
});

test('ids have spaces, and two rooms do not meet', async () => {
  const server = workerd.at.main;
  const [ann, bob, eve] = await Promise.all([page('ann'), page('bob'), page('eve')]);
  await open(ann, server, 'a room/with ä', { id: 'Ann of Green Gables' });
  await open(bob, server, 'a room/with ä', { id: 'bob_2' });
  await open(eve, server, 'another', { id: 'Ann of Green Gables' });
  await connect(bob, 'Ann of Green Gables', 'hello');
  await hears(bob, 'data Ann of Green Gables hello, too');
  assert.deepEqual(await heard(eve), ['open Ann of Green Gables']);
});

test('a page and a native client in a room of the same name do not meet', async () => {
  const server = workerd.at.main;
  const nat = await Peer.join(server, 'shared', 'nat');
  const ann = await page('ann');
  await open(ann, server, 'shared', { id: 'ann' });
  nat.send({ type: 'offer', to: 'ann' });
  await nat.receivesError('no-such-peer', { to: 'ann' });
  const { family, peers } = await server.status('shared', undefined, 'peerjs');
  assert.deepEqual({ family, peers }, { family: 'peerjs', peers: 1 });
  assert.equal((await server.status('shared')).peers, 1);
  await expectQuiet(nat);
  await nat.close();
});

test('the key of a page is a token, which may name its id', async () => {
  const server = workerd.at.tokens;
  const [ann, bob, eve] = await Promise.all([page('ann'), page('bob'), page('eve')]);
  await open(ann, server, 'demo', { id: 'ann', key: mint({ room: 'demo' }) });
  const id = await open(bob, server, 'demo', { key: mint({ room: 'demo', sub: 'bob' }) });
  assert.equal(id, 'bob');
  await connect(bob, 'ann', 'hello');
  await hears(bob, 'data ann hello, too');
  await open(eve, server, 'demo', { id: 'eve', fails: true });
  await hears(eve, 'error invalid-key');
  await open(eve, server, 'demo', { key: mint({ room: 'other' }), fails: true });
  await hears(eve, 'error server-error');
});

test('a page that the owner removes is disconnected, and cannot return', async () => {
  const server = workerd.at.tokens;
  const ann = await page('ann');
  const key = mint({ room: 'owned' });
  await open(ann, server, 'owned', { id: 'ann b', key });
  const headers = { Authorization: `Bearer ${mint({ room: 'owned', admin: true })}` };
  /** @param {string} action @param {string} [body] */
  const ask = async (action, body) => {
    const path = `/admin/owned/${action}?dialect=peerjs`;
    return JSON.parse((await server.request(path, { method: 'POST', headers, body })).text);
  };
  assert.deepEqual(await ask('list'), { ids: ['ann~b'] });
  assert.deepEqual(await ask('remove', '{"id":"ann~b"}'), { removed: 1 });
  await hears(ann, 'error network');
  await hears(ann, 'disconnected');
  await ann.evaluate(() => /** @type {any} */ (globalThis).peer.reconnect());
  await hears(ann, 'error server-error');
});
