// @ts-check
/** Runs the samples in the README of the npm package that package.test.mjs does not run. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { VIDEO_PATIENCE } from '../support/media.mjs';
import { plays, runSample, samplesOf, shows } from '../support/samples.mjs';
import { Site } from '../support/site.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const server = new Deployed();
const pages = new Pages();
const site = new Site();
useFixtures(server, site, pages);

const SAMPLES = samplesOf('package/README.md');
const sample = (/** @type {string} */ heading) => SAMPLES.get(heading)?.[0] ?? '';
/** The first lines of "First room", which the other samples use. */
const ROOM = sample('First room').split('\n').slice(0, 3).join('\n');
const LOG = 'const console = { log: (...words) => show(words.join(" ")) };';

/** The room of the current test. */
let room = '';
beforeEach(() => void (room = newRoom()));

/** Runs code in a new page. @param {string} name @param {string} code */
async function run(name, code) {
  const page = await pages.open(name, site.origin);
  await runSample(page, `${LOG}\n${code}`, server.server, room);
  return page;
}

/** Runs code in the pages of Ann and Bob. @param {string} code @returns {Promise<[Page, Page]>} */
const runTwice = async (code) => [await run('Ann', code), await run('Bob', code)];

/** Shares the screen at a click, and keeps the track, which the test ends. */
const SCREEN = `
  ${sample('Screen')}
  const replace = room.replaceTrack.bind(room);
  room.replaceTrack = (old, track) => {
    globalThis.screenTrack ??= track;
    replace(old, track);
  };
  document.body.addEventListener("click", shareScreen);`;
/** Whether the video is that of a screen, which is 16:9. The camera is 4:3. Runs in the page. */
const isWide = (/** @type {boolean} */ isWide) => {
  const { videoWidth = 0, videoHeight = 1 } = document.querySelector('video') ?? {};
  return videoWidth > 0 && videoWidth / videoHeight > 1.5 === isWide;
};

/** The tests, by heading. @type {Record<string, () => Promise<void>>} */
const SECTIONS = {
  Send: async () => {
    const receive = `room.on("message", ({ data }) =>
      show(JSON.stringify(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data)));`;
    const bob = await run('Bob', `${ROOM}\n${receive}`);
    await run('Ann', `${ROOM}\nroom.on("peer", () => { ${sample('Send')} });`);
    for (const text of ['"text"', '{"x":1,"list":[true,null]}', '[1,2,3]']) await shows(bob, text);
  },

  Files: async () => {
    const input = 'document.body.innerHTML = "<input type=file>";';
    const [ann, bob] = await runTwice(
      `${ROOM}\n${input}\n${sample('Files')}\n globalThis.room = room;`,
    );
    await until(ann, 'bob is here', () => /** @type {any} */ (globalThis).room?.peers.size);
    const buffer = Buffer.alloc(200_000);
    await ann.setInputFiles('input', { name: 'map.html', mimeType: 'text/html', buffer });
    await shows(ann, ': 1');
    await shows(bob, ': 1');
    await bob.getByRole('link', { name: 'map.html' }).waitFor();
  },

  Questions: async () => {
    const answers = await runTwice(`${ROOM}\n${sample('Questions')}`);
    for (const page of answers) await shows(page, 'sum 3');
  },

  Channels: async () => {
    const [ann, bob] = await runTwice(`${ROOM}\n${sample('Channels')}`);
    const isShown = () =>
      /** @type {any} */ (globalThis).shown?.some((/** @type {string} */ text) =>
        / 7 9$/.test(text),
      );
    // The channel is not open at first, and may lose a position.
    while (!(await bob.evaluate(isShown)))
      await ann.evaluate(() =>
        dispatchEvent(new PointerEvent('pointermove', { clientX: 7, clientY: 9 })),
      );
  },

  Mute: async () => {
    const mute = `globalThis.mute = () => { ${sample('Mute')} };`;
    const [ann, bob] = await runTwice(`${ROOM}\n${sample('Calls')}\n${mute}`);
    for (const page of [ann, bob]) await plays(page, 1);
    await bob.evaluate('mute()');
    await ann.evaluate('mute()');
    await shows(bob, 'true false');
  },

  Screen: async () => {
    const [ann, bob] = await runTwice(`${ROOM}\n${sample('Calls')}\n${SCREEN}`);
    for (const page of [ann, bob]) await plays(page, 1);
    await ann.locator('body').dispatchEvent('click');
    await until(bob, 'the screen is shown', isWide, true, VIDEO_PATIENCE);
    await ann.evaluate('screenTrack.dispatchEvent(new Event("ended"))');
    await until(bob, 'the camera is back', isWide, false, VIDEO_PATIENCE);
  },

  Names: async () => {
    const ann = await run('Ann', sample('Names'));
    await run('Bob', sample('Names').replace('"Ann"', '"Bob"'));
    await shows(ann, 'Bob green');
  },

  'Two people only': async () => {
    await runTwice(sample('Two people only'));
    await shows(await run('Kim', sample('Two people only')), 'room-full');
  },
};

for (const [heading, works] of Object.entries(SECTIONS))
  test(`the sample of "${heading}" works`, works);

test('every section with a sample has a test', () => {
  // `package.test.mjs` runs the first two, and `werift.test.mjs` a copy of the last one.
  const tested = ['First room', 'Calls', 'Node', ...Object.keys(SECTIONS)];
  assert.deepEqual([...SAMPLES.keys()].toSorted(), tested.toSorted());
});
