// @ts-check
/** Tests descriptions that grow, are too large, contradict each other, or cannot be set. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  connected,
  join,
  log,
  logged,
  meet,
  newRoom,
  start,
  talk,
  until,
} from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { hold, release } from '../support/wire.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages(dev);
useFixtures(dev, pages);

/** Longer than the restart timer, which fires after 6 to 10 seconds. */
const AFTER_RESTART = 14_000;

/**
 * Adds a track and removes it again, `times` times. Each change is negotiated before the next.
 * Returns the largest number of media sections in a description.
 * @param {Page} page
 * @param {string} id
 * @param {number} times
 */
const toggle = (page, id, times) =>
  page.evaluate(async ([id, times]) => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get(id);
    const { stream } = new AudioContext().createMediaStreamDestination();
    const [track] = stream.getTracks();
    let most = 0;
    const negotiated = async (/** @type {any} */ sender, /** @type {string} */ direction) => {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        most = Math.max(most, connection.localDescription.sdp.match(/^m=/gm).length);
        const all = connection.getTransceivers();
        const it = all.find((/** @type {any} */ it) => it.sender === sender);
        // The library may have stopped the transceiver already.
        const isDone = it ? it.currentDirection === direction : direction === 'inactive';
        if (isDone && connection.signalingState === 'stable') return;
      }
    };
    for (let count = 0; count < times; count += 1) {
      const sender = connection.addTrack(track, stream);
      await negotiated(sender, 'sendonly');
      connection.removeTrack(sender);
      await negotiated(sender, 'inactive');
    }
    return most;
  }, /** @type {[string, number]} */ ([id, times]));

test('descriptions stay small when tracks are added and removed again and again', async () => {
  const [ann, bob] = await pages.pair();
  await meet(ann, bob);
  // One data channel, and one track more than the transceivers that are kept.
  assert((await toggle(ann, 'bob', 8)) <= 7);
  await talk(ann, 'ann', bob, 'bob', 'hello');
});

test('of five transceivers on hold, only the oldest is stopped', async () => {
  const [ann, bob] = await pages.pair();
  await meet(ann, bob);
  await ann.evaluate(() => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
    const context = new AudioContext();
    for (let count = 0; count < 5; count += 1) {
      const { stream } = context.createMediaStreamDestination();
      connection.addTrack(stream.getTracks()[0], stream);
    }
    Object.assign(globalThis, { connection, senders: connection.getSenders() });
  });
  const haveDirection = (/** @type {[number, string]} */ [count, direction]) => {
    const { connection } = /** @type {any} */ (globalThis);
    const all = connection.getTransceivers();
    return (
      connection.signalingState === 'stable' &&
      all.length === count &&
      all.every((/** @type {any} */ it) => it.currentDirection === direction)
    );
  };
  /** @param {string} direction */
  const direct = (direction) =>
    ann.evaluate((direction) => {
      for (const transceiver of /** @type {any} */ (globalThis).connection.getTransceivers())
        transceiver.direction = direction;
    }, direction);
  await until(ann, 'ann sends', haveDirection, /** @type {[number, string]} */ ([5, 'sendonly']));
  await direct('inactive');
  await until(
    ann,
    'one is stopped',
    haveDirection,
    /** @type {[number, string]} */ ([4, 'inactive']),
  );
  await direct('sendonly');
  await until(ann, 'four resume', haveDirection, /** @type {[number, string]} */ ([4, 'sendonly']));
  const stopped = await ann.evaluate(() => {
    const { connection, senders } = /** @type {any} */ (globalThis);
    const all = connection.getTransceivers().map((/** @type {any} */ { sender }) => sender);
    return senders.map((/** @type {any} */ sender) => !all.includes(sender));
  });
  assert.deepEqual(stopped, [true, false, false, false, false]);
});

test('an offer that is too large is an error, and its connection and the room go on', async () => {
  const [ann, bob] = await pages.pair();
  await meet(ann, bob);
  await ann.evaluate(() => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
    for (let count = 0; count < 40; count += 1) connection.addTransceiver('video');
  });
  await logged(ann, 'error too-large');
  await talk(ann, 'ann', bob, 'bob', 'hello');
  // The peer's offers are still answered.
  await bob.evaluate(() => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('ann');
    connection.addTransceiver('video');
  });
  await logged(ann, 'track bob');
  await connected(bob, 'ann');
  await ann.evaluate(() => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('bob');
    const isUnused = (/** @type {RTCRtpTransceiver} */ { mid }) => mid === null;
    const [, ...unused] = connection.getTransceivers().filter(isUnused);
    for (const transceiver of unused) transceiver.stop();
  });
  await logged(bob, 'track ann', 1, AFTER_RESTART);
  assert.deepEqual(
    (await log(ann)).filter((line) => /^(leave|close)/.test(line)),
    [],
  );
});

test('an application signal that is too large is an error, and the room goes on', async () => {
  const [ann, bob] = await pages.pair();
  await meet(ann, bob);
  await ann.evaluate(() => {
    const { room } = /** @type {any} */ (globalThis);
    room.signal('picture', 'x'.repeat(65_536), 'bob');
    room.signal('wave', null, 'bob');
  });
  await logged(ann, 'error too-large');
  await logged(bob, 'signal ann wave');
});

/**
 * Connects ann, who uses the library, with a client that does not. Ann answers the first offer, so
 * her DTLS role is `active`. `alter` runs in eve's page and changes the SDP of each later answer.
 * @param {(sdp: string) => string} alter
 */
async function meetAltering(alter) {
  const [ann, eve] = await Promise.all([pages.open('ann'), pages.open('eve')]);
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await start(eve, 'Perfect', room, 'eve');
  await logged(eve, 'open ann');
  await connected(ann, 'eve');
  await eve.evaluate((alter) => {
    const { device } = /** @type {any} */ (globalThis);
    // This client does not handle the errors that follow from its own answers.
    addEventListener('unhandledrejection', (event) => {
      event.preventDefault();
      device.log.push(`error ${event.reason}`);
    });
    const change = new Function('sdp', `return (${alter})(sdp)`);
    const signal = device.signal.bind(device);
    device.signal = (/** @type {string} */ type, /** @type {string} */ to, /** @type {any} */ it) =>
      signal(type, to, type === 'answer' ? { type, sdp: change(it.sdp) } : it);
    Object.assign(globalThis, { honest: () => (device.signal = signal) });
  }, alter.toString());
  return { ann, eve };
}

/** Makes ann offer an audio track to eve. @param {Page} ann */
const offerAudio = (ann) =>
  ann.evaluate(() => {
    const { connection } = /** @type {any} */ (globalThis).room.peers.get('eve');
    connection.addTransceiver('audio');
  });

test('an answer that changes the DTLS role, as answers of Firefox do, is set', async () => {
  const { ann, eve } = await meetAltering((sdp) =>
    sdp.replaceAll('a=setup:passive', 'a=setup:active'),
  );
  await ann.evaluate(() =>
    /** @type {any} */ (globalThis).room.peers.get('eve').connection.restartIce(),
  );
  await logged(eve, 'state stable', 2);
  await connected(ann, 'eve');
  await offerAudio(ann);
  await logged(eve, 'track ann');
  await connected(ann, 'eve');
  assert.deepEqual(
    (await log(ann)).filter((line) => /^(leave|error)/.test(line)),
    [],
  );
});

test('an answer that cannot be set delays our offers, but not those of the peer', async () => {
  const { ann, eve } = await meetAltering(() => 'nonsense');
  await offerAudio(ann);
  await logged(ann, 'error negotiation');
  await connected(ann, 'eve');
  await eve.evaluate(() => {
    /** @type {any} */ (globalThis).honest();
    /** @type {any} */ (globalThis).device.peer.addTransceiver('video');
  });
  await logged(ann, 'track eve');
  await until(
    ann,
    'its audio track is negotiated',
    () =>
      /** @type {any} */ (globalThis).room.peers
        .get('eve')
        .connection.getTransceivers()
        .every((/** @type {any} */ { currentDirection }) => currentDirection),
    undefined,
    AFTER_RESTART,
  );
});

test('an answer after which the browser refuses every call leads to a new peer', async () => {
  const { ann, eve } = await meetAltering((sdp) => sdp.replace(/a=setup:\w+/g, 'a=setup:actpass'));
  await offerAudio(ann);
  await logged(ann, 'error negotiation');
  await logged(ann, 'leave eve');
  await logged(ann, 'peer eve', 2);
});

test('in glare, the side that can take its offer back is polite, whatever the server says', async () => {
  // Ann is polite for the server. Bob claims to be Firefox, which can always take an offer back.
  const firefox = {
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0',
  };
  const [ann, bob] = await Promise.all([pages.open('ann'), pages.open('bob', '/', firefox)]);
  await meet(ann, bob);
  await Promise.all([hold(ann), hold(bob)]);
  for (const [page, id] of /** @type {[Page, string][]} */ ([
    [ann, 'bob'],
    [bob, 'ann'],
  ])) {
    await page.evaluate((id) => {
      const { connection } = /** @type {any} */ (globalThis).room.peers.get(id);
      connection.addTransceiver('audio');
    }, id);
    await until(
      page,
      'an offer is pending',
      (id) =>
        /** @type {any} */ (globalThis).room.peers.get(id).connection.signalingState ===
        'have-local-offer',
      id,
    );
  }
  await Promise.all([release(ann), release(bob)]);
  await logged(ann, 'track bob');
  await logged(bob, 'track ann');
  const ignored = (/** @type {Page} */ page) =>
    page.evaluate(() =>
      /** @type {any} */ (globalThis).trace.some(
        (/** @type {any} */ { type }) => type === 'ignore-offer',
      ),
    );
  assert.deepEqual(await Promise.all([ignored(ann), ignored(bob)]), [true, false]);
});
