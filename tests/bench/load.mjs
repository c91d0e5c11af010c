// @ts-check
/**
 * The client process that is all the peers: one for the whole run, asked in turn about each server.
 */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root, stop } from '../../scripts/run.mjs';

/** Starts it. */
export function startLoad() {
  const child = spawn(join(root, 'target', 'release', 'examples', 'load'), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.on('exit', (code) => code && stop('the load failed; what it says stands above.'));
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    /** @param {string} measure @param {object} how @returns {Promise<any>} */
    async ask(measure, how) {
      child.stdin.write(`${JSON.stringify({ measure, ...how })}\n`);
      const { value, done } = await answers.next();
      if (done)
        throw new Error(`the load ended in the midst of ${measure}: ${JSON.stringify(how)}`);
      return JSON.parse(value);
    },
    stop: () => child.stdin.end(),
  };
}
