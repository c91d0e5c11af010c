// @ts-check
/**
 * Installs packages from Debian. No other script changes the system outside the repository and the
 * cache folder. The script prints the packages first and, if it runs in a terminal, asks the user.
 */

import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { ask, step, tell } from './run.mjs';

const APT = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-oDPkg::Lock::Timeout=300'];

/**
 * Installs the packages that are missing. Returns false if the installation fails, if the user
 * declines, or if the system is not Debian. It also returns false if the script cannot become root.
 * @param {string} purpose the purpose of the packages, for the message to the user
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
 * Prints a message and runs a command as root. Resolves to true if the command succeeded.
 * @param {string} what the message
 * @param {string[]} command
 */
export function asRoot(what, command) {
  return step(what, isRoot() ? command : ['sudo', '-n', ...command]);
}

/**
 * Returns whether the script may install packages. If the environment variable `PARTYLINE_INSTALL`
 * is set, 0 forbids the installation, and any other value allows it. If the variable is not set,
 * the script asks the user in a terminal. Without a terminal, the script may install packages as
 * root or in CI, where the script usually runs in a container.
 * @param {string} command the command that the user can run instead
 */
async function mayInstall(command) {
  const { CI, PARTYLINE_INSTALL } = process.env;
  if (!isRoot() && ask(['sudo', '-n', 'true']) === undefined) {
    tell(`root is required to install packages. Run: ${command}`);
    return false;
  }
  const unattended = PARTYLINE_INSTALL ? PARTYLINE_INSTALL !== '0' : isRoot() || Boolean(CI);
  if (PARTYLINE_INSTALL || !isTerminal() ? unattended : await confirmed()) return true;
  tell(`no package was installed. Run: ${command} (or set PARTYLINE_INSTALL=1)`);
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
