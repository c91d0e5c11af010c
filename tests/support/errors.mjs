// @ts-check
/** Checks the errors of the server. */
import assert from 'node:assert/strict';

/**
 * Asserts that a response is an error with this status and code, in the common format of all errors.
 * @param {import('./workerd.mjs').Answer} answer
 * @param {number} status
 * @param {string} code
 * @param {string} [about] the request, for the message of a failed assertion
 * @returns {string} the message of the error
 */
export function assertError(answer, status, code, about = '') {
  assert.equal(answer.status, status, `${about} ${answer.text}`);
  assert.equal(answer.headers['content-type'], 'application/json', about);
  const body = JSON.parse(answer.text);
  const message = body.error?.message;
  assert.deepEqual(body, { error: { code, message } }, about);
  assert.ok(typeof message === 'string' && message.length > 0, `${about} an error has a message`);
  return message;
}
