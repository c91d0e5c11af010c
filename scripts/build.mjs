// @ts-check
/**
 * Builds the Worker: a WebAssembly module, and one JavaScript module that loads the WebAssembly. It also
 * builds the files that the Worker serves.
 * wrangler runs this script before it serves or deploys. The npm packages may be missing then, so
 * the script uses only Node's built-in modules until it has installed the packages.
 *
 * Each profile has its own folder, build/dev/ or build/release/, which is rebuilt only if an input
 * changed. `npm start` uses the dev profile, which compiles an edit in 1 to 2 s. Everything else uses
 * the release profile. Because the folders are separate, a build of `npm start` cannot change the
 * files that a `wrangler deploy` is about to upload.
 */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { hash } from './cache.mjs';
import { compile } from './compile.mjs';
import { withLock } from './lock.mjs';
import { ask, isMain, root } from './run.mjs';
import { buildSite } from './site.mjs';

/** @typedef {import('./compile.mjs').Profile} Profile */

const BUILD = join(root, 'build');
/**
 * The lock of all builds. wrangler starts a build for every file change, so builds can overlap. A
 * build that waited for the lock finds the files up to date and ends.
 */
const LOCK = join(BUILD, 'lock');
/**
 * The file that identifies the inputs of the other two files. A folder is rebuilt if this file is
 * missing or has different content.
 */
const STAMP = 'stamp';
const FILES = ['rust_bg.wasm', 'index.js', STAMP];
/** The prefix of temporary folder names. Only the process that holds the lock creates them. */
const STAGING = 'staging-';

/** Builds a profile if its inputs changed. @param {Profile} profile */
export async function build(profile) {
  mkdirSync(BUILD, { recursive: true });
  await withLock(LOCK, async () => {
    // The compiler reads the sources later than `inputs` does. If a source is edited after `inputs`
    // has read it, the stamp does not match, so the next round compiles again.
    while (!isBuilt(profile)) await buildOnce(profile);
    await buildSite();
  });
}

/** Returns whether the files of the profile are up to date. @param {Profile} profile */
export function isBuilt(profile) {
  return stampOf(join(BUILD, profile)) === inputs();
}

/**
 * Builds in a temporary folder, so that a failed build does not change the files of the last
 * successful build.
 * @param {Profile} profile
 */
async function buildOnce(profile) {
  removeStaging();
  process.once('exit', removeStaging);
  const staging = mkdtempSync(join(BUILD, STAGING));
  const before = inputs();
  await compile(profile, staging);
  writeFileSync(join(staging, STAMP), inputs() === before ? before : 'edited while compiling');
  publish(staging, join(BUILD, profile));
  removeStaging();
  process.off('exit', removeStaging);
}

/** Removes the temporary folder of this build, and the temporary folders of killed builds. */
function removeStaging() {
  for (const name of readdirSync(BUILD))
    if (name.startsWith(STAGING)) rmSync(join(BUILD, name), { recursive: true, force: true });
}

/** Returns a hash of all inputs of a build: source files, configuration and compiler version. */
function inputs() {
  const sources = ['src', 'patches']
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
  const others = ['Cargo.toml', 'Cargo.lock', 'package.json', 'scripts/compile.mjs'];
  const files = [...sources, ...others.map((file) => join(root, file))];
  const contents = files.flatMap((file) => [file.slice(root.length), readFileSync(file)]);
  return hash(ask(['rustc', '-vV']) ?? '', ...contents);
}

/** @param {string} folder */
function stampOf(folder) {
  const complete = FILES.every((file) => existsSync(join(folder, file)));
  return complete ? readFileSync(join(folder, STAMP), 'utf8') : undefined;
}

/** @param {string} staging @param {string} folder */
function publish(staging, folder) {
  mkdirSync(folder, { recursive: true });
  rmSync(join(folder, STAMP), { force: true });
  for (const file of FILES) renameSync(join(staging, file), join(folder, file));
}

if (isMain(import.meta.url))
  await build(process.env.PARTYLINE_PROFILE === 'dev' ? 'dev' : 'release');
