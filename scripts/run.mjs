// @ts-check
/** Runs commands and reports progress for the other scripts. Uses only what Node brings. */

import { spawn, spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** Milliseconds between two signs of life of a long step in a log. */
const HEARTBEAT = 30_000;

/**
 * @typedef {object} Options
 * @property {NodeJS.ProcessEnv} [env] the whole environment. Default: ours
 * @property {string} [cwd] the working directory. Default: the root of the repository
 * @property {number} [timeout] in milliseconds. Default: none
 * @property {boolean} [warnings] `step` logs the output of a command that succeeds, too
 */

/**
 * Ends the script with exit code 1 and one message: what is wrong, and what to do about it.
 * @param {string} message
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
 * The standard output of a command, or undefined if the command is missing or fails.
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

/**
 * Runs a command with its output on ours; true if it succeeded.
 * @param {string[]} command
 * @param {Options} [options]
 */
export function show([program, ...args], options) {
  return spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options }).status === 0;
}

/**
 * Announces and runs one step of the set-up; true if it succeeded. A terminal shows the output of the
 * command. A log shows it only if the command fails, and a line every half minute until then.
 * @param {string} what
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

/** The time since `start`, as text. @param {number} start */
export function seconds(start) {
  const elapsed = (Date.now() - start) / 1000;
  return elapsed < 120 ? `${Math.round(elapsed)} s` : `${(elapsed / 60).toFixed(1)} min`;
}

/** Whether Node was started with this module. @param {string} url the `import.meta.url` of a module */
export function isMain(url) {
  return Boolean(process.argv[1]) && realpathSync(process.argv[1]) === fileURLToPath(url);
}
