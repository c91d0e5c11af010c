// @ts-check
/** Tests that no URL that the library, the page or an example requests contains a key or a token. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, logged, newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { joined } from '../support/page.mjs';
import { ROOM_SECRET, sign } from '../support/token.mjs';
import { Deployed } from '../support/workerd.mjs';

const deployed = new Deployed({ ROOM_SECRET });
const pages = new Pages(deployed);
useFixtures(deployed, pages);

/** Returns a token for a room. @param {string} room */
const mint = (room) => sign({ room, exp: Math.floor(Date.now() / 1000) + 600 });

/**
 * Collects the URLs that a page requests, including those of WebSockets.
 * @param {import('playwright-core').Page} page
 */
function collectUrls(page) {
  /** @type {string[]} */
  const urls = [];
  page.on('request', (request) => urls.push(request.url()));
  page.on('websocket', (socket) => urls.push(socket.url()));
  return urls;
}

test('room.js sends its key and its token in no URL, and the key protects the id', async () => {
  const room = newRoom();
  const token = mint(room);
  const key = 'ännchens key';
  const [ann, bob] = await pages.pair();
  const urls = collectUrls(ann);
  await join(ann, room, { id: 'ann', key, token, iceServers: undefined });
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob', token });
  await connected(bob, 'ann');
  assert.ok(urls.some((url) => url.startsWith('ws:')) && urls.some((url) => /ice/.test(url)));
  for (const url of urls.map(decodeURIComponent))
    assert.ok(!/[?&](key|token)=/.test(url) && !url.includes(key) && !url.includes(token), url);
  const eve = await pages.open('eve');
  await join(eve, room, { id: 'ann', token });
  await logged(eve, 'state connecting 4009');
  await eve.evaluate(() => /** @type {any} */ (globalThis).room.close());
  await join(eve, room, { id: 'ann', key, token });
  await logged(ann, 'close 4001');
});

test('the page takes a token from the fragment of its URL, which browsers do not send', async () => {
  const room = newRoom();
  const token = mint(room);
  const page = await pages.open('ann');
  await page.goto(`/?room=${room}#token=${token}`);
  await joined(page);
  assert.equal(await page.evaluate(() => location.href.includes('token')), false);
  await page.reload();
  await joined(page);
});

const SECRETS = { token: mint('*'), stopKey: 'the stop key of a session' };
/** @type {[name: string, url: string][]} */
const PROGRAMS = [
  ['page', `/?room=secrets#token=${SECRETS.token}`],
  ['lobby', `/?lobby=secrets#token=${SECRETS.token}`],
  ['chat', '/examples/chat.html'],
  ['call', '/examples/call.html'],
  ['cursor', '/examples/cursor.html'],
  ['viewer', `/examples/live.html#${new URLSearchParams({ session: 's', ...SECRETS })}`],
  [
    'device',
    `/examples/live.html#${new URLSearchParams({ session: 's', device: 'd', ...SECRETS })}`,
  ],
];

for (const [name, url] of PROGRAMS) {
  test(`no secret is in a URL of this program: ${name}`, async () => {
    const page = await pages.open('ann', 'about:blank');
    await page.addInitScript(() => {
      /** @type {string[]} */
      const protocols = [];
      const Recorder = class extends WebSocket {
        /** @param {string | URL} url @param {string[]} names */
        constructor(url, names) {
          super(url, names);
          protocols.push(...names);
        }
      };
      Object.assign(globalThis, { protocols, WebSocket: Recorder });
    });
    const urls = collectUrls(page);
    await page.goto(url);
    if (name === 'chat') {
      await page.getByLabel('Your name').fill('Ann');
      await page.getByRole('button', { name: 'Join' }).click();
    }
    /** @param {string} start */
    const protocol = (start) =>
      page.evaluate(
        (start) =>
          /** @type {any} */ (globalThis).protocols
            .find((/** @type {string} */ it) => it.startsWith(start))
            ?.slice(start.length),
        start,
      );
    await until(
      page,
      'it asks to join',
      () => /** @type {any} */ (globalThis).protocols.length > 1,
    );
    const key = await protocol('key.');
    assert.ok(key.length > 20);
    assert.equal(await protocol('token.'), url.includes(SECRETS.token) ? SECRETS.token : undefined);
    if (!urls.some((url) => url.startsWith('ws:'))) await page.waitForEvent('websocket');
    if (!urls.some((url) => /ice-servers/.test(url))) await page.waitForRequest(/ice-servers/);
    const secrets = [
      key,
      atob(key.replaceAll('-', '+').replaceAll('_', '/')),
      ...Object.values(SECRETS),
    ];
    // Playwright reports the fragment of a document's URL, although the browser does not send it.
    for (const url of urls.map((url) => decodeURIComponent(url.split('#')[0])))
      for (const secret of secrets) assert.ok(!url.includes(secret), url);
  });
}
