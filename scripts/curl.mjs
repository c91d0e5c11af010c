// @ts-check
/** curl, with which a test pastes what README says. */

import { install } from './debian.mjs';
import { ask, stop } from './run.mjs';

/** Sees to it that there is one. */
export function installCurl() {
  if (ask(['curl', '--version']) === undefined && !install('curl'))
    stop('the tests need curl. Install it from https://curl.se or your system');
}
