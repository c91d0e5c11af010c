// @ts-check
/**
 * Builds the two files that contain the whole library: `partyline.tgz`, the npm package, and
 * `room.min.js`, one script for a `<script>` tag. `site.mjs` adds them to the files that the Worker serves.
 */

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hash } from './cache.mjs';
import { ask, root, stop } from './run.mjs';
import { npm } from './setup.mjs';

const PUBLIC = join(root, 'public');
/** The manifest and the README of the npm package. */
export const PACKAGE = join(root, 'package');
/** The folder in which the package is assembled. */
const STAGING = join(root, 'build', 'package');
const SCRIPT_FILE = join(STAGING, 'files', 'room.min.js');
const PACKAGE_FILE = join(STAGING, 'partyline.tgz');
/** Contains the hash of the files from which both files were built. */
const STAMP = join(STAGING, 'stamp');
const ENTRY = 'room.js';
/** `room.js` takes the types of its API from these files. */
const TYPES = ['room.d.ts', 'parts.d.ts'];
/**
 * The address of `room.min.js`. A module has `import.meta.url` instead, which a classic script does not
 * have.
 */
const SCRIPT_URL = 'partylineScriptUrl';
/**
 * `document.currentScript` is missing in a worker, and `null` in a module. It is another element if the page
 * has one with this name, whose `src` must not choose the server. The option `host` is required then.
 */
const SCRIPT = 'globalThis.document?.currentScript';

/**
 * The properties that get short names in the script. They belong to classes that applications do not see.
 * A test checks that neither the API nor the platform has such a property.
 */
export const MANGLED =
  /^(check|connects|handle|has|is|keep|opens|postpone|refresh|send|start|take)[A-Z]/;
/** The properties of the platform that also match. */
export const RESERVED = /^(hasOwn|is(Array|Finite|Integer|SafeInteger|View))$/;

/** Builds both files if the library or the package has changed, and returns their paths. */
export async function buildLibrary() {
  const modules = await libraryModules();
  const packed = [
    ...[...modules, ...TYPES].map((name) => join(PUBLIC, name)),
    ...['package.json', 'README.md'].map((name) => join(PACKAGE, name)),
    join(root, 'LICENSE'),
  ];
  const sources = [...packed, fileURLToPath(import.meta.url)];
  const stamp = hash(...sources.flatMap((file) => [file.slice(root.length), readFileSync(file)]));
  const files = [SCRIPT_FILE, PACKAGE_FILE];
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === stamp) return files;
  rmSync(STAGING, { recursive: true, force: true });
  const folder = join(STAGING, 'files');
  mkdirSync(folder, { recursive: true });
  for (const file of packed) copyFileSync(file, join(folder, basename(file)));
  await bundle(SCRIPT_FILE);
  // npm writes the same bytes for the same files, so browsers and npm can cache the package.
  const pack = npm('pack', folder, '--pack-destination', STAGING, '--ignore-scripts', '--silent');
  if (ask(pack) === undefined)
    stop(`npm cannot pack the library. For the cause, run: npm pack ${folder}`);
  const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  renameSync(join(STAGING, `${name}-${version}.tgz`), PACKAGE_FILE);
  writeFileSync(STAMP, stamp);
  return files;
}

/** Returns the names of `room.js` and of all modules that it imports. */
async function libraryModules() {
  const { build } = await import('esbuild');
  const { metafile } = await build({
    absWorkingDir: PUBLIC,
    bundle: true,
    entryPoints: [ENTRY],
    format: 'esm',
    logLevel: 'silent',
    metafile: true,
    write: false,
  }).catch(() =>
    stop(`public/${ENTRY} cannot be bundled. Run: npx esbuild --bundle public/${ENTRY}`),
  );
  return Object.keys(metafile.inputs).sort();
}

/** Bundles the library into one script. @param {string} outfile */
async function bundle(outfile) {
  const { build } = await import('esbuild');
  const { minify } = await import('terser');
  const { outputFiles } = await build({
    banner: { js: `var ${SCRIPT_URL}=(s=>s?.localName==="script"&&s.src||"data:,")(${SCRIPT});` },
    bundle: true,
    define: { 'import.meta.url': SCRIPT_URL },
    format: 'esm',
    mangleProps: MANGLED,
    minify: true,
    reserveProps: RESERVED,
    // The option `globalName` would define the properties of the global object with more code.
    stdin: {
      contents: `import { Room } from './${ENTRY}'; globalThis.partyline = { Room };`,
      resolveDir: PUBLIC,
    },
    target: 'es2022',
    write: false,
  });
  // terser finds shorter statements than esbuild, whose names compress better than those of terser.
  const { code } = await minify(`(()=>{${outputFiles[0].text}})()`, {
    compress: { ecma: 2020, passes: 3 },
    ecma: 2020,
  });
  writeFileSync(outfile, `${code}\n`);
}
