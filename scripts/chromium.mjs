// @ts-check
/** Finds or installs Chromium, in which the browser tests run. */

import { existsSync } from 'node:fs';
import { install } from './debian.mjs';
import { findOnPath, stop } from './run.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const OUTSIDE_PATH = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
];

/**
 * Returns the path of the browser: the environment variable `CHROMIUM`, or the first browser found.
 */
export function chromiumPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  return findOnPath(...NAMES) ?? OUTSIDE_PATH.find((path) => existsSync(path));
}

export async function installChromium() {
  if (chromiumPath() || (await install('to test in a browser', 'chromium'))) return;
  stop(
    'neither Chromium nor Chrome was found, and the browser tests need one. Install Chromium, or ' +
      'set the path of a browser: CHROMIUM=/path/to/chromium npm test',
  );
}
