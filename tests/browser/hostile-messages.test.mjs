// @ts-check
/** Peers that send what no page with the library would send: over the data channel for messages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, newRoom } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';

/** @typedef {import('playwright-core').Page} Page */

// Globals of the pages.
/** @type {any} */
let room;
/** @type {any} */
let mallory;

const dev = new Dev();
const pages = new Pages(dev, 'Chromium');
const firefox = new Pages(dev, 'Firefox');
useFixtures(dev, pages, firefox);

/**
 * Lets ann and mallory meet. Ann accepts messages of `maxMessageSize` bytes. The global `mallory` in mallory's page sends frames on the channel for
 * messages, and has the frames that ann answers.
 * @returns {Promise<[ann: Page, mallory: Page]>}
 */
async function attack(maxMessageSize = 1_000_000) {
  const [ann, page] = await Promise.all(['ann', 'mallory'].map((name) => pages.open(name)));
  const name = newRoom();
  await join(ann, name, { id: 'ann', maxMessageSize });
  await logged(ann, 'state joined');
  await page.evaluate(() => {
    const { createDataChannel } = RTCPeerConnection.prototype;
    RTCPeerConnection.prototype.createDataChannel = function (...args) {
      const channel = createDataChannel.apply(this, args);
      /** @type {string[]} */
      const refusals = [];
      channel.addEventListener('message', ({ data }) => {
        if (data instanceof ArrayBuffer && new Uint8Array(data)[0] === 3)
          refusals.push(
            `${new DataView(data).getUint32(1)} ${new TextDecoder().decode(new Uint8Array(data, 5))}`,
          );
      });
      const bytes = (/** @type {any} */ it) =>
        typeof it === 'string' ? [...new TextEncoder().encode(it)] : it;
      /** Sends a frame of bytes and strings. @param {any[]} parts */
      const send = (...parts) => channel.send(new Uint8Array(parts.flatMap(bytes)));
      /** Sends a head. @param {number} id @param {any} header @param {string} [content] */
      const head = (id, header, content = '') => {
        const json = bytes(typeof header === 'string' ? header : JSON.stringify(header));
        send([0, 0, 0, id >> 8, id & 255, json.length >> 8, json.length & 255], json, content);
      };
      Object.assign(globalThis, { mallory: { channel, refusals, send, head } });
      return channel;
    };
  });
  await join(page, name, { id: 'mallory' });
  await connected(page, 'ann');
  await connected(ann, 'mallory');
  return [ann, page];
}

/** Waits until ann has handled all frames, and returns the refusals. @param {Page} ann @param {Page} page */
async function settle(ann, page) {
  await page.evaluate(() => mallory.channel.send('the end'));
  await logged(ann, 'message mallory the end');
  await ann.evaluate(() => room.send('the end'));
  await logged(page, 'message ann the end');
  return page.evaluate(() => /** @type {string[]} */ (mallory.refusals));
}

test('invalid frames are refused or ignored, and a valid message still arrives', async () => {
  const [ann, page] = await attack();
  await page.evaluate(() => {
    const { head, send } = mallory;
    for (const bytes of [
      [],
      [0],
      [0, 0, 0, 0],
      [1, 0, 0, 0, 1],
      [2, 0, 0, 0, 2],
      [3, 0, 0, 0, 3],
      [9, 0, 0, 0, 4],
    ])
      send(bytes);
    send([0, 0, 0, 0, 5]); // no length of the header
    send([0, 0, 0, 0, 6, 255, 255], '{"as":"text","size":0}'); // a length that lies
    head(7, 'no JSON');
    head(8, 'null');
    head(9, { as: 'other', size: 1 });
    head(10, '{"__proto__":{"as":"text","size":1}}', 'x');
    for (const [id, size] of [-1, 1.5, '1', null, 1_000_001, 1e300].entries())
      head(11 + id, { as: 'text', size });
    head(20, { as: 'text', size: 3 }, 'long');
    head(21, { as: 'text', size: 3 }, 'ab');
    send([1, 0, 0, 0, 21], 'too long');
    head(22, { as: 'json', size: 3 }, 'abc');
    head(23, { as: 'text', size: 2 }, 'a');
    head(23, { as: 'text', size: 2 }, 'b'); // the id is in use
    send([1, 0, 0, 0, 23], 'c'); // of neither
    head(24, { as: 'text', size: 1, reply: 99 }, 'x'); // ann has asked nothing
    head(25, { as: 'text', size: 1, reply: '__proto__' }, 'x');
    head(26, { as: 'blob', size: 1, name: {}, type: {}, metadata: { toString: 1 } }, 'x');
    head(27, { as: 'json', size: 31 }, '{"__proto__":{"polluted":true}}');
  });
  const refusals = await settle(ann, page);
  const ids = refusals.map((text) => Number(text.split(' ')[0]));
  assert.deepEqual(ids, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23]);
  assert.match(
    refusals[10],
    /1000001 bytes: expected at most 1000000, the receiver's maxMessageSize/,
  );
  assert.match(refusals.at(-1) ?? '', /too many incomplete messages/);
  const lines = (await log(ann)).filter((line) => /^(message|error)/.test(line));
  assert.deepEqual(lines, [
    'message mallory [object Blob]',
    'message mallory [object Object]',
    'message mallory the end',
  ]);
  assert.equal(await ann.evaluate(() => /** @type {any} */ ({}).polluted), undefined);
});

test('a peer with thousands of incomplete messages gets refusals, and costs little', async () => {
  const [ann, page] = await attack();
  await page.evaluate(() => {
    const { head, send } = mallory;
    for (let id = 1; id <= 3_000; id += 1) head(id, { as: 'text', size: 1_000_000 }, 'x');
    for (let id = 1; id <= 16; id += 1) send([2, 0, 0, 0, id]);
    head(5_000, { as: 'text', size: 2 }, 'o');
    send([1, 0, 0, 19, 136], 'k');
  });
  const refusals = await settle(ann, page);
  const ids = refusals.map((text) => Number(text.split(' ')[0]));
  assert.equal(ids[0], 17, 'the first 16 are accepted');
  const lines = (await log(ann)).filter((line) => line.startsWith('message'));
  assert.deepEqual(lines, ['message mallory ok', 'message mallory the end']);
});

test('a peer that refuses an ask rejects it, with a reason of bounded length', async () => {
  const [ann, page] = await attack();
  await page.evaluate(() => {
    mallory.channel.addEventListener('message', (/** @type {any} */ { data }) => {
      if (!(data instanceof ArrayBuffer) || new Uint8Array(data)[0] !== 0) return;
      const id = new Uint8Array(data, 1, 4);
      mallory.send([3], [...id], 'no '.repeat(1_000));
    });
  });
  const message = await ann.evaluate(() =>
    room.peers
      .get('mallory')
      .ask('x')
      .catch((/** @type {Error} */ error) => `${error.name} ${error.message.length}`),
  );
  assert.equal(message, 'OperationError 500');
});

test('JSON that could fill the memory of the page is refused', async () => {
  const [ann, page] = await attack(2 ** 28);
  await page.evaluate(() => {
    for (const [index, as] of ['json', 'streams', 'text', 'binary', 'blob'].entries())
      mallory.head(2 * index, { as, size: 2 ** 25 + 1 });
    mallory.head(1, { as: 'json', size: 2 ** 25 });
  });
  const refusals = await settle(ann, page);
  assert.equal(refusals.length, 2);
  assert.match(refusals[0], /^0 33554433 bytes: expected at most 33554432, for JSON/);
  assert.match(refusals[1], /^2 33554433 bytes/);
});

test('replies for a peer that does not read reject, and throw nothing', async () => {
  const [ann, page] = await attack();
  await ann.evaluate(() => {
    room.on('ask', (/** @type {any} */ { reply }) => Object.assign(globalThis, { reply }));
  });
  await page.evaluate(() => mallory.head(1, { as: 'text', size: 1, ask: true }, 'x'));
  await settle(ann, page);
  const outcome = await ann.evaluate(() => {
    try {
      for (;;) room.peers.get('mallory').send('x'.repeat(1_000));
    } catch {
      // Now the queue is full.
    }
    const { reply } = /** @type {any} */ (globalThis);
    reply('nobody waits for this promise');
    return reply('x').catch((/** @type {Error} */ { name }) => name);
  });
  assert.equal(outcome, 'OperationError');
});

test('a peer that permits messages of four bytes costs the others nothing, in Firefox', async () => {
  const [page, bob] = await Promise.all(['mallory', 'bob'].map((name) => pages.open(name)));
  const ann = await firefox.open('ann');
  await page.evaluate(() => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (text) {
      send.call(this, String(text).replace(/max-message-size:\d+/, 'max-message-size:4'));
    };
  });
  const name = newRoom();
  await join(page, name, { id: 'mallory' });
  await logged(page, 'state joined');
  await join(bob, name, { id: 'bob' });
  await logged(bob, 'state joined');
  await bob.evaluate(() => {
    const { log } = /** @type {any} */ (globalThis);
    room.channel('game').on('message', (/** @type {any} */ { data }) => log.push(`game ${data}`));
  });
  await join(ann, name, { id: 'ann' });
  await logged(ann, 'state joined');
  await ann.evaluate(() => Promise.all([...room.peers.values()].map(({ open }) => open)));
  const refused = await ann.evaluate(async () => {
    const ids = [...room.peers.keys()].join();
    const channel = room.channel('game');
    channel.send('from the queue');
    room.addStream(new AudioContext().createMediaStreamDestination().stream);
    const refused = await room.send({ n: 1 }).catch((/** @type {Error} */ { name }) => name);
    Object.assign(globalThis, { channel });
    return [ids, refused];
  });
  assert.deepEqual(refused, ['mallory,bob', 'TypeError']);
  await logged(bob, 'message ann [object Object]');
  await logged(bob, 'game from the queue');
  await ann.evaluate(() => /** @type {any} */ (globalThis).channel.send('at once'));
  await logged(bob, 'game at once');
  await logged(bob, 'track ann');
});
