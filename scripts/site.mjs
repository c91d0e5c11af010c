// @ts-check
/**
 * Builds the files that the Worker serves, `build/site/`, from `public/`. The files keep their names, and
 * each module stays a module of its own. They differ in what browsers do not need:
 *
 * - Scripts and style sheets are minified. Their source maps show the readable source in the developer
 *   tools, which are the only readers of source maps.
 * - HTML has no comments. It has a `modulepreload` for each module that its script imports, so that a
 *   browser loads all modules at once instead of one level of imports after the other.
 *
 * The folder also contains the files of `library.mjs`.
 */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { hash } from './cache.mjs';
import { buildLibrary, PACKAGE } from './library.mjs';
import { withLock } from './lock.mjs';
import { root, stop } from './run.mjs';

const PUBLIC = join(root, 'public');
const BUILD = join(root, 'build');
/** The folder that the Worker serves. */
export const SITE = join(BUILD, 'site');
/** Contains the hash of the inputs from which the folder was built. */
const STAMP = join(BUILD, 'site.stamp');
/** The base of the URLs of pages and modules. Only the paths of these URLs are used. */
const ORIGIN = 'https://site.invalid/';

/** The files of the site by their paths, relative to the folder. @typedef {Map<string, Uint8Array>} Files */
/** The imports of each module. All are paths of URLs. @typedef {Map<string, string[]>} Imports */

/** Builds the folder if an input has changed. */
export async function buildSite() {
  mkdirSync(BUILD, { recursive: true });
  await withLock(join(BUILD, 'site.lock'), async () => {
    const stamp = inputs();
    const isComplete = existsSync(SITE) && existsSync(STAMP);
    if (isComplete && readFileSync(STAMP, 'utf8') === stamp) return;
    rmSync(STAMP, { force: true });
    publish(await makeFiles());
    writeFileSync(STAMP, stamp);
  });
}

/** Returns a hash of everything from which the site is built. */
function inputs() {
  const others = ['LICENSE', 'package-lock.json', 'scripts/library.mjs', 'scripts/site.mjs'];
  const files = [
    ...filesIn(PUBLIC),
    ...filesIn(PACKAGE),
    ...others.map((name) => join(root, name)),
  ];
  return hash(...files.flatMap((file) => [relative(root, file), readFileSync(file)]));
}

/** @returns {Promise<Files>} */
async function makeFiles() {
  const { files, imports } = await minify();
  for (const file of filesIn(PUBLIC)) {
    const path = relative(PUBLIC, file).replaceAll('\\', '/');
    if (path.endsWith('.html'))
      files.set(path, Buffer.from(page(path, readFileSync(file, 'utf8'), imports)));
    else if (!files.has(path)) files.set(path, readFileSync(file));
  }
  for (const file of await buildLibrary()) files.set(basename(file), readFileSync(file));
  return files;
}

/** Minifies all scripts and style sheets. */
async function minify() {
  const { build } = await import('esbuild');
  const { metafile, outputFiles } = await build({
    absWorkingDir: PUBLIC,
    entryPoints: ['**/*.js', '**/*.css'],
    logLevel: 'error',
    metafile: true,
    minify: true,
    outbase: PUBLIC,
    outdir: SITE,
    sourcemap: true,
    target: 'es2022',
    write: false,
  }).catch(() => stop('a file in public/ cannot be minified. Fix the errors above.'));
  /** @type {Imports} */
  const imports = new Map();
  for (const { entryPoint, imports: found } of Object.values(metafile.outputs))
    if (entryPoint) {
      const module = new URL(entryPoint, ORIGIN);
      imports.set(
        module.pathname,
        found.map(({ path }) => new URL(path, module).pathname),
      );
    }
  /** @type {Files} */
  const files = new Map();
  for (const { path, contents } of outputFiles)
    files.set(relative(SITE, path).replaceAll('\\', '/'), contents);
  return { files, imports };
}

/**
 * Returns a page as it is served.
 * @param {string} path
 * @param {string} html
 * @param {Imports} imports
 */
function page(path, html, imports) {
  return html
    .replace(/[^\S\n]*<!--[^]*?-->\n?/g, '')
    .replace(/^([^\S\n]*)<script type="module" src="([^"]+)"/gm, (script, indent, source) => {
      const modules = new Set([new URL(source, ORIGIN + path).pathname]);
      // The loop also reaches the modules that it adds.
      for (const module of modules)
        for (const imported of imports.get(module) ?? []) modules.add(imported);
      const links = [...modules]
        .slice(1)
        .map((url) => `<link rel="modulepreload" href="${url}" />`);
      return [...links.map((link) => `${indent}${link}`), script].join('\n');
    });
}

/**
 * Writes the files that have changed, and removes the files that no longer exist. A server may read the
 * folder at any time, so no file is visible before it is complete.
 * @param {Files} files
 */
function publish(files) {
  const temporary = join(BUILD, 'site.tmp');
  for (const [path, content] of files) {
    const file = join(SITE, path);
    if (existsSync(file) && readFileSync(file).equals(content)) continue;
    writeFileSync(temporary, content);
    mkdirSync(dirname(file), { recursive: true });
    renameSync(temporary, file);
  }
  for (const file of filesIn(SITE))
    if (!files.has(relative(SITE, file).replaceAll('\\', '/'))) rmSync(file);
}

/** Returns the paths of all files in a folder. @param {string} folder */
function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}
