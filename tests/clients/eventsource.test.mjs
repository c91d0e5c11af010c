// @ts-check
/** Real clients of event streams, Chromium and the package `eventsource`, on a line that breaks. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { describe, test } from 'node:test';
import { EventSource } from 'eventsource';
import { Pages } from '../support/chromium.mjs';
import { HttpPeer } from '../support/http-peer.mjs';
import { Line } from '../support/line.mjs';
import { Peer, quiet, within } from '../support/peer.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
const pages = new Pages();
useFixtures(pages, {
  start: async () => (workerd = await startWorkerd({ main: {} })),
  stop: () => workerd?.stop(),
});

/** The stream of a peer, whose events are read one by one. */
class Stream {
  /** How often it was opened. */
  opened = 0;
  /** Events that have come, but pings, and were not read. @type {string[]} */
  unread = [];
  #arrivals = new EventEmitter();

  /** @param {string} data */
  hear(data) {
    if (data.startsWith('{"type":"ping"')) return;
    this.unread.push(data);
    this.#arrivals.emit('event');
  }

  async next() {
    while (!this.unread.length) await within(once(this.#arrivals, 'event'), 'an event comes');
    return this.unread.shift();
  }
}

/** How each client opens a stream, and how it ends it. */
const CLIENTS = {
  'the npm package': async (/** @type {string} */ url, /** @type {Stream} */ stream) => {
    const source = new EventSource(url);
    source.onopen = () => (stream.opened += 1);
    source.onmessage = ({ data }) => stream.hear(data);
    return () => source.close();
  },
  Chromium: async (/** @type {string} */ url, /** @type {Stream} */ stream) => {
    const page = await pages.open('device', new URL('/health', url).href);
    await page.exposeFunction('opened', () => (stream.opened += 1));
    await page.exposeFunction('hear', (/** @type {string} */ data) => stream.hear(data));
    await page.evaluate((url) => {
      const { opened, hear } = /** @type {any} */ (globalThis);
      const source = new globalThis.EventSource(url);
      source.onopen = () => opened();
      source.onmessage = ({ data }) => hear(data);
    }, url);
    return () => page.close();
  },
};

/**
 * Ann, who signals, and a device behind a line that can break.
 * @param {import('node:test').TestContext} t
 * @param {string} room
 * @param {keyof typeof CLIENTS} client of the device
 */
async function meet(t, room, client) {
  const server = workerd.at.main;
  const line = await Line.to(server);
  const ann = await Peer.meet(server, room, 'ann');
  const device = new HttpPeer(server, room, 'device');
  await device.register();
  const stream = new Stream();
  const close = await CLIENTS[client](line.origin + device.path('events'), stream);
  await ann.hears({ type: 'peer-joined', id: 'device', polite: true });
  t.after(async () => {
    await close();
    line.stop();
    await ann.close();
  });
  let said = 0;
  let heard = 0;
  return {
    ann,
    line,
    stream,
    /** Ann signals so many times, each with its number. @param {number} count */
    async say(count) {
      const end = said + count;
      while (said < end) {
        ann.say({ type: 'offer', to: 'device', payload: (said += 1) });
      }
      await ann.settle();
    },
    /** The device gets the next so many, each once and in order. @param {number} count */
    async hear(count) {
      const end = heard + count;
      while (heard < end) {
        const event = `{"type":"offer","payload":${(heard += 1)},"senderId":"ann"}`;
        assert.equal(await stream.next(), event);
      }
    },
  };
}

for (const client of /** @type {(keyof typeof CLIENTS)[]} */ (Object.keys(CLIENTS))) {
  describe(client, () => {
    test('what is sent while a stream is broken comes when it is back', async (t) => {
      const { ann, line, stream, say, hear } = await meet(t, `broken ${client}`, client);
      await say(5);
      await hear(5);
      line.down();
      await say(20);
      line.mend();
      await hear(20);
      await say(5);
      await hear(5);
      assert.equal(stream.opened, 2);
      // The break was shorter than the grace: nobody was told of it.
      await quiet(ann);
    });

    test('what was under way when a stream broke comes again, nothing comes twice', async (t) => {
      const { ann, line, stream, say, hear } = await meet(t, `under way ${client}`, client);
      for (const round of [1, 2, 3]) {
        await say(10);
        await hear(10);
        // The server believes that it has sent these: to its end the connection looks well.
        line.freeze();
        await say(20);
        line.cut();
        await say(10);
        await hear(30);
        assert.equal(stream.opened, 1 + round);
      }
      // The last word is the last: nothing follows it.
      await say(1);
      await hear(1);
      assert.deepEqual(stream.unread, []);
      await quiet(ann);
    });

    test('a stream that breaks while it brings something loses nothing', async (t) => {
      const { ann, line, stream, say, hear } = await meet(t, `busy ${client}`, client);
      for (const round of [1, 2, 3]) {
        await say(25);
        await hear(10 + round);
        line.cut();
        await say(5);
        await hear(20 - round);
      }
      assert.ok(stream.opened > 1);
      await quiet(ann);
    });
  });
}
