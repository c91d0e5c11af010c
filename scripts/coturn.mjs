// @ts-check
/** Where this machine's coturn is, a TURN server that the tests relay over, and how to get one. */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { asRoot, install } from './debian.mjs';
import { stop } from './run.mjs';

/** The server that `TURNSERVER` names, or else the first one found. */
export function coturnPath() {
  if (process.env.TURNSERVER) return process.env.TURNSERVER;
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'turnserver')).find((path) => existsSync(path));
}

/** Sees to it that there is one. */
export function installCoturn() {
  if (coturnPath()) return;
  if (!install('coturn') || !coturnPath())
    stop('the tests need coturn. Install it, or name it: TURNSERVER=/path/to/turnserver npm test');
  // Where systemd runs, the package starts a server for all the world. The tests start their own.
  if (existsSync('/run/systemd/system'))
    asRoot('switching off the TURN server that came with coturn', [
      'systemctl',
      'disable',
      '--now',
      'coturn',
    ]);
}
