// @ts-check
/** Runs each sample of docs/recipes.md in pages of another origin than the server. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { plays, runSample, samplesOf, shows } from '../support/samples.mjs';
import { Site } from '../support/site.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
const pages = new Pages();
/** The samples run on pages of another origin than the server. */
const site = new Site();
useFixtures(site, pages, {
  start: async () => (workerd = await startWorkerd({ main: {} }, { assets: true })),
  stop: () => workerd?.stop(),
});

const SAMPLES = samplesOf('docs/recipes.md');

/** The room of the current test, which replaces the room of the samples. */
let room = '';
beforeEach(() => void (room = newRoom()));

/**
 * Runs the sample of a section in a new page.
 * @param {string} name of the page
 * @param {string} heading
 * @param {string} [more] code that has access to the sample
 */
async function run(name, heading, more = '') {
  const [sample] = SAMPLES.get(heading) ?? [];
  assert.ok(sample, heading);
  return runIn(name, `${sample.replace('"Ann"', JSON.stringify(name))}\n${more}`);
}

/** Runs code in a new page. @param {string} name @param {string} code */
async function runIn(name, code) {
  const page = await pages.open(name, site.origin);
  await runSample(page, code, workerd.at.main, room);
  return page;
}

/** Runs an expression in a page. @param {Page} page @param {string} code */
const evaluate = (page, code) => page.evaluate(code);

/** Runs the sample of a section in the pages of Ann and Bob. @param {string} heading @param {string} [more] */
const runTwice = async (heading, more) => [
  await run('Ann', heading, more),
  await run('Bob', heading, more),
];

/** `readme.test.mjs` compares these samples with those of other pages, which have tests. */
const COPIES = ['Only your users', 'A bot in Node'];

/** The tests of the other sections that have samples, by heading. @type {Record<string, () => Promise<void>>} */
const RECIPES = {
  Chat: async () => {
    const [ann, bob] = await runTwice('Chat', 'globalThis.say = say;');
    await shows(ann, 'Bob joined');
    await evaluate(ann, 'say("hello")');
    await shows(ann, 'me: hello');
    await shows(bob, 'Ann: hello');
    await bob.close();
    await shows(ann, 'Bob left');
  },

  Files: async () => {
    const expose = 'Object.assign(globalThis, { room, sendFile });';
    const [ann, bob] = await runTwice('Files', expose);
    await until(ann, 'the room has a peer', () => /** @type {any} */ (globalThis).room?.peers.size);
    await evaluate(
      ann,
      'sendFile(new File([new Uint8Array(1e6)], "map.html", { type: "text/html" }))',
    );
    for (const text of ['1000000 of 1000000 bytes', 'sent']) await shows(ann, text);
    await shows(bob, 'of 1000000 bytes from');
    const link = bob.getByRole('link', { name: 'map.html' });
    const [download] = await Promise.all([bob.waitForEvent('download'), link.click()]);
    assert.equal(download.suggestedFilename(), 'map.html');
    assert.deepEqual(readFileSync(await download.path()), Buffer.alloc(1e6));
  },

  'Positions in a game': async () => {
    const [ann, bob] = await runTwice('Positions in a game');
    const isShown = () =>
      /** @type {any} */ (globalThis).shown?.some((/** @type {string} */ text) =>
        text.endsWith(' is at 0.5, 0.25'),
      );
    // The channel is not open at first, and may lose a position.
    while (!(await bob.evaluate(isShown)))
      await ann.evaluate(() => {
        const where = { clientX: innerWidth / 2, clientY: innerHeight / 4 };
        dispatchEvent(new PointerEvent('pointermove', where));
      });
  },

  'Questions and answers': async () => {
    const [ann, bob] = await runTwice('Questions and answers');
    for (const page of [ann, bob]) await shows(page, `it is ${new Date().getUTCFullYear()}-`);
  },

  'Shared state': async () => {
    const expose = 'Object.assign(globalThis, { room, set, state });';
    const [ann, bob] = await runTwice('Shared state', expose);
    await until(bob, 'the room has a peer', () => /** @type {any} */ (globalThis).room?.peers.size);
    await evaluate(ann, 'set("colour", "red")');
    await shows(bob, 'colour is red');
    await evaluate(bob, 'set("colour", "blue")');
    await shows(ann, 'colour is blue');
    const kim = await run('Kim', 'Shared state', expose);
    await shows(kim, 'colour is blue');
    // Simultaneous changes end with the same value on all sides.
    await Promise.all([ann, bob, kim].map((page, index) => evaluate(page, `set("x", ${index})`)));
    const value = (/** @type {Page} */ page) => evaluate(page, 'state.get("x").value');
    while (new Set(await Promise.all([ann, bob, kim].map(value))).size > 1);
  },

  'Video call': async () => {
    const [ann, bob] = await runTwice('Video call', 'call();');
    const kim = await run('Kim', 'Video call', 'call();');
    for (const page of [ann, bob, kim]) await plays(page, 2);
    await kim.close();
    await plays(ann, 1);
  },

  Mute: async () => {
    const expose = 'Object.assign(globalThis, { muteMicrophone, turnCameraOff }); call();';
    const [ann, bob] = await runTwice('Mute', expose);
    await shows(ann, 'microphone on, camera on');
    await evaluate(bob, 'muteMicrophone(true)');
    await shows(ann, 'microphone off, camera on');
    await evaluate(bob, 'turnCameraOff(true)');
    await shows(ann, 'microphone off, camera off');
    await evaluate(bob, 'muteMicrophone(false)');
    await shows(ann, 'microphone on, camera off');
    await shows(await run('Kim', 'Mute', 'call();'), 'microphone on, camera off');
  },

  'Share the screen': async () => {
    const keepTrack = `
      const capture = navigator.mediaDevices.getDisplayMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getDisplayMedia = async () => {
        const stream = await capture();
        globalThis.screenTrack = stream.getVideoTracks()[0];
        return stream;
      };`;
    const expose = `${keepTrack} globalThis.share = shareScreen;`;
    const [ann, bob] = await runTwice('Share the screen', expose);
    await until(ann, 'the sample has run', () => 'share' in globalThis);
    await evaluate(ann, 'share()');
    await plays(bob, 1);
    // The user ends a capture in the interface of the browser, which a test cannot click.
    await evaluate(ann, 'screenTrack.dispatchEvent(new Event("ended"))');
    await plays(bob, 0);
  },

  'Two people only': async () => {
    const [ann, bob] = await runTwice('Two people only');
    for (const page of [ann, bob]) await shows(page, 'you talk with');
    await shows(await run('Kim', 'Two people only'), 'Two people are here already.');
  },

  Names: async () => {
    const [ann, bob] = await runTwice('Names');
    await shows(ann, 'Bob likes green');
    await shows(bob, 'Ann likes green');
  },

  React: async () => {
    const [hook, chat] = SAMPLES.get('React') ?? [];
    const app = `${hook}${chat}
      import { StrictMode } from "react";
      import { createRoot } from "react-dom/client";
      globalThis.reactRoot = createRoot(document.body.appendChild(document.createElement("main")));
      reactRoot.render(<StrictMode><Chat /></StrictMode>);`;
    const ann = await runIn('Ann', app);
    const bob = await runIn('Bob', app.replace('"Ann"', '"Bob"'));
    const has = (/** @type {Page} */ page, /** @type {string} */ text) =>
      until(
        page,
        `it has ${text}`,
        (text) => document.querySelector('main')?.innerText === text,
        text,
      );
    await has(ann, 'Others here: Bob\n\nSay hello');
    await has(bob, 'Others here: Ann\n\nSay hello');
    await ann.getByRole('button').click();
    await has(bob, 'Others here: Ann\n\nAnn: hello\n\nSay hello');
    await evaluate(ann, 'reactRoot.unmount()');
    await has(bob, 'Others here:\n\nAnn: hello\n\nSay hello');
  },
};

for (const [heading, recipe] of Object.entries(RECIPES))
  test(`the recipe "${heading}" works`, recipe);

test('every recipe with a sample has a test', () => {
  assert.deepEqual([...SAMPLES.keys()].toSorted(), [...COPIES, ...Object.keys(RECIPES)].toSorted());
});
