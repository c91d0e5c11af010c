// @ts-check
/** Messages of all kinds and sizes between two pages with the library. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, meet, newRoom, start } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { some } from '../support/tier.mjs';

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
      const entry = {
        type: Object.prototype.toString.call(data).slice(8, -1),
        metadata: metadata ?? null,
      };
      received.push(entry);
      if (data instanceof Blob)
        Object.assign(entry, { name, size, mime: type, text: await data.text() });
      else if (byteLength !== undefined) Object.assign(entry, { bytes: [...new Uint8Array(data)] });
      else Object.assign(entry, { json: JSON.stringify(data) });
      Object.assign(entry, { from: peer.id, complete: true });
    });
  });
}

for (const other of some([firefox, chromium])) {
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
        { ...common, type: 'Blob', size: 6, mime: 'text/plain', text: 'a blob', name: undefined },
        { ...common, type: 'File', name: 'a.txt', size: 6, mime: '', text: 'a file' },
        { ...common, type: 'String', json: '"with metadata"', metadata: { mood: 'good' } },
      ]);
    }
  });

  test(`20 MB arrive with progress, between Chromium and ${name}`, async () => {
    const [ann, bob] = await Promise.all([chromium.open('ann'), other.open('bob')]);
    await meet(ann, bob);
    await bob.evaluate(() => {
      /** @type {any} */
      const result = { progress: [], order: [] };
      Object.assign(globalThis, { result });
      room.on('progress', (/** @type {any} */ { received, total, metadata }) => {
        if (total === 2e7 && metadata === 'large') result.progress.push(received);
      });
      room.on('message', (/** @type {any} */ { data, metadata }) => {
        result.order.push(metadata ?? data);
        if (metadata !== 'large') return;
        const bytes = new Uint8Array(data);
        result.length = bytes.length;
        result.wrong = bytes.findIndex((byte, at) => byte !== at % 251);
      });
    });
    const { progress, buffered } = await ann.evaluate(async () => {
      const peer = room.peers.get('bob');
      let buffered = 0;
      const { send } = RTCDataChannel.prototype;
      RTCDataChannel.prototype.send = function (/** @type {any} */ data) {
        send.call(this, data);
        buffered = Math.max(buffered, this.bufferedAmount);
      };
      /** @type {number[]} */
      const progress = [];
      const bytes = Uint8Array.from({ length: 2e7 }, (_, at) => at % 251);
      const sent = peer.send(bytes, {
        metadata: 'large',
        onProgress(/** @type {any} */ it) {
          if (it.peer !== peer || it.total !== 2e7) throw new Error('wrong progress');
          if (progress.push(it.sent) === 10) peer.send('text');
        },
      });
      bytes.fill(255); // the library has copied them
      peer.send(new Blob(['x'.repeat(2e6)]), { metadata: 'smaller' });
      await sent;
      return { progress, buffered };
    });
    await logged(bob, 'message ann', 3, 12_000);
    const result = await bob.evaluate(() => /** @type {any} */ (globalThis).result);
    assert.deepEqual([result.length, result.wrong], [2e7, -1]);
    assert.deepEqual(result.order, ['text', 'smaller', 'large']);
    assert.ok(buffered < 330_000, `${buffered} bytes were in the buffer`);
    for (const list of [progress, result.progress]) {
      assert.ok(list.length > 100);
      assert.ok(
        list.every(
          (/** @type {number} */ it, /** @type {number} */ at) => it > (list[at - 1] ?? 0),
        ),
      );
      assert.equal(list.at(-1), 2e7);
    }
  });
}

test('a message that is cancelled or refused rejects, and the next message arrives', async () => {
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => chromium.open(name)));
  const name = newRoom();
  await join(ann, name, { id: 'ann' });
  await logged(ann, 'state joined');
  await join(bob, name, { id: 'bob', maxMessageSize: 1_500_000 });
  await connected(ann, 'bob');
  const outcomes = await ann.evaluate(async () => {
    const peer = room.peers.get('bob');
    const large = new Blob(['x'.repeat(3e6)]);
    const errorOf = (/** @type {Promise<void>} */ sent) =>
      sent.then(
        () => 'sent',
        ({ name, message }) => `${name}: ${message}`,
      );
    const controller = new AbortController();
    const { signal } = controller;
    let events = 0;
    const onProgress = () => {
      events += 1;
      controller.abort();
    };
    const cancelled = await errorOf(peer.send('x'.repeat(1.4e6), { signal, onProgress }));
    const atOnce = await errorOf(peer.send('x', { signal }));
    // 20 of them begin only if the receiver has dropped the cancelled ones.
    for (let count = 0; count < 20; count += 1) {
      const each = new AbortController();
      const onProgress = () => each.abort();
      await errorOf(peer.send('x'.repeat(1e6), { signal: each.signal, onProgress }));
    }
    const refused = await errorOf(peer.send(large));
    const sent = await Promise.all(
      Array.from({ length: 30 }, (_, at) => errorOf(peer.send(new Blob([`b${at}`])))),
    );
    const last = await errorOf(peer.send({ as: 'object' }));
    return { cancelled, atOnce, refused, sent: [...new Set(sent)], last, events };
  });
  assert.match(outcomes.cancelled, /^AbortError/);
  assert.match(outcomes.atOnce, /^AbortError/);
  assert.match(outcomes.refused, /^OperationError: 3000000 bytes: expected at most 1500000/);
  assert.deepEqual([outcomes.sent, outcomes.last], [['sent'], 'sent']);
  assert.ok(outcomes.events < 10, 'a cancelled message sends nothing more');
  await logged(bob, 'message ann', 31);
  const heard = (await log(bob)).filter((line) => line.startsWith('message'));
  assert.deepEqual([...new Set(heard)].sort(), [
    'message ann [object Blob]',
    'message ann [object Object]',
  ]);
});

test('a message ends with the connection, and what is not JSON is refused at once', async () => {
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => chromium.open(name)));
  await meet(ann, bob);
  const errors = await ann.evaluate(async () => {
    const peer = room.peers.get('bob');
    const nameOf = (/** @type {() => unknown} */ action) => {
      try {
        return String(action());
      } catch (error) {
        const { name, message } = /** @type {Error} */ (error);
        return message.startsWith('cannot send') ? message : name;
      }
    };
    /** @type {any} */
    const cycle = {};
    cycle.cycle = cycle;
    const atOnce = [undefined, () => {}, 1n, cycle].map((data) => nameOf(() => peer.send(data)));
    atOnce.push(nameOf(() => peer.send('x', { metadata: 'x'.repeat(17_000) })));
    const asked = peer.ask('never answered');
    const sent = peer.send(new Blob(['x'.repeat(4e7)]), { onProgress: () => peer.cancel() });
    const rejected = (/** @type {any} */ error) => error.name;
    const late = await Promise.all([sent.catch(rejected), asked.catch(rejected)]);
    return [...atOnce, ...late, nameOf(() => peer.send('x'))];
  });
  assert.deepEqual(errors, [
    'cannot send the type undefined: pass JSON, binary data or a Blob',
    'cannot send the type function: pass JSON, binary data or a Blob',
    'TypeError',
    'TypeError',
    'RangeError',
    'NetworkError',
    'NetworkError',
    'InvalidStateError',
  ]);
  await logged(bob, 'relation ann none');
  assert.ok(!(await log(bob)).some((line) => line.startsWith('message')));
});

test('room.send() reaches every peer, and joined and open settle', async () => {
  const [ann, bob, carol] = await Promise.all(
    ['ann', 'bob', 'carol'].map((name) => chromium.open(name)),
  );
  const name = newRoom();
  await join(ann, name, { id: 'ann' });
  await ann.evaluate(async () => {
    await room.joined;
    await room.send('nobody is here');
  });
  for (const page of [bob, carol]) await join(page, name, { id: page === bob ? 'bob' : 'carol' });
  await logged(ann, 'peer', 2);
  const state = await ann.evaluate(async () => {
    const peers = [...room.peers.values()];
    await Promise.all(peers.map(({ open }) => open));
    const ready = peers.map(({ ready }) => ready);
    await room.send({ hello: 'all' });
    return ready;
  });
  assert.deepEqual(state, [true, true]);
  for (const page of [bob, carol]) await logged(page, 'message ann [object Object]');
  const outcomes = await ann.evaluate(async () => {
    const { Room } = await import(/** @type {string} */ ('/room.js'));
    const other = new Room('never', { iceServers: [] });
    const unused = new Room('never', { iceServers: [] });
    unused.close(); // nobody awaits its promise
    other.close();
    const [bob] = room.peers.values();
    bob.connection.close();
    const opening = bob.open;
    room.close();
    const message = (/** @type {Error} */ { message }) => message;
    return [
      await other.joined.catch(message),
      await opening.catch(message),
      await bob.open.catch(message),
    ];
  });
  assert.deepEqual(outcomes, [
    'the room is closed: left',
    'the peer has left',
    'the peer has left',
  ]);
});

test('ask() gets the reply, and rejects after its timeout and its signal', async () => {
  const [ann, bob] = await Promise.all([chromium.open('ann'), firefox.open('bob')]);
  await meet(ann, bob);
  await bob.evaluate(() =>
    room.on('ask', async (/** @type {any} */ { peer, data, reply }) => {
      if (data === 'ignore') return;
      await reply({ to: peer.id, twice: data.n * 2, bulk: 'x'.repeat(data.bulk ?? 0) });
      await reply('a second reply is dropped');
    }),
  );
  const outcomes = await ann.evaluate(async () => {
    const peer = room.peers.get('bob');
    const nameOf = (/** @type {Error} */ { name }) => name;
    const replies = await Promise.all([1, 2].map((n) => peer.ask({ n })));
    const { bulk } = await peer.ask({ n: 1, bulk: 200_000 });
    const late = await peer.ask('ignore', { timeout: 20 }).catch(nameOf);
    const controller = new AbortController();
    const aborted = peer.ask('ignore', { signal: controller.signal }).catch(nameOf);
    controller.abort();
    return { replies, bulk: bulk.length, late, aborted: await aborted };
  });
  assert.deepEqual(outcomes, {
    replies: [
      { to: 'ann', twice: 2, bulk: '' },
      { to: 'ann', twice: 4, bulk: '' },
    ],
    bulk: 200_000,
    late: 'TimeoutError',
    aborted: 'AbortError',
  });
  assert.ok(!(await log(ann)).some((line) => line.startsWith('message')));
});

test('a client without the library gets JSON as text, and binary frames', async () => {
  const [ann, eve] = await Promise.all([chromium.open('ann'), chromium.open('eve')]);
  const name = newRoom();
  await join(ann, name, { id: 'ann' });
  await logged(ann, 'state joined');
  await describe(ann);
  await start(eve, 'Perfect', name, 'eve');
  await connected(ann, 'eve');
  const errors = await ann.evaluate(async () => {
    const peer = room.peers.get('eve');
    await peer.send('hello');
    await peer.send({ n: 1 });
    await peer.send(new Uint8Array([1, 2]));
    await peer.send(new Blob(['abc']));
    const nameOf = (/** @type {Error} */ { name }) => name;
    return Promise.all([
      peer.send('x', { metadata: 1 }).catch(nameOf),
      peer.send(new Uint8Array(3e5)).catch(nameOf),
      peer.ask('x').catch(nameOf),
    ]);
  });
  assert.deepEqual(errors, Array(3).fill('NotSupportedError'));
  await logged(eve, 'message ann hello');
  await logged(eve, 'message ann {"n":1}');
  await logged(eve, 'message ann [object ', 2);
  await eve.evaluate(() => {
    const { device } = /** @type {any} */ (globalThis);
    device.channel.send('hello');
    device.channel.send(new Uint8Array([0, 0, 0, 0, 1]));
  });
  await logged(ann, 'message eve', 2);
  const received = await ann.evaluate(() => /** @type {any} */ (globalThis).received);
  assert.deepEqual(
    received.map((/** @type {any} */ { type, json, bytes }) => [type, json ?? bytes]),
    [
      ['String', '"hello"'],
      ['ArrayBuffer', [0, 0, 0, 0, 1]],
    ],
  );
});
