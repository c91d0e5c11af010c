// @ts-check
/** Streams for every peer: `addStream`, `removeStream`, `replaceTrack` and `mute` in both browsers. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { connected, logged, newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { PAIRS } from '../support/firefox.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { decodes } from '../support/media.mjs';
import { some } from '../support/tier.mjs';
import { hold, release } from '../support/wire.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const server = new Deployed();
const pages = { Chromium: new Pages(server, 'Chromium'), Firefox: new Pages(server, 'Firefox') };
useFixtures(server, pages.Chromium, pages.Firefox);

// Globals of the pages, see `prepare`. TypeScript needs these declarations to check the functions
// that run in the pages.
/** @type {any} */
let room;
/** @type {any} */
let stream;
/** @type {any} */
let enter;

/**
 * Opens a page with a small stream in the global variable `stream`. Its function `enter` joins a room
 * and logs each track and each mute state that it gets from a peer.
 * @param {'Chromium' | 'Firefox'} browser
 * @param {string} id
 * @param {string} name of the room
 */
async function prepare(browser, id, name) {
  const page = await pages[browser].open(id, '/health');
  await page.evaluate(
    async ([id, name]) => {
      const { Room } = await import(/** @type {string} */ ('/room.js'));
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: true,
        video: { width: 320, height: 240 },
      });
      /** @type {string[]} */
      const log = [];
      const enter = (/** @type {object} */ options) => {
        /** @type {import('../../public/room.js').Room} */
        const room = new Room(name, { id, key: `secret of ${id}`, iceServers: [], ...options });
        Object.assign(globalThis, { room });
        const describe = (/** @type {any} */ { peer, metadata, muted, stream }) =>
          `${peer.id} ${stream?.id} ${JSON.stringify({ metadata, ...muted })}`;
        room.on('state', ({ state }) => log.push(`state ${state}`));
        room.on('peer', ({ peer }) => log.push(`peer ${peer.id}`));
        room.on('relation', ({ peer, relation }) => log.push(`relation ${peer.id} ${relation}`));
        room.on('error', ({ code, message }) => log.push(`error ${code} ${message}`));
        room.on('track', (detail) => {
          const [stream] = detail.streams;
          log.push(`track ${detail.track.kind} ${describe({ ...detail, stream })}`);
          if (detail.track.kind === 'video')
            log.push(`track ${detail.camera ? 'camera' : 'screen'}`);
          stream?.addEventListener('removetrack', () => log.push(`left ${stream.id}`));
        });
        room.on('mute', (detail) => log.push(`mute ${describe(detail)}`));
      };
      Object.assign(globalThis, { stream, log, enter });
    },
    [id, name],
  );
  return page;
}

/** @param {Page} page @returns {Promise<string>} the id of its stream */
const streamOf = (page) => page.evaluate(() => stream.id);

/** The number of descriptions that a page has sent. @param {Page} page @returns {Promise<number>} */
const descriptions = (page) =>
  page.evaluate(
    () =>
      /** @type {any} */ (globalThis).wire.passed.filter((/** @type {string} */ line) =>
        /^out (offer|answer)/.test(line),
      ).length,
  );

/** Returns the lines of a page's log that begin with a text. @param {Page} page @param {string} start */
const linesOf = (page, start) =>
  page.evaluate(
    (start) =>
      /** @type {{ log: string[] }} */ (/** @type {any} */ (globalThis)).log.filter((line) =>
        line.startsWith(start),
      ),
    start,
  );

/** @type {typeof PAIRS} */
const ALL_PAIRS = [...PAIRS.slice(1), ['Chromium', 'Chromium'], PAIRS[0]];

for (const [first, second] of some(ALL_PAIRS))
  test(`streams reach late joiners, and stay the same when tracks change: ${first}, ${second}`, async () => {
    const name = newRoom();
    const [ann, bob] = await Promise.all([
      prepare(first, 'ann', name),
      prepare(second, 'bob', name),
    ]);
    await ann.evaluate(() => {
      enter();
      room.addStream(stream, { metadata: { title: 'Ann’s camera' } });
      room.mute(stream, { audio: true });
    });
    await logged(ann, 'state joined');
    await bob.evaluate(() => {
      enter();
      room.addStream(stream);
    });
    await connected(ann, 'bob');
    const [anns, bobs] = [await streamOf(ann), await streamOf(bob)];
    const metadata = '{"metadata":{"title":"Ann’s camera"}';
    for (const kind of ['audio', 'video']) {
      await logged(bob, `track ${kind} ann ${anns} ${metadata},"audio":true,"video":false}`);
      await logged(ann, `track ${kind} bob ${bobs} {"audio":false,"video":false}`);
    }
    await decodes(bob, 'room.peers.get("ann").connection');
    await connected(bob, 'ann');

    const before = await descriptions(ann);
    const replaced = await ann.evaluate(() => {
      const [camera] = stream.getVideoTracks();
      const canvas = document.createElement('canvas');
      canvas.width = 200;
      canvas.height = 100;
      setInterval(() => canvas.getContext('2d')?.fillRect(0, 0, Math.random() * 200, 100), 50);
      const [drawing] = canvas.captureStream().getTracks();
      room.replaceTrack(camera, null);
      room.replaceTrack(camera, drawing);
      return stream.getVideoTracks().length === 1 && stream.getVideoTracks()[0] === drawing;
    });
    assert.equal(replaced, true, 'the stream contains the new track');
    await ann.evaluate(() => room.mute(stream, { audio: false, video: true }));
    await logged(bob, `mute ann ${anns} ${metadata},"audio":false,"video":true}`);
    await ann.evaluate(() => room.mute(stream, { video: false }));
    await until(bob, 'the drawing arrives', () => {
      const [peer] = [...room.peers.values()];
      const [receiver] = peer.connection
        .getReceivers()
        .filter((/** @type {RTCRtpReceiver} */ { track }) => track.kind === 'video');
      const video = document.querySelector('video') ?? document.createElement('video');
      if (!video.srcObject) {
        Object.assign(video, { srcObject: new MediaStream([receiver.track]), muted: true });
        document.body.append(video);
        video.play();
      }
      return video.videoWidth === 200 && video.videoHeight === 100;
    });
    assert.equal(await descriptions(ann), before, 'there was no negotiation');

    await ann.evaluate(() => room.removeStream(stream));
    await logged(bob, `left ${anns}`, 2);
    await ann.evaluate(() => room.addStream(stream, { metadata: 'again' }));
    await logged(bob, `track video ann ${anns} {"metadata":"again","audio":false,"video":false}`);
  });

/** Opens two pages of Chromium in one room. @param {string} [name] of the room */
function pair(name = newRoom()) {
  return Promise.all([prepare('Chromium', 'ann', name), prepare('Chromium', 'bob', name)]);
}

test('tracks that are added to a stream or removed from it follow with the next addStream()', async () => {
  const [ann, bob] = await pair();
  await bob.evaluate(() => enter());
  await ann.evaluate(() => {
    enter();
    const [camera] = stream.getVideoTracks();
    stream.removeTrack(camera);
    room.addStream(stream, { metadata: 7 });
    room.mute(stream, { video: true });
    Object.assign(globalThis, { camera });
  });
  const anns = await streamOf(ann);
  const info = '{"metadata":7,"audio":false,"video":true}';
  await logged(bob, `track audio ann ${anns} ${info}`);
  const enabled = await ann.evaluate(() => {
    const { camera } = /** @type {any} */ (globalThis);
    const [microphone] = stream.getAudioTracks();
    stream.addTrack(camera);
    stream.removeTrack(microphone);
    room.addStream(stream);
    return camera.enabled;
  });
  assert.equal(enabled, false, 'a muted kind stays muted');
  await logged(bob, `track video ann ${anns} ${info}`);
  await logged(bob, `left ${anns}`);
});

test('a track that the application or another stream sends already is sent again', async () => {
  const [ann, bob] = await pair();
  await bob.evaluate(() => enter());
  await ann.evaluate(() => {
    enter();
    const [camera] = stream.getVideoTracks();
    room.on('peer', (/** @type {any} */ { peer }) => {
      peer.connection.addTrack(camera, new MediaStream([camera]));
      room.addStream(stream);
      room.addStream(new MediaStream([camera]), { metadata: 'second' });
    });
  });
  await logged(bob, 'track audio ann');
  await logged(bob, 'track video ann', 3);
  const videos = await linesOf(bob, 'track video');
  assert.equal(new Set(videos).size, 3, `each track has its own stream: ${videos}`);
  await connected(ann, 'bob');
});

test('a peer gets the streams only after an agreement, and again after the next', async () => {
  const [ann, bob] = await pair();
  for (const page of [ann, bob])
    await page.evaluate(() => {
      enter({ connect: 'on-request' });
      room.on('request', (/** @type {any} */ { accept }) => accept());
      room.addStream(stream, { metadata: room.id });
    });
  await logged(ann, 'peer bob');
  await logged(bob, 'peer ann');
  // Reading the connection creates it, but negotiates nothing.
  const before = await ann.evaluate(() => room.peers.get('bob').connection.getSenders().length);
  assert.equal(before, 0, 'nothing is added before the agreement');
  assert.equal(await descriptions(ann), 0);
  for (const times of [1, 2]) {
    await bob.evaluate(() => room.peers.get('ann').request());
    await logged(bob, 'track video ann', times);
    await logged(ann, 'track video bob', times);
    await connected(ann, 'bob');
    await bob.evaluate(() => room.peers.get('ann').cancel());
    await logged(ann, 'relation bob none', times);
  }
  // Without a connection, a change reaches nobody, and is no error.
  await ann.evaluate(() => room.mute(stream, { audio: true }));
});

test('a stale description that arrives after a newer message does not unmute', async () => {
  const [ann, bob] = await pair();
  await bob.evaluate(() => enter());
  await ann.evaluate(() => {
    enter();
    room.addStream(stream);
  });
  await logged(bob, 'track video ann');
  await connected(ann, 'bob');
  await hold(ann);
  await ann.evaluate(() => {
    const [copy] = stream.getAudioTracks().map((/** @type {any} */ track) => track.clone());
    room.peers.get('bob').connection.addTrack(copy, new MediaStream([copy]));
  });
  await until(
    ann,
    'the offer is held',
    () => /** @type {any} */ (globalThis).wire.held.out.length > 0,
  );
  await ann.evaluate(() => room.mute(stream, { audio: true }));
  await logged(bob, 'mute ann');
  await release(ann);
  await logged(bob, 'track audio ann', 2);
  const mutes = await linesOf(bob, 'mute');
  assert.deepEqual(mutes, [`mute ann ${await streamOf(ann)} {"audio":true,"video":false}`]);
});

test('a page that replaces a peer gets the streams', async () => {
  const name = newRoom();
  const [ann, bob] = await pair(name);
  await ann.evaluate(() => {
    enter();
    room.addStream(stream, { metadata: 'for all' });
  });
  await bob.evaluate(() => enter());
  await logged(bob, 'track video ann');
  const again = await prepare('Chromium', 'bob', name);
  await again.evaluate(() => enter());
  const anns = await streamOf(ann);
  await logged(again, `track video ann ${anns} {"metadata":"for all","audio":false,"video":false}`);
  await logged(ann, 'peer bob', 2);
});

test('a table of a peer that is too large or has wrong types changes nothing else', async () => {
  const [ann, bob] = await pair();
  await ann.evaluate(() => enter());
  await bob.evaluate(async () => {
    const { Streams } = await import(/** @type {string} */ ('/streams.js'));
    const globals = /** @type {any} */ (globalThis);
    Object.defineProperty(Streams.prototype, 'table', { get: () => globals.table });
    globals.table = { [stream.id]: { metadata: 'x'.repeat(4_096) } };
    enter();
    room.addStream(stream);
  });
  const bobs = await streamOf(bob);
  await logged(ann, `track video bob ${bobs} {"audio":false,"video":false}`);
  await connected(bob, 'ann');
  // Each of these is a message. The last one shows that all have arrived.
  await bob.evaluate(() => {
    const globals = /** @type {any} */ (globalThis);
    const many = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`other ${at}`, {}]));
    for (const table of [
      { ...many, [stream.id]: { metadata: 'too many' } },
      'text',
      17,
      null,
      [[stream.id]],
      { [stream.id]: null },
      { [stream.id]: { muted: { audio: 'yes', video: 1 }, camera: 'x' } },
      JSON.parse(`{ "__proto__": { "polluted": true, "camera": true } }`),
      { toString: { camera: true } },
      { [stream.id]: { metadata: { __proto__: null, nice: true }, muted: { audio: true } } },
    ]) {
      globals.table = table;
      room.mute(stream, {});
    }
  });
  await logged(ann, `mute bob ${bobs} {"metadata":{"nice":true},"audio":true,"video":false}`);
  assert.equal(await ann.evaluate(() => /** @type {any} */ ({}).polluted), undefined);
  assert.doesNotMatch((await linesOf(ann, '')).join('\n'), /too many|error/);
  assert.match((await linesOf(ann, 'mute')).at(-1) ?? '', /nice/);
});

test('a table of a peer that is nested too deeply is ignored', async () => {
  const page = await prepare('Firefox', 'ann', newRoom());
  // Firefox parses arrays that its `JSON.stringify()` refuses.
  await page.evaluate(async () => {
    const { PeerStreams } = await import(/** @type {string} */ ('/streams.js'));
    const nested = JSON.parse('['.repeat(30_000) + ']'.repeat(30_000));
    const streams = new PeerStreams(new RTCPeerConnection(), { streams: { slots: [] } });
    streams.receive(nested, true);
  });
});

test('the samples of client.md show a camera, mute it and share a screen', async () => {
  const guide = await readFile(new URL('../../docs/client.md', import.meta.url), 'utf8');
  const [, section] = guide.split('\n## Audio, video and your own channels\n');
  const [, call, share] = section.split('\n```js\n').map((text) => text.split('\n```')[0]);
  const [ann, bob] = await pair();
  for (const page of [ann, bob]) await page.evaluate(() => enter());
  const samples = `(async () => { ${call} globalThis.share = async () => { ${share} }; })()`;
  await Promise.all([ann, bob].map((page) => page.evaluate(samples)));
  for (const page of [ann, bob])
    await until(page, 'the camera of the other', () => document.querySelector('[title="Camera"]'));
  await ann.evaluate('share()');
  await until(bob, 'the screen of ann', () => document.querySelector('[title="Screen"]'));
  await logged(bob, 'mute ann');
  // The browser says that it is a screen.
  await logged(bob, 'track screen');
});

test('mistakes are errors that change nothing', async () => {
  const page = await prepare('Chromium', 'ann', newRoom());
  const errors = await page.evaluate(() => {
    enter();
    const attempt = (/** @type {() => void} */ action) => {
      try {
        action();
        return 'no error';
      } catch (error) {
        return String(error);
      }
    };
    const other = new MediaStream();
    room.addStream(stream, { metadata: 'first' });
    return {
      long: attempt(() => room.addStream(stream, { metadata: 'x'.repeat(4_000) })),
      bigint: attempt(() => room.addStream(stream, { metadata: 1n })),
      many: attempt(() => {
        for (let more = 0; more < 16; more++) room.addStream(new MediaStream());
      }),
      mute: attempt(() => room.mute(other, { audio: true })),
      replace: attempt(() => room.replaceTrack(stream.getTracks()[0].clone(), null)),
      remove: attempt(() => room.removeStream(other)),
      option: attempt(() => enter({ limitVideo: 'no' })),
    };
  });
  const tooMuch =
    /^RangeError: expected at most 16 streams, and 4000 characters.*: remove a stream/;
  assert.match(errors.long, tooMuch);
  assert.match(errors.many, tooMuch);
  assert.match(errors.bigint, /^TypeError/);
  assert.equal(errors.mute, 'TypeError: unknown stream: call room.addStream() first');
  assert.equal(errors.replace, 'TypeError: unknown track: call room.addStream() first');
  assert.equal(errors.remove, 'no error');
  assert.match(errors.option, /^TypeError: the option limitVideo/);
});
