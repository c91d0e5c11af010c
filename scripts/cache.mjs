// @ts-check
/**
 * A cache folder for tools that take minutes to build. All clones of the repository share the
 * folder. The name of an entry contains a hash of all its inputs, and an entry never changes. Users
 * may delete entries at any time, because a missing entry is rebuilt.
 */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { stop } from './run.mjs';

/**
 * Returns the path of the cache: the environment variable `PARTYLINE_CACHE`, or partyline's folder
 * in the user's cache folder.
 */
export function cacheFolder() {
  const { env, platform } = process;
  if (env.PARTYLINE_CACHE) return env.PARTYLINE_CACHE;
  if (platform === 'win32')
    return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'partyline', 'cache');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'partyline');
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'partyline');
}

/** Returns the first 80 bits of a SHA-256 hash, as hex. @param {...(string | Buffer)} texts */
export function hash(...texts) {
  const all = createHash('sha256');
  for (const text of texts) all.update(`${text.length}:`).update(text);
  return all.digest('hex').slice(0, 20);
}

/**
 * Returns the folder of an entry. If the entry is missing, `make` fills an empty folder, which is
 * then renamed to the name of the entry. Because of the rename, an incomplete entry is never
 * visible, and two processes can build the same entry concurrently.
 * @param {string} parent
 * @param {string} name the name of the entry, which contains a hash of its inputs
 * @param {(folder: string) => unknown} make
 */
export async function cached(parent, name, make) {
  const entry = join(parent, name);
  if (existsSync(entry)) return entry;
  try {
    mkdirSync(parent, { recursive: true });
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    stop(
      `cannot create the folder ${parent} (${code}). Set PARTYLINE_CACHE to a folder that you can ` +
        'write to.',
    );
  }
  const staging = mkdtempSync(join(parent, `staging-${name}-`));
  const clean = () => rmSync(staging, { recursive: true, force: true });
  // If `make` calls `stop` or the user presses Ctrl-C, the `exit` event deletes the incomplete
  // folder.
  const interrupted = () => process.exit(130);
  process.once('exit', clean).once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    await make(staging);
    renameSync(staging, entry);
  } catch (error) {
    if (!existsSync(entry)) throw error; // renaming fails if another process has built the entry
  } finally {
    clean();
    process.off('exit', clean).off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
  return entry;
}
