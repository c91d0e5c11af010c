// @ts-check
/** Runs the samples of client.md, connections.md and handshake.md in pages of the Worker. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { runServed, samplesOf, shows } from '../support/samples.mjs';
import { Site } from '../support/site.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const server = new Deployed();
const pages = new Pages(server);
/** What the web server of the test, which is another origin than the Worker, answers. */
let html = '';
const site = new Site((_, response) => response.end(html));
useFixtures(server, site, pages);

const FILE = 'docs/client.md';
const SAMPLES = new Map(
  [FILE, 'docs/connections.md', 'docs/handshake.md'].flatMap((file) => [...samplesOf(file)]),
);

/** The room of the current test, which replaces the room of the samples. */
let room = '';
beforeEach(() => void (room = newRoom()));

const IMPORT = 'import { Room } from "/room.js";';
const ROOM = `${IMPORT} const room = new Room("demo");`;

/** Returns the sample of a section. @param {string} heading @param {string} [part] a part of it */
function sample(heading, part = '') {
  const found = SAMPLES.get(heading)?.find((code) => code.includes(part));
  assert.ok(found, `${heading}: ${part}`);
  return found;
}

/** Runs code in a new page of the Worker. @param {string} name @param {string} code */
async function run(name, code) {
  const page = await pages.open(name, '/health');
  await runServed(page, code, room);
  return page;
}

/** Runs code in two pages. @param {string} code @returns {Promise<[Page, Page]>} */
const runTwice = async (code) => [await run('ann', code), await run('bob', code)];

/** Waits until a page is connected with a peer. @param {Page} page */
const connects = (page) =>
  until(page, 'a peer is connected', () => {
    /** @type {any} */
    const { room } = globalThis;
    return room && [...room.peers.values()].some((/** @type {any} */ peer) => peer.ready);
  });

const LOG = 'const console = { log: (...words) => show(words.join(" ")) };';
const EXPOSE = 'globalThis.room = room;';
const GREET = 'room.on("peer", ({ peer }) => peer.send("hello"));';

/** The tests of the sections that have samples, by heading. @type {Record<string, () => Promise<void>>} */
const SECTIONS = {
  'First room': async () => {
    const [ann, bob] = await runTwice(`${LOG}${sample('First room')}${GREET}`);
    for (const page of [ann, bob]) await shows(page, ' hello');
  },

  'The package': async () => {
    const code = `${sample('The package')}${GREET} room.on("message", ({ data }) => show(data));`;
    for (const page of await runTwice(code)) await shows(page, 'hello');
  },

  Messages: async () => {
    const input = 'const fileInput = document.createElement("input"); fileInput.type = "file";';
    const code = `${IMPORT}${LOG}${input} document.body.append(fileInput);${sample('Messages')}${EXPOSE}`;
    const [ann, bob] = await runTwice(code);
    for (const page of [ann, bob]) await connects(page);
    const buffer = Buffer.alloc(200_000);
    await ann.setInputFiles('input', { name: 'sea.png', mimeType: 'image/png', buffer });
    await shows(ann, '200000 of 200000 bytes');
    await shows(bob, 'sea.png for the album summer');
  },

  'Questions and replies': async () => {
    for (const page of await runTwice(`${LOG}${ROOM}${sample('Questions and replies')}`))
      await shows(page, ' says 1');
  },

  Channels: async () => {
    const [ann, bob] = await runTwice(`${LOG}${ROOM}${sample('Channels')}`);
    const isShown = () =>
      /** @type {any} */ (globalThis).shown?.some((/** @type {string} */ text) =>
        text.endsWith(' 7 9'),
      );
    // The channel is not open at first, and may lose a position.
    while (!(await bob.evaluate(isShown)))
      await ann.evaluate(() => {
        document.dispatchEvent(new PointerEvent('pointermove', { clientX: 7, clientY: 9 }));
      });
  },

  'Names and small rooms': async () => {
    const code = `${IMPORT}const console = { log: (name, data) => show(name + data.color) };`;
    for (const page of await runTwice(`${code}${sample('Names and small rooms')}`))
      await shows(page, 'Annred');
  },

  'Identity after a reload': async () => {
    const code = `${IMPORT}${sample('Identity after a reload')}${EXPOSE}`;
    const page = await run('ann', code);
    const id = async () => {
      await until(page, 'it has joined', () => /** @type {any} */ (globalThis).room?.id);
      return page.evaluate(() => /** @type {any} */ (globalThis).room.id);
    };
    const before = await id();
    assert.match(before, /^k\./);
    await page.reload();
    await runServed(page, code, room);
    assert.equal(await id(), before);
  },

  'Words to compare': async () => {
    const [words, rest] = sample('Words to compare').split('\n\n');
    const check = `globalThis.check = async (peer) => { ${rest} };`;
    const code = `${words}${ROOM}${EXPOSE}${check}`;
    const both = await runTwice(code);
    for (const page of both) await connects(page);
    const shown = await Promise.all(
      both.map((page) =>
        page.evaluate(async () => {
          /** @type {any} */
          const { check, room, shown } = globalThis;
          await check(room.peers.values().next().value);
          return shown[0].replace(/^.*: /, '');
        }),
      ),
    );
    assert.match(shown[0], /^([a-z]+ ){7}[a-z]+$/);
    assert.equal(shown[0], shown[1]);
  },

  'Connection requests': async () => {
    const code = `${IMPORT}${sample('Connection requests')}${EXPOSE}`;
    const [ann, bob] = await runTwice(code);
    const questions = /** @type {string[]} */ ([]);
    bob.on('dialog', (dialog) => {
      questions.push(dialog.message());
      return dialog.accept();
    });
    await until(ann, 'bob is here', () => /** @type {any} */ (globalThis).room.peers.size === 1);
    await ann.evaluate(() => {
      /** @type {any} */ (globalThis).room.peers.values().next().value.request();
    });
    for (const page of [ann, bob]) await connects(page);
    assert.match(questions.join(), /^Talk with .*\?$/);
  },

  'Pausing a step': async () => {
    const button = 'const button = document.body.appendChild(document.createElement("button"));';
    const ann = await run('ann', `${IMPORT}${button}${sample('Pausing a step')}${EXPOSE}`);
    await run('bob', ROOM);
    const steps = () => {
      /** @type {any} */
      const { room } = globalThis;
      return [...room.peers.values()].some((/** @type {any} */ peer) => peer.ready);
    };
    await until(ann, 'bob is here', () => /** @type {any} */ (globalThis).room.peers.size === 1);
    let clicks = 0;
    for (; !(await ann.evaluate(steps)); clicks += 1)
      await ann.evaluate(() => document.querySelector('button')?.click());
    assert.ok(clicks > 3, `${clicks} clicks`);
  },
};

/** `readme.test.mjs` compares these samples with those of other pages, which have tests. */
const COPIES = ['Tokens'];
/** Other tests run these samples: `streams.test.mjs`, `werift.test.mjs` and `live/library.test.mjs`. */
const ELSEWHERE = ['Audio, video and your own channels', 'Node.js', 'Live streams'];

for (const [heading, works] of Object.entries(SECTIONS))
  test(`the samples of "${heading}" work`, works);

test('every section with a sample has a test', () => {
  const tested = [...COPIES, ...ELSEWHERE, ...Object.keys(SECTIONS)];
  assert.deepEqual([...SAMPLES.keys()].toSorted(), tested.toSorted());
});

test('the script of "The package" works on another origin', async () => {
  const [script] = samplesOf(FILE, /^html$/).get('The package') ?? [];
  const expose = 'globalThis.room = room;';
  html = script
    .replace('https://your-worker.example', server.origin)
    .replace('"demo"', JSON.stringify(room))
    .replace('</script>\n<script>', `</script>\n<script>setTimeout(() => { ${expose} });`);
  for (const page of [await pages.open('ann', site.origin), await pages.open('bob', site.origin)])
    await until(page, 'it joins', () => /** @type {any} */ (globalThis).room?.state === 'joined');
});

test('the import map of "Your own copy" refuses a changed file', async () => {
  const [map] = samplesOf(FILE, /^html$/).get('Your own copy') ?? [];
  const hash = async (/** @type {string} */ file) => {
    const { text } = await server.server.request(`/${file}`);
    return createHash('sha384').update(text).digest('base64');
  };
  const hashes = { 'room.js': await hash('room.js'), 'peer.js': await hash('peer.js') };
  /** @param {Record<string, string>} hashes */
  const loads = async (hashes) => {
    html = map.replaceAll(
      /https:\/\/your-worker.example\/([\w.]+)": "sha384-…/g,
      (_, file) => `${server.origin}/${file}": "sha384-${hashes[file]}`,
    );
    assert.ok(!html.includes('…'));
    const page = await pages.open('page', site.origin);
    return page.evaluate(
      (url) =>
        import(url).then(
          () => true,
          () => false,
        ),
      `${server.origin}/room.js`,
    );
  };
  assert.equal(await loads(hashes), true);
  assert.equal(await loads({ ...hashes, 'peer.js': hashes['room.js'] }), false);
});
