// @ts-check
/** Finds or installs coturn, the TURN server that the tests use. */

import { existsSync } from 'node:fs';
import { asRoot, install } from './debian.mjs';
import { findOnPath, stop } from './run.mjs';

/**
 * Returns the path of coturn's server: the environment variable `TURNSERVER`, or the first
 * `turnserver` on the PATH.
 */
export function coturnPath() {
  return process.env.TURNSERVER || findOnPath('turnserver');
}

export async function installCoturn() {
  if (coturnPath()) return;
  if (!(await install('to test TURN', 'coturn')) || !coturnPath())
    stop(
      'coturn was not found, and the tests need it. Install coturn, or set the path of its server: ' +
        'TURNSERVER=/path/to/turnserver npm test',
    );
  // On a system with systemd, Debian's package starts a public TURN server. The tests do not need
  // that server, because they start their own.
  if (existsSync('/run/systemd/system'))
    await asRoot(
      'disabling the public TURN server that the coturn package starts',
      'systemctl disable --now coturn'.split(' '),
    );
}
