// @ts-check
/** The room sleeps while a stream runs: nobody pays for it, and nobody notices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { LiveServers, enter, passed, publish, receives } from '../support/live.mjs';
import { participate } from '../support/socketio-page.mjs';

/** workerd evicts an object that is idle for ten seconds, and no option shortens this time. */
const IDLE = 12_500;

const servers = new LiveServers();
const pages = new Pages(servers);
servers.settings = { PING_INTERVAL: '2' };
useFixtures(servers, pages);

test('the room sleeps while a stream runs, also between the pings of Socket.IO', async () => {
  const session = await servers.createSession();
  const device = await enter(pages, session, 'camera');
  await publish(device, { video: true });
  const viewer = await enter(pages, session, 'viewer');
  const page = await pages.open('socketio', `${servers.origin}/health`); // without a content policy
  await participate(page, { room: session, transports: ['websocket'] });
  for (const watching of [viewer, page]) await receives(watching, connectionOf(watching));
  const { awakeSince } = await servers.open.status(session);

  await setTimeout(IDLE);
  for (const watching of [viewer, page]) await receives(watching, connectionOf(watching));
  const late = await enter(pages, session, 'late');
  await receives(late);
  const { awakeSince: awakeAgain } = await servers.open.status(session);
  assert.notEqual(awakeAgain, awakeSince, 'the room was evicted');
  for (const watching of [device, viewer]) assert.equal(await passed(watching, 'in offer'), 1);
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (globalThis).heard.slice(0, 4)), [
    'connect',
    'live',
    'offerSdp',
    'all candidates',
  ]);

  /** @param {import('playwright-core').Page} watching */
  function connectionOf(watching) {
    return watching === page ? 'connection' : undefined;
  }
});
