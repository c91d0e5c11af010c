// @ts-check
/** Unmodified clients that use Nostr, in two browser contexts: trystero, and the handler of RxDB. */
import { test } from 'node:test';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import * as clients from '../support/nostr-page.mjs';
import { times } from '../support/tier.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
const pages = new Pages();
useFixtures(pages, {
  start: async () => (workerd = await startWorkerd({ main: {} })),
  stop: () => workerd?.stop(),
});

/** The URL of a relay of its own. @param {string} room */
const relay = (room) => `ws://${workerd.at.main.host}/parties/main/${room}/nostr`;

/** Opens a page with the libraries, in its own browser context. @param {string} name */
async function open(name) {
  const page = await pages.open(name, `${workerd.at.main.origin}/health`);
  await clients.load(page);
  return page;
}

for (let n = 1; n <= times(5); n += 1)
  test(`trystero: two pages that join a room at the same moment exchange data: ${n}`, async () => {
    const url = relay(`fresh-${n}`);
    const [ann, bob] = await Promise.all(['ann', 'bob'].map(open));
    await Promise.all([
      clients.join(ann, 'room', url, 'ann'),
      clients.join(bob, 'room', url, 'bob'),
    ]);
    await Promise.all([clients.hears(ann, 'room', ['bob']), clients.hears(bob, 'room', ['ann'])]);
  });

test('trystero: pages meet in each of their rooms, which share a subscription', async () => {
  const url = relay('several');
  const [ann, bob, eve] = await Promise.all(['ann', 'bob', 'eve'].map(open));
  for (const room of ['one', 'two', 'three']) await clients.join(ann, room, url, 'ann');
  await clients.join(bob, 'two', url, 'bob');
  await clients.hears(ann, 'two', ['bob']);
  await clients.join(eve, 'three', url, 'eve');
  await Promise.all([
    clients.hears(bob, 'two', ['ann']),
    clients.hears(ann, 'three', ['eve']),
    clients.hears(eve, 'three', ['ann']),
  ]);
  await clients.hears(ann, 'one', []);
});

test('RxDB: two pages with the same topic exchange messages', async () => {
  const url = relay('rxdb');
  const [ann, bob, eve] = await Promise.all(['ann', 'bob', 'eve'].map(open));
  await clients.replicate(eve, 'another-topic', url, 'eve');
  await Promise.all([
    clients.replicate(ann, 'my-topic', url, 'ann'),
    clients.replicate(bob, 'my-topic', url, 'bob'),
  ]);
  await Promise.all([
    clients.hears(ann, 'my-topic', ['bob']),
    clients.hears(bob, 'my-topic', ['ann']),
  ]);
  await clients.hears(eve, 'another-topic', []);
});
