// @ts-check
/** What happens after a promise settles that the Rust code has started. */

import { proceed } from './rust.js';
import { run } from './trap.js';

/** @typedef {import('./rust.js').Step} Step */

/**
 * Continues to handle a request after a promise settles. Returns a promise of the response.
 * @param {Promise<unknown>} promise
 * @param {Step} step
 * @param {Request} request
 * @param {unknown} env
 */
export function proceedAfter(promise, step, request, env) {
  const settled = (/** @type {unknown} */ outcome) =>
    run(() => proceed(step, request, env, outcome));
  return promise.then(settled, settled);
}

/**
 * Logs the error if a promise rejects that nobody awaits.
 * @param {Promise<unknown>} promise
 * @param {string} event
 */
export function logRejection(promise, event) {
  promise.catch((error) => console.error(JSON.stringify({ event, message: String(error) })));
}
