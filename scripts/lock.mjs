// @ts-check
/** A lock between processes: a file that contains the id of the process that holds the lock. */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { tell } from './run.mjs';

/** Milliseconds between two attempts to take the lock. */
const RETRY = 50;
/** Milliseconds until a waiting process prints a message. */
const PATIENCE = 60_000;

/**
 * Waits for the lock, runs `action`, and releases the lock.
 * @param {string} file
 * @param {() => Promise<void>} action
 */
export async function withLock(file, action) {
  let waited = 0;
  for (; !take(file); waited += RETRY) {
    if (waited === PATIENCE)
      tell(`waiting for another build to end. If no other build is running, delete ${file}`);
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

/**
 * Returns whether the process that took the lock is still running. A killed process cannot release
 * its lock.
 * @param {string} file
 */
function isHeld(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    // The file is empty for a moment, between its creation and the write.
    return pid === 0 || process.kill(pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
