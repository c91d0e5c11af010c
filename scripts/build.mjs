// @ts-check
/**
 * Builds the Worker: the Rust as WebAssembly, and one JavaScript module that loads it. wrangler runs
 * this script before it serves or deploys, so it sets up what is missing and uses only what Node
 * brings until then.
 *
 * Each profile has a folder of its own, build/dev/ and build/release/, which is rebuilt only if its
 * inputs changed. wrangler reads build/, which gets a copy: of dev for `wrangler dev`, because an
 * edit is compiled in a second or two, and of release otherwise. Tests read build/release/.
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
/** wrangler starts a build at every event of a file: those that wait find nothing to do. */
const LOCK = join(BUILD, 'lock');
/** Its presence and text say what the other two files were built from. */
const STAMP = 'stamp';
const FILES = ['rust_bg.wasm', 'index.js', STAMP];

/** Builds a profile if it changed, and copies it to where wrangler reads it. @param {Profile} profile */
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

/** Whether `build` has nothing to do. @param {Profile} profile */
export function isBuilt(profile) {
  return stampOf(BUILD) === `${profile} ${inputs()}`;
}

/** A hash of everything that a build depends on. */
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

/** A build that fails leaves the files of the last one. @param {(folder: string) => unknown} fill */
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
