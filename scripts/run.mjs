// @ts-check
/**
 * Runs commands and reports progress for the other scripts. This module imports only Node's
 * built-in modules, because it runs before the npm packages are installed.
 */

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The absolute path of the repository, with a slash at the end. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** Milliseconds between two progress messages of a long step. */
const HEARTBEAT = 30_000;

/**
 * @typedef {object} Options
 * @property {NodeJS.ProcessEnv} [env] all environment variables. Default: those of this process
 * @property {string} [cwd] the working directory. Default: the root of the repository
 * @property {number} [timeout] in milliseconds. Default: none
 * @property {boolean} [warnings] whether `step` also logs the output of a successful command
 */

/**
 * Prints an error message and ends the script with exit code 1.
 * @param {string} message the problem, and what the user should do
 * @returns {never}
 */
export function stop(message) {
  console.error(`partyline: ${message}`);
  process.exit(1);
}

/** @param {string} message */
export function tell(message) {
  console.log(`partyline: ${message}`);
}

/**
 * Runs a command and returns its standard output, or undefined if the command is missing or fails.
 * @param {string[]} command
 * @param {Options} [options]
 */
export function ask([program, ...args], options) {
  const { status, stdout } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: 'pipe',
    ...options,
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** Returns the path of the first program on the PATH. @param {...string} names */
export function findOnPath(...names) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const paths = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return paths.find((path) => existsSync(path));
}

/**
 * Runs a command that writes to the output of this process. Returns true if the command succeeded.
 * @param {string[]} command
 * @param {Options} [options]
 */
export function show([program, ...args], options) {
  return spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options }).status === 0;
}

/**
 * Prints a message and runs a command. Resolves to true if the command succeeded. On a terminal,
 * the output of the command is shown. Otherwise, a progress message is printed every 30 s, and the
 * output only if the command fails or `warnings` is set.
 * @param {string} what the message
 * @param {string[]} command
 * @param {Options} [options]
 * @returns {Promise<boolean>}
 */
export async function step(what, [program, ...args], { warnings, ...options } = {}) {
  const { isTTY } = process.stdout;
  tell(`${what} …`);
  const start = Date.now();
  const heartbeat = setInterval(() => {
    if (!isTTY) tell(`still ${what}, ${seconds(start)} so far`);
  }, HEARTBEAT);
  const child = spawn(program, args, {
    cwd: root,
    stdio: isTTY ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  const output = /** @type {Buffer[]} */ ([]);
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (/** @type {Buffer} */ data) => output.push(data));
  const succeeded = await new Promise((resolve) => {
    child.on('error', ({ message }) => {
      output.push(Buffer.from(`${message}\n`));
      resolve(false);
    });
    child.on('close', (code) => resolve(code === 0));
  });
  clearInterval(heartbeat);
  if (warnings || !succeeded) process.stderr.write(Buffer.concat(output));
  if (succeeded) tell(`… done in ${seconds(start)}`);
  return succeeded;
}

/**
 * Returns the time since `start` as a string, such as `12 s` or `2.5 min`.
 * @param {number} start the time in milliseconds, from `Date.now()`
 */
export function seconds(start) {
  const elapsed = (Date.now() - start) / 1000;
  return elapsed < 120 ? `${Math.round(elapsed)} s` : `${(elapsed / 60).toFixed(1)} min`;
}

/**
 * Returns whether Node runs a module directly, as in `node scripts/build.mjs`, and not as an
 * import.
 * @param {string} url the `import.meta.url` of the module
 */
export function isMain(url) {
  return Boolean(process.argv[1]) && realpathSync(process.argv[1]) === fileURLToPath(url);
}
