// @ts-check
/** Named channels of a room: `room.channel(name, options)`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, log, logged, meet, newRoom, start, until } from '../support/browser.mjs';
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
 * Opens a channel, and lists in `log` what arrives. The global `channels` has the channels by name.
 * @param {Page} page
 * @param {string} name
 * @param {object} [options]
 */
function open(page, name, options) {
  return page.evaluate(([name, options]) => {
    const { log } = /** @type {any} */ (globalThis);
    const channel = room.channel(name, options);
    channel.on('message', (/** @type {any} */ { peer, data }) => {
      const text =
        data instanceof ArrayBuffer ? `bytes ${new Uint8Array(data)}` : JSON.stringify(data);
      log.push(`${name} ${peer.id} ${text}`);
    });
    /** @type {any} */ (globalThis).channels ??= {};
    /** @type {any} */ (globalThis).channels[/** @type {string} */ (name)] = channel;
  }, /** @type {const} */ ([name, options]));
}

/** @param {Page} page @param {string} name @param {unknown} data @param {string} [to] */
function send(page, name, data, to) {
  return page.evaluate(
    ([name, data, to]) => /** @type {any} */ (globalThis).channels[name].send(data, to),
    /** @type {const} */ ([name, data, to]),
  );
}

/** Collects the data channels that the peers of a page create, in the global `incoming`. @param {Page} page */
function collect(page) {
  return page.evaluate(() => {
    /** @type {any[]} */
    const incoming = [];
    Object.assign(globalThis, { incoming });
    const { addEventListener } = RTCPeerConnection.prototype;
    RTCPeerConnection.prototype.addEventListener = function (/** @type {any[]} */ ...args) {
      if (args[0] === 'datachannel')
        addEventListener.call(this, 'datachannel', (event) =>
          incoming.push(/** @type {RTCDataChannelEvent} */ (event).channel),
        );
      return /** @type {any} */ (addEventListener).apply(this, args);
    };
  });
}

for (const other of some([firefox, chromium])) {
  const name = other === chromium ? 'Chromium' : 'Firefox';

  test(`channels reach all peers, also later ones, between Chromium and ${name}`, async () => {
    const [ann, bob, carol] = await Promise.all([
      chromium.open('ann'),
      other.open('bob'),
      chromium.open('carol'),
    ]);
    const name = newRoom();
    await Promise.all([ann, bob, carol].map(collect));
    await join(ann, name, { id: 'ann' });
    await open(ann, 'state');
    await open(ann, 'move', { ordered: false, maxRetransmits: 0 });
    await join(bob, name, { id: 'bob' });
    await open(bob, 'state');
    await open(bob, 'move');
    await logged(ann, 'peer bob');
    await send(ann, 'state', 'queued'); // the connection is not open yet
    await connected(ann, 'bob');
    await connected(bob, 'ann');
    await logged(bob, 'state ann "queued"');
    await join(carol, name, { id: 'carol' });
    await connected(carol, 'ann', 'bob');
    await connected(ann, 'bob', 'carol');
    await open(carol, 'state');
    await send(ann, 'state', { x: 1 });
    await send(bob, 'state', [2], 'ann');
    await ann.evaluate(() =>
      /** @type {any} */ (globalThis).channels.state.send(new Uint8Array([1, 2])),
    );
    for (const page of [bob, carol]) {
      await logged(page, 'state ann {"x":1}');
      await logged(page, 'state ann bytes 1,2');
    }
    await logged(ann, 'state bob [2]');
    const options = await bob.evaluate(() =>
      /** @type {any} */ (globalThis).incoming
        .filter((/** @type {any} */ { protocol }) => protocol === 'partyline.channel')
        .map((/** @type {any} */ it) => `${it.label} ${it.ordered} ${it.maxRetransmits}`),
    );
    assert.deepEqual([...new Set(options)].sort(), ['move false 0', 'state true null']);
    assert.ok(
      !(await carol.evaluate(() => /** @type {any} */ (globalThis).log.join())).includes('[2]'),
      'a message to one peer reaches only that peer',
    );
    await until(ann, 'the channel is open', () => {
      /** @type {any} */ (globalThis).channels.move.send({ y: 2 });
      return true;
    });
    await logged(bob, 'move ann {"y":2}');
  });
}

test('a channel is there again after cancel() and request(), and close() ends it', async () => {
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => chromium.open(name)));
  await meet(ann, bob);
  for (const page of [ann, bob]) await open(page, 'game');
  await send(ann, 'game', 1);
  await logged(bob, 'game ann 1');
  await ann.evaluate(() => room.peers.get('bob').cancel());
  await logged(bob, 'relation ann none');
  await send(ann, 'game', 'to nobody');
  await ann.evaluate(() => room.peers.get('bob').request());
  await connected(ann, 'bob');
  await send(ann, 'game', 2);
  await send(bob, 'game', 3);
  await logged(bob, 'game ann 2');
  await logged(ann, 'game bob 3');
  const [isSame, errors] = await ann.evaluate(async () => {
    const { channels } = /** @type {any} */ (globalThis);
    const nameOf = (/** @type {() => void} */ action) => {
      try {
        return action() ?? 'sent';
      } catch (error) {
        return /** @type {Error} */ (error).name;
      }
    };
    const { game } = channels;
    const isSame = room.channel('game') === game;
    const errors = [
      nameOf(() => game.send('x'.repeat(64_000))),
      nameOf(() => game.send(new Blob(['x']))),
      nameOf(() => game.send(undefined)),
      nameOf(() => game.send('x', 'nobody')),

      nameOf(() => room.channel('other', { maxRetransmits: -1 })),
    ];
    game.close();
    errors.push(nameOf(() => game.send('x')));
    const reopened = room.channel('game');
    if (reopened === game) errors.push('still the closed channel');
    game.close(); // does not close the new channel
    if (room.channel('game') !== reopened) errors.push('closed the new channel');
    reopened.send('reopened');
    return /** @type {const} */ ([isSame, errors]);
  });
  assert.ok(isSame);
  assert.deepEqual(errors, [
    'TypeError',
    'TypeError',
    'TypeError',
    'InvalidStateError',
    'RangeError',
    'InvalidStateError',
  ]);
  await logged(bob, 'game ann "reopened"');
  assert.ok(
    !(await bob.evaluate(() => /** @type {any} */ (globalThis).log.join())).includes('nobody'),
  );
});

test('a channel holds 1 MiB for a peer, then a reliable one refuses and another drops', async () => {
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => chromium.open(name)));
  await meet(ann, bob);
  for (const page of [ann, bob]) {
    await open(page, 'reliable');
    await open(page, 'lossy', { maxRetransmits: 0 });
  }
  for (const name of ['reliable', 'lossy']) {
    await send(ann, name, 'first');
    await logged(bob, `${name} ann "first"`);
  }
  const outcome = await ann.evaluate(() => {
    const { channels } = /** @type {any} */ (globalThis);
    const data = 'x'.repeat(60_000);
    let sent = 0;
    try {
      for (; sent < 1_000; sent += 1) channels.reliable.send(data);
    } catch (error) {
      for (let count = 0; count < 1_000; count += 1) channels.lossy.send(data);
      return [sent, /** @type {Error} */ (error).name];
    }
  });
  const [sent, error] = outcome ?? [];
  assert.ok(Number(sent) >= 17 && Number(sent) < 100, `${sent}`);
  assert.equal(error, 'OperationError');
  await logged(bob, 'reliable ann', Number(sent) + 1);
});

test('a name that no data channel can have is refused at once', async () => {
  const ann = await chromium.open('ann');
  await join(ann, newRoom());
  const name = await ann.evaluate(() => {
    room.channel('x'.repeat(65_535));
    try {
      room.channel('é'.repeat(32_768));
    } catch (/** @type {any} */ { name }) {
      return name;
    }
  });
  assert.equal(name, 'RangeError');
});

test('what is not JSON, or for a channel that is not open, is dropped', async () => {
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => chromium.open(name)));
  await meet(ann, bob);
  await open(ann, 'game');
  await bob.evaluate(async () => {
    const { connection } = room.peers.get('ann');
    for (const [label, text] of [
      ['game', '{'],
      ['nowhere', '1'],
      ['game', '"valid"'],
    ]) {
      const channel = connection.createDataChannel(label, { protocol: 'partyline.channel' });
      await new Promise((resolve) => channel.addEventListener('open', resolve));
      channel.send(text);
    }
  });
  await logged(ann, 'game bob "valid"');
  const lines = (await log(ann)).filter((line) => /^(game|message|error)/.test(line));
  assert.deepEqual(lines, ['game bob "valid"']);
});

test('a client without the library gets no named channel', async () => {
  const [ann, eve] = await Promise.all(['ann', 'eve'].map((name) => chromium.open(name)));
  const name = newRoom();
  await join(ann, name, { id: 'ann' });
  await logged(ann, 'state joined');
  await open(ann, 'game');
  await start(eve, 'Perfect', name, 'eve');
  await connected(ann, 'eve');
  await ann.evaluate(() => {
    const { game } = /** @type {any} */ (globalThis).channels;
    for (let count = 0; count < 30; count += 1) game.send('x'.repeat(60_000)); // nothing is queued
    return room.send('goodbye');
  });
  await logged(eve, 'message ann goodbye');
  const lines = (await log(eve)).filter((line) => /^(message|open)/.test(line));
  assert.deepEqual(lines, ['open ann', 'message ann goodbye']);
});
