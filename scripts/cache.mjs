// @ts-check
/**
 * A folder that keeps what takes minutes to build, shared by all clones of the repository. An entry
 * is named after a hash of everything it is made from, and never changes once it is there. Entries
 * may be deleted at any time: they are built again.
 */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `PARTYLINE_CACHE`, or partyline's folder in the user's cache folder. */
export function cacheFolder() {
  const { env, platform } = process;
  if (env.PARTYLINE_CACHE) return env.PARTYLINE_CACHE;
  if (platform === 'win32')
    return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'partyline', 'cache');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'partyline');
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'partyline');
}

/** A short hash of texts. @param {...(string | Buffer)} texts */
export function hash(...texts) {
  const all = createHash('sha256');
  for (const text of texts) all.update(`${text.length}:`).update(text);
  return all.digest('hex').slice(0, 20);
}

/**
 * The folder of an entry. If it is missing, `make` fills an empty folder, which is then renamed: the
 * entry is complete or absent, and two processes may build it at the same time.
 * @param {string} parent
 * @param {string} name of the entry, with its hash
 * @param {(folder: string) => unknown} make
 */
export async function cached(parent, name, make) {
  const entry = join(parent, name);
  if (existsSync(entry)) return entry;
  mkdirSync(parent, { recursive: true });
  const staging = mkdtempSync(join(parent, `staging-${name}-`));
  const clean = () => rmSync(staging, { recursive: true, force: true });
  // Also when `make` calls `stop`, or Ctrl-C ends it.
  const interrupted = () => process.exit(130);
  process.once('exit', clean).once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    await make(staging);
    renameSync(staging, entry);
  } catch (error) {
    if (!existsSync(entry)) throw error; // else another process was faster
  } finally {
    clean();
    process.off('exit', clean).off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
  return entry;
}
