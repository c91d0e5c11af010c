// @ts-check
/** Messages of all kinds and sizes between two pages with the library. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logged, meet } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';

/** @typedef {import('playwright-core').Page} Page */

// A global of the pages.
/** @type {any} */
let room;

const dev = new Dev();
const chromium = new Pages(dev, 'Chromium');
const firefox = new Pages(dev, 'Firefox');
useFixtures(dev, chromium, firefox);

/**
 * Describes each message that a page receives in the global array `received`.
 * @param {Page} page
 */
function describe(page) {
  return page.evaluate(() => {
    /** @type {any[]} */
    const received = [];
    Object.assign(globalThis, { received });
    room.on('message', async (/** @type {any} */ { peer, data, metadata }) => {
      const { name, size, type, byteLength } = data ?? {};
      const entry = { type: Object.prototype.toString.call(data).slice(8, -1), metadata: metadata ?? null };
      received.push(entry);
      if (data instanceof Blob)
        Object.assign(entry, { name, size, mime: type, text: await data.text() });
      else if (byteLength !== undefined) Object.assign(entry, { bytes: [...new Uint8Array(data)] });
      else Object.assign(entry, { json: JSON.stringify(data) });
      Object.assign(entry, { from: peer.id, complete: true });
    });
  });
}

for (const other of [chromium, firefox]) {
  const name = other === chromium ? 'Chromium' : 'Firefox';

  test(`all kinds of data arrive as what they were, between Chromium and ${name}`, async () => {
    const [ann, bob] = await Promise.all([chromium.open('ann'), other.open('bob')]);
    await meet(ann, bob);
    for (const [page, from] of /** @type {[Page, string][]} */ ([
      [bob, 'ann'],
      [ann, 'bob'],
    ])) {
      const sender = page === ann ? bob : ann;
      await describe(page);
      await sender.evaluate(async () => {
        const [peer] = room.peers.values();
        await peer.send('text 🎉');
        await peer.send({ list: [1, null], ['__proto__']: 7 });
        await peer.send(null);
        await peer.send(new Uint8Array([1, 2, 3]).buffer);
        await peer.send(new Uint16Array([9, 513, 9]).subarray(1, 2));
        await peer.send(new Blob(['a blob'], { type: 'text/plain' }));
        await peer.send(new File(['a file'], 'a.txt'));
        await peer.send('with metadata', { metadata: { mood: 'good' } });
      });
      await logged(page, `message ${from}`, 8);
      const received = await page.evaluate(() => /** @type {any} */ (globalThis).received);
      const common = { from, complete: true, metadata: null };
      assert.deepEqual(received, [
        { ...common, type: 'String', json: '"text 🎉"' },
        { ...common, type: 'Object', json: '{"list":[1,null],"__proto__":7}' },
        { ...common, type: 'Null', json: 'null' },
        { ...common, type: 'ArrayBuffer', bytes: [1, 2, 3] },
        { ...common, type: 'ArrayBuffer', bytes: [1, 2] },
        { ...common, type: 'Blob', size: 6, mime: 'text/plain', text: 'a blob' },
        { ...common, type: 'File', name: 'a.txt', size: 6, mime: '', text: 'a file' },
        { ...common, type: 'String', json: '"with metadata"', metadata: { mood: 'good' } },
      ]);
    }
  });

  test(`20 MB arrive with progress and a bounded buffer, between Chromium and ${name}`, async () => {
    const [ann, bob] = await Promise.all([chromium.open('ann'), other.open('bob')]);
    await meet(ann, bob);
    await bob.evaluate(() => {
      /** @type {any} */
      const result = { progress: [] };
      Object.assign(globalThis, { result });
      room.on('progress', (/** @type {any} */ { received, total, metadata }) =>
        result.progress.push([received, total, metadata]),
      );
      room.on('message', (/** @type {any} */ { data }) => {
        if (!(data instanceof ArrayBuffer)) return;
        const bytes = new Uint8Array(data);
        result.length = bytes.length;
        result.wrong = bytes.findIndex((byte, at) => byte !== at % 251);
      });
    });
    const sent = await ann.evaluate(async () => {
      const peer = room.peers.get('bob');
      const bytes = Uint8Array.from({ length: 2e7 }, (_, at) => at % 251);
      /** @type {number[]} */
      const progress = [];
      const onProgress = (/** @type {any} */ { sent }) => progress.push(sent);
      await peer.send(bytes, { metadata: 'large', onProgress });
      return progress;
    });
    await logged(bob, 'message ann', 1, 15_000);
    const { progress, length, wrong } = await bob.evaluate(
      () => /** @type {any} */ (globalThis).result,
    );
    assert.deepEqual([length, wrong], [2e7, -1]);
    assert.ok(progress.length > 100 && sent.length > 100);
    assert.deepEqual(progress.at(-1), [2e7, 2e7, 'large']);
    assert.equal(sent.at(-1), 2e7);
    for (const list of [sent, progress.map(([received]) => received)])
      assert.ok(list.every((value, at) => value > (list[at - 1] ?? 0)));
  });
}
