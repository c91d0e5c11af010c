// @ts-check
/** A lock between processes: a file that holds the id of the process that has it. */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { tell } from './run.mjs';

/** Milliseconds. */
const RETRY = 50;
const PATIENCE = 60_000;

/**
 * Runs `action` while no other process has the lock.
 * @param {string} file
 * @param {() => Promise<void>} action
 */
export async function withLock(file, action) {
  let waited = 0;
  for (; !take(file); waited += RETRY) {
    if (waited === PATIENCE)
      tell(`waiting for another build to end. If there is none, delete ${file}`);
    await setTimeout(RETRY);
  }
  const release = () => rmSync(file, { force: true });
  process.once('exit', release);
  await action();
  release();
  process.off('exit', release);
}

/** @param {string} file */
function take(file) {
  try {
    writeFileSync(file, `${process.pid}`, { flag: 'wx' });
    return true;
  } catch {
    if (!isHeld(file)) rmSync(file, { force: true });
    return false;
  }
}

/** A process that was killed cannot release its lock. @param {string} file */
function isHeld(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    // Empty for a moment, between creating and writing.
    return pid === 0 || process.kill(pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
