// @ts-check
/** The static files: their size, and the modules that each page preloads. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { newRoom } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { at, joined } from '../support/page.mjs';
import { Deployed } from '../support/workerd.mjs';

/** In bytes, compressed with gzip. */
const LIMIT = 60_000;
const PUBLIC = new URL('../../public/', import.meta.url);
const PAGES = readdirSync(PUBLIC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.html'))
  .map((path) => `/${path}`);

const server = new Deployed();
const pages = new Pages(server);
useFixtures(server, pages);

/** Returns the paths that a page requests from now on. @param {import('playwright-core').Page} page */
function requests(page) {
  /** @type {string[]} */
  const paths = [];
  page.on('request', (request) => paths.push(new URL(request.url()).pathname));
  return paths;
}

/** @param {string} path */
const isModule = (path) => path.endsWith('.js');

test('the page loads less than 60,000 bytes gzipped', async () => {
  const page = await pages.open('ann', 'about:blank');
  const loaded = requests(page);
  await page.goto('/');
  await page.getByRole('button', { name: 'Join' }).waitFor();
  for (const parameter of ['room', 'lobby']) {
    await page.goto(at({ [parameter]: newRoom(), id: 'ann' }));
    await joined(page);
    await page.getByRole('link', { name: 'Look inside' }).click();
    await page.getByRole('heading', { name: 'Handshake' }).waitFor();
  }
  const sizes = await Promise.all(
    [...new Set(loaded)].map(async (path) => {
      const body = await (await fetch(new URL(path, page.url()))).arrayBuffer();
      return { path, size: gzipSync(body, { level: 9 }).length };
    }),
  );
  for (const path of ['/', '/style.css', '/room.js', '/page/dom.js', '/icon.svg'])
    assert(loaded.includes(path), `${path} was not seen: ${loaded}`);
  const size = sizes.reduce((sum, { size }) => sum + size, 0);
  assert(size < LIMIT, `${size} bytes gzipped: ${JSON.stringify(sizes)}`);
});

test('a browser loads each module once', async () => {
  const page = await pages.open('ann', 'about:blank');
  const loaded = requests(page);
  await page.goto(at({ room: newRoom(), id: 'ann' }));
  await joined(page);
  const modules = loaded.filter(isModule);
  assert.deepEqual(modules.toSorted(), [...new Set(modules)].sort());
});

for (const path of PAGES)
  test(`${path} preloads the modules that its script imports, and no others`, async () => {
    const page = await pages.open('ann', 'about:blank');
    /** @type {string[]} */
    let named = [];
    // Without the links, the browser requests only the modules that are imported.
    await page.route(server.origin + path.replace('.html', ''), async (route) => {
      const html = await (await route.fetch({ url: server.origin + path })).text();
      const links = /<link rel="modulepreload" href="([^"]+)" \/>/g;
      named = [...html.matchAll(links)].map(([, href]) => href);
      await route.fulfill({ contentType: 'text/html', body: html.replace(links, '') });
    });
    const loaded = requests(page);
    await page.goto(path.replace('.html', ''), { waitUntil: 'load' });
    const script = await page.evaluate(
      () => document.querySelector('script')?.src && new URL(document.scripts[0].src).pathname,
    );
    assert.deepEqual(
      loaded.filter(isModule).sort(),
      [...named, ...(script ? [script] : [])].sort(),
    );
  });

test('scripts and style sheets have no comments but the link of the source map', async () => {
  for (const path of ['room.js', 'page/dom.js', 'style.css']) {
    const text = await (await fetch(`${server.origin}/${path}`)).text();
    const [, code, map] = /^([^]*?)\n\S+ sourceMappingURL=(\S+)[^]*$/.exec(text) ?? [];
    assert.doesNotMatch(code, /\/\*|(^|\s)\/\//);
    const response = await fetch(new URL(map, `${server.origin}/${path}`));
    const { sources, sourcesContent } = await response.json();
    assert.deepEqual([sources.length, /^\/[*/]/.test(sourcesContent[0])], [1, true], path);
  }
});
