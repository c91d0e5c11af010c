// @ts-check
/**
 * A room is evicted while pages with PeerJS are connected, although they send heartbeats. The platform
 * answers the heartbeats, and the pages notice nothing.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pages } from '../../support/chromium.mjs';
import { connect, heard, hears, open, openPage } from '../../support/peerjs-page.mjs';
import { Site } from '../../support/site.mjs';
import { IDLE, startWorkerd } from '../../support/workerd.mjs';

export const peerJsTests = () =>
  describe('a room with PeerJS clients', () => {
    /** @type {import('../../support/workerd.mjs').Workerd<'main'>} */
    let workerd;
    const pages = new Pages();
    const site = new Site();
    /** @type {import('playwright-core').Page} */
    let ann;
    /** @type {import('playwright-core').Page} */
    let bob;
    before(async () => {
      await Promise.all([pages.start(), site.start()]);
      workerd = await startWorkerd({ main: {} });
      ann = await openPage(pages, 'ann', site.origin);
      bob = await openPage(pages, 'bob', site.origin);
    });
    after(async () => {
      await pages.stop();
      site.stop();
      await workerd?.stop();
    });

    test('is evicted between heartbeats, and continues', async () => {
      const server = workerd.at.main;
      let answers = 0;
      for (const page of [ann, bob])
        page.on('websocket', (socket) =>
          socket.on('framereceived', ({ payload }) => (answers += Number(payload === 'ok'))),
        );
      await open(ann, server, 'demo', { id: 'ann' });
      await open(bob, server, 'demo', { id: 'bob' });
      const { awakeSince } = await server.status('demo', undefined, 'peerjs');
      const end = Date.now() + IDLE;
      await sleep(IDLE);

      await connect(bob, 'ann', 'hello');
      await hears(bob, 'data ann hello, too');
      const now = (await server.status('demo', undefined, 'peerjs')).awakeSince;
      assert.notEqual(now, awakeSince, 'the room was evicted');
      assert.ok(Date.parse(now) >= end - 100, 'no heartbeat has woken the room');
      assert.ok(answers >= 2, 'the platform has answered heartbeats');
      assert.deepEqual(await heard(ann), ['open ann', 'data bob hello']);
      await pages.tidy();
    });
  });
