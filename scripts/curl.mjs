// @ts-check
/** Provides curl: a test runs the commands that the documentation shows. */

import { install } from './debian.mjs';
import { ask, stop } from './run.mjs';

export async function installCurl() {
  const found = ask(['curl', '--version']) !== undefined;
  if (!found && !(await install('to run the commands of the documentation', 'curl')))
    stop('curl is missing, and the tests need it. Install it from https://curl.se.');
}
