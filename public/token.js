// @ts-check
/** The token that a request shows to the server. The application passes a text or a function. */

/** @import { RoomOptions } from "./room.js" */

const TIMEOUT_MS = 10_000;

/** Whether a value has the characters of a JWT. @param {unknown} value */
export function isToken(value) {
  return typeof value === 'string' && /^[\w.-]+$/.test(value);
}

/**
 * Returns the token for the next request. The promise always settles. If it rejects, the message of
 * the error contains nothing that the function returned, because error messages end up in logs.
 * @param {RoomOptions['token']} token a function is called for each request
 * @param {AbortSignal} stop ends the wait for the function
 * @returns {Promise<string | undefined>}
 */
export async function requestToken(token, stop) {
  if (typeof token !== 'function') return token;
  const answer = await settle(token, stop);
  const result = typeof answer === 'string' ? answer.trim() : answer;
  if (isToken(result)) return result;
  const received = typeof result === 'string' ? 'another text' : `the type ${typeof result}`;
  throw new Error(
    `the function in the option token returned ${received}: expected a JWT, without spaces or line breaks`,
  );
}

/**
 * Calls a function. Rejects after a timeout and on `stop` as well, because the function may never
 * return.
 * @param {() => any} token
 * @param {AbortSignal} stop
 * @returns {Promise<any>}
 */
function settle(token, stop) {
  return new Promise((resolve, reject) => {
    const fail = (/** @type {string} */ problem) =>
      reject(new Error(`the function in the option token ${problem}`));
    const seconds = TIMEOUT_MS / 1000;
    const timer = setTimeout(() => fail(`returned no token within ${seconds} s`), TIMEOUT_MS);
    const abort = () => fail('is not needed any more');
    stop.addEventListener('abort', abort);
    Promise.resolve()
      .then(token)
      .then(resolve, (error) => fail(`failed: ${textOf(error)}`))
      .finally(() => {
        clearTimeout(timer);
        stop.removeEventListener('abort', abort);
      });
  });
}

/** Returns the text of a value. Some values cannot be converted, such as an object without a prototype. @param {unknown} value */
function textOf(value) {
  try {
    return String(value);
  } catch {
    return `the type ${typeof value}`;
  }
}
