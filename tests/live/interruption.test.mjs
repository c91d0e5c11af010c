// @ts-check
/** Socket.IO clients whose connections break while the stream runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { LiveServers, receives } from '../support/live.mjs';
import { hears, participate } from '../support/socketio-page.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';

const servers = new LiveServers();
const pages = new Pages(servers);
/** The network between the pages and the Worker. */
const network = new TcpProxy(servers);
useFixtures(servers, pages, network);

for (const transports of [undefined, ['websocket']])
  test(`a device and a viewer return to their seats without an offer, with ${transports ?? 'default settings'}`, async () => {
    const room = await servers.createSession();
    const open = async (/** @type {string} */ name, /** @type {object | undefined} */ auth) => {
      const page = await pages.open(name, `${network.origin}/health`);
      await participate(page, { room, auth, transports });
      return page;
    };
    const device = await open('device', { id: 'camera' });
    const viewer = await open('viewer', undefined);
    await hears(viewer, 'answered {"ok":true}');
    await receives(viewer, 'connection');
    const id = () => viewer.evaluate(() => /** @type {any} */ (globalThis).socket.id);
    const before = await id();
    for (let breaks = 1; breaks <= 2; breaks += 1) {
      network.cut();
      for (const page of [device, viewer]) {
        await hears(page, 'transport close', breaks);
        await hears(page, 'connect', breaks + 1);
      }
      await receives(viewer, 'connection');
    }
    assert.equal(await id(), before);
    for (const page of [device, viewer]) {
      const heard = await page.evaluate(() => /** @type {any} */ (globalThis).heard);
      const offers = heard.filter((/** @type {string} */ one) => one === 'offerSdp');
      assert.equal(offers.length, 1, heard.join());
    }
  });
