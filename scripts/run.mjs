// @ts-check
/**
 * How the scripts run a command, and speak to whoever waits for it. Nothing here knows what is run.
 */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The root of the repository, from wherever the scripts are called. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * @typedef {object} Options
 * @property {NodeJS.ProcessEnv} [env] the whole environment, if not ours
 * @property {string} [cwd] where, if not in the root of the repository
 * @property {number} [timeout] how many milliseconds it may take
 */

/**
 * Ends the script with one sentence: what is wrong, and what mends it.
 * @param {string} sentence
 * @returns {never}
 */
export function stop(sentence) {
  console.error(`partyline: ${sentence}`);
  process.exit(1);
}

/**
 * What a command prints, or undefined if it is missing or fails.
 * @param {string[]} command
 * @param {Options} [options]
 */
export function ask([program, ...args], options) {
  const asked = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: 'pipe',
    ...options,
  });
  return asked.status === 0 ? asked.stdout.trim() : undefined;
}

/**
 * Runs a command and shows all that it says; true if it succeeded.
 * @param {string[]} command
 * @param {Options} [options]
 */
export function show([program, ...args], options) {
  return spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options }).status === 0;
}

/** Tells what the set-up is about to do, and roughly how long it takes. @param {string} what */
export function tell(what) {
  console.log(`partyline: ${what}`);
}

/**
 * Runs a command of the set-up; true if it succeeded. Someone at a terminal sees all that it says,
 * a log only what a command that failed has said.
 * @param {string[]} command
 * @param {Options} [options]
 */
export function run([program, ...args], options) {
  if (process.stdout.isTTY) return show([program, ...args], options);
  const kept = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: Infinity,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  if (kept.status === 0) return true;
  console.error([kept.stdout, kept.stderr, kept.error?.message].filter(Boolean).join('\n'));
  return false;
}
