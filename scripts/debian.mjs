// @ts-check
/**
 * What Debian's packages can give, where we may install them. On any other machine all answers are
 * no.
 */

import { existsSync } from 'node:fs';
import { ask, run, tell } from './run.mjs';

/**
 * Announces and runs commands as root; false if one failed, or if this is no Debian we may change.
 * @param {string} announcement
 * @param {...string[]} commands
 */
export function asRoot(announcement, ...commands) {
  if (!existsSync('/etc/debian_version')) return false;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && ask(['sudo', '-n', 'true']) === undefined) return false;
  tell(announcement);
  return commands.every((command) => run(isRoot ? command : ['sudo', '-n', ...command]));
}

/**
 * Sees to it that packages are installed; false if they are not and cannot be.
 * @param {...string} packages
 */
export function install(...packages) {
  const missing = packages.filter(
    (name) => ask(['dpkg-query', '-Wf${db:Status-Status}', name]) !== 'installed',
  );
  if (missing.length === 0) return true;
  const apt = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-oDPkg::Lock::Timeout=300'];
  return asRoot(
    `installing ${missing.join(', ')} from Debian, about a minute`,
    [...apt, 'update'],
    [...apt, 'install', '--yes', '--no-install-recommends', ...missing],
  );
}
