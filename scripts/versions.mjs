// @ts-check
/** Reads required and installed versions, and compares versions. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, root, stop } from './run.mjs';

/** Returns the version that `command --version` prints. @param {string} command */
export function versionOf(command) {
  return ask([command, '--version'])?.match(/\d+\.\d+\.\d+/)?.[0];
}

/** Returns whether a version of Rust can build the crate. @param {string} version */
export function isRecent(version) {
  return !isOlder(version, leastRust());
}

/** Returns the oldest version of Rust that can build the crate. */
export function leastRust() {
  return find('Cargo.toml', /^rust-version = "(.+)"/m);
}

/** Returns the version of a crate in Cargo.lock. @param {string} crate */
export function lockedVersion(crate) {
  return find('Cargo.lock', new RegExp(`^name = "${crate}"\r?\nversion = "(.+)"`, 'm'));
}

/** @param {string} version @param {string} other */
export function isOlder(version, other) {
  return version.localeCompare(other, undefined, { numeric: true }) < 0;
}

/**
 * Returns what the first capture group of `pattern` matches in a file. Stops with a message if
 * nothing matches.
 * @param {string} file a path relative to the root of the repository
 * @param {RegExp} pattern
 */
export function find(file, pattern) {
  const found = readFileSync(join(root, file), 'utf8').match(pattern)?.[1];
  return found ?? stop(`${file} has no line that matches ${pattern}. Restore the file from git.`);
}
