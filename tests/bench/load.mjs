// @ts-check
/** The load generator: one client process for the whole run, which simulates all peers. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root, stop } from '../../scripts/run.mjs';

/** Starts the process. */
export function startLoad() {
  const child = spawn(join(root, 'target', 'release', 'examples', 'load'), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.on('exit', (code) => code && stop('The load generator failed. Its output is above.'));
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    /** @param {string} measure @param {object} how @returns {Promise<any>} */
    async ask(measure, how) {
      child.stdin.write(`${JSON.stringify({ measure, ...how })}\n`);
      const { value, done } = await answers.next();
      if (done)
        throw new Error(`the load generator exited during ${measure}: ${JSON.stringify(how)}`);
      return JSON.parse(value);
    },
    stop: () => child.stdin.end(),
  };
}
