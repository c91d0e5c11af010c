// @ts-check
/** Finds or installs the Chromium that the browser tests run. */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { install } from './debian.mjs';
import { stop } from './run.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const OUTSIDE_PATH = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
];

/** The browser that `CHROMIUM` names, or else the first one found. */
export function chromiumPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const onPath = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [...onPath, ...OUTSIDE_PATH].find((path) => existsSync(path));
}

export async function installChromium() {
  if (chromiumPath() || (await install('to test in a browser', 'chromium'))) return;
  stop(
    'Chromium or Chrome is missing, and the tests need one of them. Install it, or name it: ' +
      'CHROMIUM=/path/to/chromium npm test',
  );
}
