// @ts-check
/**
 * Installs packages from Debian. This is the only script that changes the system outside the
 * repository and the cache folder. It says what it will change first, and asks at a terminal.
 */

import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { ask, step, tell } from './run.mjs';

const APT = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-oDPkg::Lock::Timeout=300'];

/**
 * Installs the packages that are missing. Returns false if that fails, if the user declines, or if
 * this is not a Debian system on which we may become root.
 * @param {string} purpose why they are needed
 * @param {...string} packages
 */
export async function install(purpose, ...packages) {
  if (!existsSync('/etc/debian_version')) return false;
  const missing = packages.filter(
    (name) => ask(['dpkg-query', '-Wf${db:Status-Status}', name]) !== 'installed',
  );
  if (missing.length === 0) return true;
  const command = ['apt-get', 'install', ...missing];
  tell(`missing Debian packages, needed ${purpose}: ${missing.join(', ')}`);
  if (!(await mayInstall(`sudo ${command.join(' ')}`))) return false;
  return (
    (await asRoot('updating the package lists of Debian (about 10 s)', [...APT, 'update'])) &&
    (await asRoot(`installing ${missing.join(', ')} from Debian (about a minute)`, [
      ...APT,
      ...['install', '--yes', '--no-install-recommends', ...missing],
    ]))
  );
}

/**
 * Announces and runs a command as root; true if it succeeded.
 * @param {string} what
 * @param {string[]} command
 */
export function asRoot(what, command) {
  return step(what, isRoot() ? command : ['sudo', '-n', ...command]);
}

/**
 * `PARTYLINE_INSTALL` decides if it is set (1: install, 0: do not). Without it, a terminal is asked.
 * Without a terminal, root and CI install, because containers are made to be changed.
 * @param {string} command what the user would type instead
 */
async function mayInstall(command) {
  const { CI, PARTYLINE_INSTALL } = process.env;
  if (!isRoot() && ask(['sudo', '-n', 'true']) === undefined) {
    tell(`installing needs root. Run: ${command}`);
    return false;
  }
  const unattended = PARTYLINE_INSTALL ? PARTYLINE_INSTALL !== '0' : isRoot() || Boolean(CI);
  if (PARTYLINE_INSTALL || !isTerminal() ? unattended : await confirmed()) return true;
  tell(`nothing was installed. Run: ${command} (or set PARTYLINE_INSTALL=1)`);
  return false;
}

function isTerminal() {
  return process.stdin.isTTY && process.stdout.isTTY;
}

async function confirmed() {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question('partyline: install from Debian with apt-get? [y/N] ');
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

function isRoot() {
  return process.getuid?.() === 0;
}
