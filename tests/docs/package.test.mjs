// @ts-check
/**
 * The npm package, as an application uses it: installed from the Worker into an empty project, checked by
 * TypeScript, bundled, and run in Chromium and Firefox. The script for a `<script>` tag, too.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { build as viteBuild } from 'vite';
import { MANGLED, RESERVED } from '../../scripts/library.mjs';
import { root } from '../../scripts/run.mjs';
import { npm } from '../../scripts/setup.mjs';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { samplesOf } from '../support/samples.mjs';
import { Site } from '../support/site.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const run = promisify(execFile);

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
/** The project of the application. */
const project = mkdtempSync(join(tmpdir(), 'partyline-project-'));
const SAMPLES = samplesOf('package/README.md', /^(js|sh|html)$/);
/** @type {Map<string, string>} */
const served = new Map();
/** The web server of the application, which is another origin than the Worker. */
const site = new Site(({ url = '/' }, response) => {
  const script = served.get(url);
  if (script) response.setHeader('content-type', 'text/javascript');
  response.end(script ?? '<!doctype html><title>Application</title>');
});
const chromium = new Pages(site, 'Chromium');
const firefox = new Pages(site, 'Firefox');
const BROWSERS = /** @type {const} */ ([
  ['Chromium', chromium],
  ['Firefox', firefox],
]);

useFixtures(site, chromium, firefox, {
  start: async () => {
    workerd = await startWorkerd({ main: {} }, { assets: true });
    await install();
  },
  stop: async () => {
    await workerd?.stop();
    rmSync(project, { recursive: true, force: true });
  },
});

/** Returns a sample of the README. @param {string} heading @param {number} [index] in its section */
const sample = (heading, index = 0) => SAMPLES.get(heading)?.[index] ?? '';

/** The first lines of "First room", which the other samples of the README use. */
const ROOM = `${sample('First room').split('\n').slice(0, 3).join('\n')}\n`;

/** Puts the addresses of the test into a sample. @param {string} text @param {string} room */
const addressed = (text, room) =>
  text
    .replaceAll('https://your-worker.example', workerd.at.main.origin)
    .replaceAll('your-worker.example', new URL(workerd.at.main.origin).host)
    .replaceAll('"demo"', `"${room}"`);

/** Installs the package as the README shows. */
async function install() {
  writeFileSync(join(project, 'package.json'), '{"private":true,"type":"module"}');
  const [program, ...args] = npm(
    ...addressed(sample('Install'), '').replace('npm ', '').trim().split(' '),
    ...['--no-audit', '--no-fund'],
  );
  await run(program, args, { cwd: project });
}

test('the installed package consists of the library, its types, a README and a licence', () => {
  const files = readdirSync(join(project, 'node_modules', 'partyline'));
  for (const name of ['room.js', 'room.d.ts', 'parts.d.ts', 'room.min.js', 'README.md', 'LICENSE'])
    assert.ok(files.includes(name), name);
  assert.ok(!files.includes('demo.js') && !files.includes('index.html'), files.join());
  const { dependencies } = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8'));
  assert.equal(dependencies, undefined);
});

for (const [module, resolution] of [
  ['esnext', 'bundler'],
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
])
  test(`TypeScript finds the types with the module resolution ${resolution}`, async () => {
    writeFileSync(
      join(project, 'application.ts'),
      `import { Room, type Peer } from 'partyline';
const room = new Room('demo', { host: 'your-worker.example' });
const peers: Peer[] = [...room.peers.values()];
room.addEventListener('message', ({ detail }) => detail.peer.send(String(detail.data)));
// @ts-expect-error: the option is misspelt
new Room('demo', { iceserver: [], peers });
`,
    );
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const options = [
      '--noEmit',
      '--strict',
      '--target',
      'es2023',
      '--lib',
      'es2023,dom,dom.iterable',
    ];
    const how = ['--module', module, '--moduleResolution', resolution, '--types', ''];
    await run(process.execPath, [tsc, ...options, ...how, 'application.ts'], { cwd: project });
  });

/** Opens two pages of the application. @param {Pages} pages */
const openTwo = async (pages) => [
  await pages.open('ann', site.origin),
  await pages.open('bob', site.origin),
];

/** Waits until a page has received a greeting. @param {import('playwright-core').Page} page */
const hearsGreeting = (page) =>
  until(page, 'a greeting arrives', () => /** @type {any} */ (globalThis).heard === 'hello');

/** @type {Record<string, (entry: string) => Promise<string>>} */
const BUNDLERS = {
  esbuild: async (entry) => {
    const options = /** @type {const} */ ({ bundle: true, format: 'esm', write: false });
    const { outputFiles } = await build({ entryPoints: [entry], minify: true, ...options });
    return outputFiles[0].text;
  },
  Vite: async (entry) => {
    const output = await viteBuild({
      root: project,
      configFile: false,
      logLevel: 'silent',
      build: { write: false, rollupOptions: { input: entry } },
    });
    const [{ output: files }] = /** @type {any[]} */ ([output].flat());
    return files[0].code;
  },
};

/** Bundles an application. @param {string} bundler @param {string} code */
async function bundled(bundler, code) {
  const entry = join(project, `${bundler}.js`);
  writeFileSync(entry, code);
  const path = `/assets/${bundler}-${newRoom()}.js`;
  served.set(path, await BUNDLERS[bundler](entry));
  return path;
}

for (const bundler of Object.keys(BUNDLERS))
  describe(`bundled with ${bundler}`, () => {
    for (const [browser, pages] of BROWSERS)
      test(`two pages greet each other in ${browser}`, async () => {
        const code = addressed(sample('First room'), newRoom());
        const log = 'const console = { log: (id, heard) => Object.assign(globalThis, { heard }) };';
        const path = await bundled(bundler, `${log}\n${code}`);
        const opened = await openTwo(pages);
        for (const page of opened) await page.addScriptTag({ type: 'module', url: path });
        for (const page of opened) await hearsGreeting(page);
      });

    test('two pages show each other their cameras', async () => {
      const path = await bundled(bundler, addressed(`${ROOM}${sample('Calls')}`, newRoom()));
      const opened = await openTwo(chromium);
      for (const page of opened) await page.addScriptTag({ type: 'module', url: path });
      for (const page of opened)
        await until(page, 'a video plays', () => !!document.querySelector('video')?.videoWidth);
    });

    test('an application without the option host fails with a sentence', async () => {
      const code = 'import { Room } from "partyline"; globalThis.open = () => new Room("demo");';
      const path = await bundled(bundler, code);
      const page = await chromium.open('page', site.origin);
      await page.addScriptTag({ type: 'module', url: path });
      const error = await page.evaluate(() => {
        try {
          return String(/** @type {any} */ (globalThis).open());
        } catch (thrown) {
          return String(thrown);
        }
      });
      assert.match(
        error,
        /^TypeError: the option host is missing: .* pass the host of your Worker/,
      );
    });
  });

for (const [browser, pages] of BROWSERS)
  test(`the script works in a <script> tag in ${browser}, and finds its server`, async () => {
    const [, url] = /src="([^"]+)"/.exec(addressed(sample('Install', 1), '')) ?? [];
    const room = newRoom();
    const opened = await openTwo(pages);
    for (const page of opened) {
      await page.addScriptTag({ url });
      await page.evaluate((name) => {
        const global = /** @type {any} */ (globalThis);
        /** @type {import('../../public/room.js').Room} */
        const joined = new global.partyline.Room(name);
        joined.addEventListener('peer', ({ detail: { peer } }) => peer.send('hello'));
        joined.addEventListener('message', ({ detail }) => (global.heard = detail.data));
      }, room);
    }
    for (const page of opened) await hearsGreeting(page);
  });

test('the script shortens no name of the API or of the browser', async () => {
  const entry = join(project, 'names.js');
  writeFileSync(entry, 'export * from "partyline";');
  const words = (/** @type {string} */ text) => text.match(/[A-Za-z]\w*/g) ?? [];
  const shortened = words(await BUNDLERS.esbuild(entry)).filter(
    (word) => MANGLED.test(word) && !RESERVED.test(word),
  );
  assert.ok(shortened.includes('handleSignal'), `${shortened}`);
  const page = await chromium.open('page', site.origin);
  const platform = await page.evaluate(() => {
    const names = Object.getOwnPropertyNames(globalThis);
    const values = names.map((name) => /** @type {any} */ (globalThis)[name]);
    const objects = values.flatMap((value) => [value, value?.prototype]).filter(Object);
    return [names, ...objects.map((object) => Object.getOwnPropertyNames(Object(object)))].flat();
  });
  assert.ok(platform.includes('isInteger') && platform.includes('isTypeSupported'));
  const types = readFileSync(join(project, 'node_modules', 'partyline', 'room.d.ts'), 'utf8');
  const kept = new Set([...platform, ...words(types)]);
  assert.deepEqual(
    shortened.filter((word) => kept.has(word)),
    [],
  );
});

test('the script defines one global variable', async () => {
  const page = await chromium.open('page', site.origin);
  const before = await page.evaluate(() => Object.getOwnPropertyNames(globalThis));
  await page.addScriptTag({ url: `${workerd.at.main.origin}/room.min.js` });
  const after = await page.evaluate(() => Object.getOwnPropertyNames(globalThis));
  assert.deepEqual(
    after.filter((name) => !before.includes(name)),
    ['partyline'],
  );
});

test('an element with the name currentScript does not choose the server of the script', async () => {
  const page = await chromium.open('page', site.origin);
  const url = `${workerd.at.main.origin}/room.min.js`;
  const error = await page.evaluate(async (script) => {
    const image = document.createElement('img');
    Object.assign(image, { name: 'currentScript', src: `${location.origin}/room.min.js` });
    document.body.append(image);
    const element = document.createElement('script');
    element.src = script;
    document.head.append(element);
    await new Promise((resolve) => (element.onload = resolve));
    try {
      return String(new /** @type {any} */ (globalThis).partyline.Room('demo'));
    } catch (thrown) {
      return String(thrown);
    }
  }, url);
  assert.match(error, /^TypeError: the option host is missing/);
});

test('the script loads in a worker', async () => {
  const page = await chromium.open('page', site.origin);
  const url = `${workerd.at.main.origin}/room.min.js`;
  const type = await page.evaluate((script) => {
    const code = `importScripts(${JSON.stringify(script)}); postMessage(typeof partyline.Room);`;
    const worker = new Worker(URL.createObjectURL(new Blob([code])));
    return new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => resolve(message);
    });
  }, url);
  assert.equal(type, 'function');
});
