// @ts-check
/** Installs curl if it is missing. A test runs the curl commands in the documentation. */

import { install } from './debian.mjs';
import { ask, stop } from './run.mjs';

export async function installCurl() {
  const found = ask(['curl', '--version']) !== undefined;
  if (!found && !(await install('to run the commands of the documentation', 'curl')))
    stop('curl was not found, and the tests need it. Install curl from https://curl.se.');
}
