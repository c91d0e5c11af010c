// @ts-check
/** A lock between processes: a file that contains the id of the process that holds the lock. */

import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { tell } from './run.mjs';

/** Milliseconds between two attempts to take the lock. */
const RETRY = 50;
/** Milliseconds until a waiting process prints a message. */
const PATIENCE = 60_000;
/** Milliseconds that a process may need between the creation of the file and the write of its id. */
const WRITE_TIME = 1000;
/**
 * Milliseconds until a lock is stale, even if a process with its id is running. After a restart of
 * the machine, the id may belong to another program. A build takes about a minute.
 */
const MAX_AGE = 15 * 60_000;

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
  try {
    await action();
  } finally {
    release();
    process.off('exit', release);
  }
}

/** @param {string} file */
function take(file) {
  try {
    writeFileSync(file, `${process.pid}`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
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
    const age = Date.now() - statSync(file).mtimeMs;
    if (!pid) return age < WRITE_TIME;
    // A lock with the id of this process was left by an earlier process that had the same id.
    return pid !== process.pid && age < MAX_AGE && process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM'; // the process belongs to another user
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code;
}
