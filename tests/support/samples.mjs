// @ts-check
/** The samples in a page of the documentation, and their run in a browser. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from '../../scripts/run.mjs';
import { until } from './browser.mjs';
import { VIDEO_PATIENCE } from './media.mjs';

/**
 * Returns the samples of each section of a page, by heading. Sections without samples are left out.
 * @param {string} file
 * @param {RegExp} [languages]
 */
export function samplesOf(file, languages = /^(js|jsx)$/) {
  /** @type {Map<string, string[]>} */
  const sections = new Map();
  const text = readFileSync(join(root, file), 'utf8');
  let heading = '';
  for (const [, level, title, language, code] of text.matchAll(
    /^(#{1,4}) (.*)$|^```(\w*)\n([^]*?)^```$/gm,
  )) {
    if (level) heading = title;
    else if (languages.test(language))
      sections.set(heading, [...(sections.get(heading) ?? []), code]);
  }
  return sections;
}

/**
 * What a sample may use: `show` appends an element or a text to the page, and to the global array
 * `shown`.
 */
const SHOW = `
globalThis.shown = [];
const show = (what) => {
  shown.push(what instanceof Element ? what.tagName : String(what));
  document.body.append(what, document.createElement("br"));
};
`;

/**
 * Bundles samples like an application with the package, with the address of a server and the name of a
 * room instead of those in the documentation.
 * @param {string} code an ES module
 * @param {import('./workerd.mjs').Server} server
 * @param {string} room
 * @param {import('esbuild').BuildOptions} [options]
 */
export async function bundle(code, server, room, options) {
  const addressed = code
    .replaceAll('https://your-worker.example', server.origin)
    .replaceAll('your-worker.example', server.host)
    .replaceAll('"demo"', JSON.stringify(room));
  const { outputFiles } = await build({
    stdin: { contents: addressed, resolveDir: import.meta.dirname, loader: 'jsx' },
    alias: { partyline: join(root, 'public', 'room.js') },
    bundle: true,
    format: 'esm',
    jsx: 'automatic',
    logLevel: 'silent',
    write: false,
    ...options,
  });
  assert.ok(outputFiles);
  return outputFiles[0].text;
}

/**
 * Runs samples in a page.
 * @param {import('playwright-core').Page} page
 * @param {string} code
 * @param {import('./workerd.mjs').Server} server
 * @param {string} room
 */
export async function runSample(page, code, server, room) {
  const content = await bundle(`${SHOW}${code}`, server, room, {
    define: { 'process.env.NODE_ENV': '"development"' },
  });
  await page.addScriptTag({ type: 'module', content });
}

let modules = 0;

/**
 * Runs samples as a module that the server of the page serves. They import the library from there.
 * @param {import('playwright-core').Page} page
 * @param {string} code
 * @param {string} room
 */
export async function runServed(page, code, room) {
  modules += 1;
  const path = `/sample-${modules}.js`;
  const body = `${SHOW}${code}`
    .replaceAll('"partyline"', '"/room.js"')
    .replaceAll('"your-worker.example"', 'location.host')
    .replaceAll('"demo"', JSON.stringify(room));
  await page.route(`**${path}`, (route) => route.fulfill({ body, contentType: 'text/javascript' }));
  await page.evaluate((path) => import(path), path);
}

/**
 * Waits until a sample has shown a text with `show`.
 * @param {import('playwright-core').Page} page
 * @param {string} text a part of it
 */
export const shows = (page, text) =>
  until(
    page,
    `it shows ${text}`,
    (text) =>
      /** @type {any} */ (globalThis).shown?.some((/** @type {string} */ one) =>
        one.includes(text),
      ),
    text,
  );

/** Waits until some videos play. @param {import('playwright-core').Page} page @param {number} count */
export const plays = (page, count) =>
  until(
    page,
    `${count} videos play`,
    (count) => {
      const videos = [...document.querySelectorAll('video')];
      const live = videos.filter(
        ({ videoWidth, currentTime }) => videoWidth > 0 && currentTime > 0,
      );
      return live.length === count && videos.length === count;
    },
    count,
    VIDEO_PATIENCE,
  );
