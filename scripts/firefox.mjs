// @ts-check
/** Finds or installs Firefox, in which the browser tests run, too. */

import { existsSync } from 'node:fs';
import { install } from './debian.mjs';
import { findOnPath, stop } from './run.mjs';

const NAMES = ['firefox-esr', 'firefox'];

const OUTSIDE_PATH = [
  '/Applications/Firefox.app/Contents/MacOS/firefox',
  'C:\\Program Files\\Mozilla Firefox\\firefox.exe',
];

/**
 * Returns the path of the browser: the environment variable `FIREFOX`, or the first browser found.
 */
export function firefoxPath() {
  if (process.env.FIREFOX) return process.env.FIREFOX;
  return findOnPath(...NAMES) ?? OUTSIDE_PATH.find((path) => existsSync(path));
}

export async function installFirefox() {
  if (firefoxPath() || (await install('to test in a second browser', 'firefox-esr'))) return;
  stop(
    'Firefox was not found, and the browser tests need it. Install Firefox, or set its path: ' +
      'FIREFOX=/path/to/firefox npm test',
  );
}
