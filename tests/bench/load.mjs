// @ts-check
/** Starts the load generator, a single process that simulates all peers of a run. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root, stop } from '../../scripts/run.mjs';

/** Starts the load generator. Returns functions that run a measurement and stop the process. */
export function startLoad() {
  const child = spawn(join(root, 'target', 'release', 'examples', 'load'), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.on(
    'exit',
    (code) => code && stop('the load generator failed. See its output above for the cause.'),
  );
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    /**
     * Runs a measurement and returns its result.
     * @param {string} measure
     * @param {object} how the parameters of the measurement
     * @returns {Promise<any>}
     */
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
