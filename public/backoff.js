// @ts-check
/** The delay before the next attempt of a request or a connection to the server. */

/**
 * Returns a delay that doubles with each failure. Jitter keeps clients from repeating their attempts
 * at the same moment.
 * @param {number} failures consecutive failures before this one
 * @param {number} min in milliseconds
 * @param {number} max in milliseconds
 */
export function backoff(failures, min, max) {
  return jitter(Math.min(max, min * 2 ** failures));
}

/** Returns 50 to 100 % of a delay. @param {number} delay */
export function jitter(delay) {
  return delay * (0.5 + Math.random() / 2);
}
