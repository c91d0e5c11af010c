// @ts-check
/**
 * Topics are evicted while clients of y-webrtc are connected, and their heartbeats, every 15 s, do not
 * wake them. The object knows the subscriptions afterwards.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pages } from '../../support/chromium.mjs';
import { startWorkerd } from '../../support/workerd.mjs';
import * as documents from '../../support/y-webrtc-page.mjs';

/** The duration of the wait in milliseconds, in which each client sends two heartbeats. */
const IDLE = 33_000;

export const yWebrtcTests = () =>
  describe('y-webrtc', () => {
    const pages = new Pages();
    /** @type {import('../../support/workerd.mjs').Workerd<'main'>} */
    let workerd;
    before(async () => {
      [workerd] = await Promise.all([startWorkerd({ main: {} }), pages.start()]);
    });
    after(async () => {
      await pages.tidy();
      await Promise.all([pages.stop(), workerd?.stop()]);
    });

    test('connected clients do not keep the topics in memory, which know them afterwards', async () => {
      const server = workerd.at.main;
      const url = `ws://${server.host}/parties/main/idle/y-webrtc`;
      let pongs = 0;
      const open = async (/** @type {string} */ name) => {
        const page = await pages.open(name, `${server.origin}/health`);
        page.on('websocket', (websocket) =>
          websocket.on('framereceived', ({ payload }) => {
            if (payload === '{"type":"pong"}') pongs += 1;
          }),
        );
        await documents.load(page);
        await documents.open(page, 'doc', url);
        await documents.write(page, 'doc', name);
        return page;
      };
      const [ann, bob] = await Promise.all([open('ann'), open('bob')]);
      for (const page of [ann, bob]) await documents.has(page, 'doc', ['ann', 'bob']);
      const { awakeSince } = await server.status('idle', undefined, 'y-webrtc');

      await sleep(IDLE);
      assert.ok(pongs >= 4, `${pongs} heartbeats were answered`);
      const now = Date.now();
      const eve = await open('eve');
      for (const page of [ann, bob, eve])
        await documents.has(page, 'doc', ['ann', 'bob', 'eve'], 2);
      const woken = (await server.status('idle', undefined, 'y-webrtc')).awakeSince;
      assert.notEqual(woken, awakeSince, 'the object was evicted');
      assert.ok(Date.parse(woken) >= now, `heartbeats woke the object: ${woken}`);
    });
  });
