// @ts-check
/** Versions: those that the repository asks for, and those that are installed. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, root, stop } from './run.mjs';

/** The version that a command of Rust reports. @param {string} command */
export function versionOf(command) {
  return ask([command, '--version'])?.match(/\d+\.\d+\.\d+/)?.[0];
}

/** Whether a version of Rust can build the crate. @param {string} version */
export function isRecent(version) {
  return !isOlder(version, leastRust());
}

/** The oldest Rust that can build the crate. */
export function leastRust() {
  return find('Cargo.toml', /^rust-version = "(.+)"/m);
}

/** The version of a crate in Cargo.lock. @param {string} crate */
export function lockedVersion(crate) {
  return find('Cargo.lock', new RegExp(`^name = "${crate}"\r?\nversion = "(.+)"`, 'm'));
}

/** @param {string} version @param {string} other */
export function isOlder(version, other) {
  return version.localeCompare(other, undefined, { numeric: true }) < 0;
}

/**
 * @param {string} file
 * @param {RegExp} pattern
 */
export function find(file, pattern) {
  const found = readFileSync(join(root, file), 'utf8').match(pattern)?.[1];
  return (
    found ?? stop(`${file} has no line that matches ${pattern}. Restore it from the repository.`)
  );
}
