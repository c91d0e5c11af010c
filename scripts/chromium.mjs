// @ts-check
/** Where this machine's Chromium is, for the tests that need a browser, and how to get one. */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { install } from './debian.mjs';
import { stop } from './run.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const ELSEWHERE = [
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
  return [...onPath, ...ELSEWHERE].find((path) => existsSync(path));
}

/** Sees to it that there is one. */
export function installChromium() {
  if (chromiumPath() || install('chromium')) return;
  stop('the tests need Chromium or Chrome. Install it, or name it: CHROMIUM=/path/to/it npm test');
}
