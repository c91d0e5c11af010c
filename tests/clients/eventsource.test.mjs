// @ts-check
/**
 * Tests real EventSource clients (Chromium and the npm package `eventsource`) behind a proxy that
 * breaks their connections. The tests run concurrently, because each client waits before it
 * reconnects.
 */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { describe, test } from 'node:test';
import { EventSource } from 'eventsource';
import { Pages } from '../support/chromium.mjs';
import { HttpPeer } from '../support/http-peer.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { Peer, expectQuiet, within } from '../support/peer.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { some } from '../support/tier.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
const pages = new Pages();
useFixtures(
  // Concurrent tests share one Chromium, so the pages are checked and closed after the last test.
  { start: () => pages.start(), stop: () => pages.tidy().finally(() => pages.stop()) },
  {
    start: async () => (workerd = await startWorkerd({ main: {} })),
    stop: () => workerd?.stop(),
  },
);

/** A queue of the events that the device has received. */
class Stream {
  /** The number of times that the client has opened the stream. */
  opened = 0;
  /** Events that were received but not read yet, except pings. @type {string[]} */
  unread = [];
  #arrivals = new EventEmitter();

  /** @param {string} data */
  receive(data) {
    if (data.startsWith('{"type":"ping"')) return;
    this.unread.push(data);
    this.#arrivals.emit('event');
  }

  async next() {
    while (!this.unread.length) await within(once(this.#arrivals, 'event'), 'an event arrives');
    return this.unread.shift();
  }
}

/** Functions that open a stream, by client. Each returns a function that closes the stream. */
const CLIENTS = {
  'the npm package': async (/** @type {string} */ url, /** @type {Stream} */ stream) => {
    const source = new EventSource(url);
    source.onopen = () => (stream.opened += 1);
    source.onmessage = ({ data }) => stream.receive(data);
    return () => source.close();
  },
  Chromium: async (/** @type {string} */ url, /** @type {Stream} */ stream) => {
    const page = await pages.open('device', new URL('/health', url).href);
    await page.exposeFunction('opened', () => (stream.opened += 1));
    await page.exposeFunction('receive', (/** @type {string} */ data) => stream.receive(data));
    await page.evaluate((url) => {
      const { opened, receive } = /** @type {any} */ (globalThis);
      const source = new globalThis.EventSource(url);
      source.onopen = () => opened();
      source.onmessage = ({ data }) => receive(data);
    }, url);
    return () => page.close();
  },
};

/**
 * Lets ann join, and a device behind a proxy that can break the device's connections.
 * @param {import('node:test').TestContext} t
 * @param {string} room
 * @param {keyof typeof CLIENTS} client the EventSource client of the device
 */
async function meet(t, room, client) {
  const server = workerd.at.main;
  const proxy = await TcpProxy.to(server);
  const ann = await Peer.join(server, room, 'ann');
  const device = new HttpPeer(server, room, 'device');
  await device.register();
  const stream = new Stream();
  const close = await CLIENTS[client](proxy.origin + device.path('events'), stream);
  await ann.receives({ type: 'peer-joined', id: 'device', polite: true });
  t.after(async () => {
    await close();
    proxy.stop();
    await ann.close();
  });
  let sent = 0;
  let received = 0;
  return {
    ann,
    proxy,
    stream,
    /** Sends `count` numbered signals from ann to the device. @param {number} count */
    async send(count) {
      const end = sent + count;
      while (sent < end) {
        ann.send({ type: 'offer', to: 'device', payload: (sent += 1) });
      }
      await ann.settle();
    },
    /**
     * Asserts that the device receives the next `count` signals, each once and in order.
     * @param {number} count
     */
    async receive(count) {
      const end = received + count;
      while (received < end) {
        const event = `{"type":"offer","payload":${(received += 1)},"senderId":"ann"}`;
        assert.equal(await stream.next(), event);
      }
    },
  };
}

/** The interruptions in one test, numbered from 1. */
const rounds = some([1, 2, 3], 2);

describe('event streams', { concurrency: true }, () => {
  for (const client of /** @type {(keyof typeof CLIENTS)[]} */ (Object.keys(CLIENTS))) {
    describe(client, { concurrency: true }, () => {
      test('receives signals sent during an interruption when it resumes the stream', async (t) => {
        const { ann, proxy, stream, send, receive } = await meet(t, `broken ${client}`, client);
        await send(5);
        await receive(5);
        proxy.down();
        await send(20);
        proxy.restore();
        await receive(20);
        await send(5);
        await receive(5);
        assert.equal(stream.opened, 2);
        // Ann is not informed about interruptions that are shorter than the grace period.
        await expectQuiet(ann);
      });

      test('receives signals that a broken connection lost, and no signal twice', async (t) => {
        const { ann, proxy, stream, send, receive } = await meet(t, `under way ${client}`, client);
        for (const round of rounds) {
          await send(10);
          await receive(10);
          // The server's connection to the proxy stays open, so the server treats these signals as
          // sent.
          proxy.freeze();
          await send(20);
          proxy.cut();
          await send(10);
          await receive(30);
          assert.equal(stream.opened, 1 + round);
        }
        // The next event is a new signal, so the server has not repeated an old signal.
        await send(1);
        await receive(1);
        assert.deepEqual(stream.unread, []);
        await expectQuiet(ann);
      });

      test('receives every signal when the connection breaks during delivery', async (t) => {
        const { ann, proxy, stream, send, receive } = await meet(t, `busy ${client}`, client);
        for (const round of rounds) {
          await send(25);
          await receive(10 + round);
          proxy.cut();
          await send(5);
          await receive(20 - round);
        }
        assert.ok(stream.opened > 1);
        await expectQuiet(ann);
      });
    });
  }
});
