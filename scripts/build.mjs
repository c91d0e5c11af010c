// @ts-check
/**
 * Builds the Worker: a WebAssembly module, and one JavaScript module that loads the WebAssembly.
 * wrangler runs this script before it serves or deploys. The npm packages may be missing then, so
 * the script uses only Node's built-in modules until it has installed the packages.
 *
 * Each profile has its own folder, build/dev/ or build/release/, which is rebuilt only if an input
 * changed. wrangler reads build/, which contains a copy of one of the folders. `wrangler dev` uses
 * the dev profile, which compiles an edit in 1 to 2 s. All other commands use the release profile.
 * Tests read build/release/.
 */

import {
  copyFileSync,
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

/** @typedef {import('./compile.mjs').Profile} Profile */

const BUILD = join(root, 'build');
/**
 * The lock of all builds. wrangler starts a build for every file change, so builds can overlap. A
 * build that waited for the lock finds the files up to date and ends.
 */
const LOCK = join(BUILD, 'lock');
/**
 * The file that identifies the inputs of the other two files. A folder is rebuilt if this file is
 * missing or has different text.
 */
const STAMP = 'stamp';
const FILES = ['rust_bg.wasm', 'index.js', STAMP];

/**
 * Builds a profile if its inputs changed, and copies the files to build/, from which wrangler
 * reads.
 * @param {Profile} profile
 */
export async function build(profile) {
  mkdirSync(BUILD, { recursive: true });
  await withLock(LOCK, async () => {
    const stamp = `${profile} ${inputs()}`;
    const folder = join(BUILD, profile);
    if (stampOf(folder) !== stamp)
      await withStaging(async (staging) => {
        await compile(profile, staging);
        writeFileSync(join(staging, STAMP), stamp);
        publish(staging, folder);
      });
    if (stampOf(BUILD) !== stamp)
      await withStaging((staging) => {
        for (const file of FILES) copyFileSync(join(folder, file), join(staging, file));
        publish(staging, BUILD);
      });
  });
}

/** Returns whether the files in build/ are up to date for the profile. @param {Profile} profile */
export function isBuilt(profile) {
  return stampOf(BUILD) === `${profile} ${inputs()}`;
}

/** Returns a hash of all inputs of a build: source files, configuration and compiler version. */
function inputs() {
  const sources = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
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
  const file = join(folder, STAMP);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/**
 * Builds in a temporary folder, so that a failed build does not change the files of the last
 * successful build.
 * @param {(folder: string) => unknown} fill writes the files into the temporary folder
 */
async function withStaging(fill) {
  const staging = mkdtempSync(join(BUILD, 'staging-'));
  const clean = () => rmSync(staging, { recursive: true, force: true });
  process.once('exit', clean);
  await fill(staging);
  clean();
  process.off('exit', clean);
}

/** @param {string} staging @param {string} folder */
function publish(staging, folder) {
  mkdirSync(folder, { recursive: true });
  rmSync(join(folder, STAMP), { force: true });
  for (const file of FILES) renameSync(join(staging, file), join(folder, file));
}

if (isMain(import.meta.url))
  await build(process.env.WRANGLER_COMMAND === 'dev' ? 'dev' : 'release');
