// @ts-check
/** Finds or installs coturn, the TURN server through which the tests relay. */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { asRoot, install } from './debian.mjs';
import { stop } from './run.mjs';

/** The server that `TURNSERVER` names, or else the first `turnserver` on the PATH. */
export function coturnPath() {
  if (process.env.TURNSERVER) return process.env.TURNSERVER;
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'turnserver')).find((path) => existsSync(path));
}

export async function installCoturn() {
  if (coturnPath()) return;
  if (!(await install('to test TURN', 'coturn')) || !coturnPath())
    stop(
      'coturn is missing, and the tests need it. Install it, or name its server: ' +
        'TURNSERVER=/path/to/turnserver npm test',
    );
  // With systemd, Debian's package starts a public TURN server. The tests start their own.
  if (existsSync('/run/systemd/system'))
    await asRoot(
      'disabling the public TURN server that the coturn package starts',
      'systemctl disable --now coturn'.split(' '),
    );
}
