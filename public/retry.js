// @ts-check
/** Whether and when the client reconnects after its WebSocket was closed. */

import { backoff, jitter } from './backoff.js';

/**
 * Whether to reconnect after a close code: `never`, `later` with the maximum delay, or soon with a
 * `new-token`. After all other codes, the client reconnects with exponential backoff.
 * @type {Record<number, 'never' | 'later' | 'new-token' | undefined>}
 */
const RETRY = {
  1008: 'never', // bad-id
  1009: 'never', // too-large: the same frame would be too large again
  4001: 'never', // replaced: two clients with one id would replace each other forever
  4003: 'later', // room-full
  4008: 'later', // too-fast
  4009: 'never', // id-taken, except for a minute: see `#retryIdTaken`
  4010: 'never', // unauthorized, unless another token may help: see `#retryWithToken`
  4011: 'never', // live-over
  4012: 'never', // removed
  4013: 'later', // unread
  4014: 'new-token', // expired
};

const MIN_MS = 500; // far below the 15 s for which the server keeps an absent peer
const MAX_MS = 30_000;
const LATER_MS = 30_000;
const STABLE_MS = 5_000; // a WebSocket that was open for longer resets the backoff
const GOING_AWAY = 1001; // Firefox closes a WebSocket when a navigation or a download begins
const ID_TAKEN = 4009;
// The other client may be a lost one: the server needs up to 50 s to notice and to free its id.
const ID_TAKEN_RETRIES_MS = 60_000;
// At least 2 s: after a reload in Firefox, the server reserves the id for 2 s for the old page.
const ID_TAKEN_MIN_MS = 4_000;
const ID_TAKEN_MAX_MS = 10_000;
const UNAUTHORIZED = 4010;
const UNREAD = 4013;
const EXPIRED_MS = 2_000; // far below the 15 s for which the server keeps an absent peer
const MAX_REFUSED_TOKENS = 3; // consecutive tokens of the application's function

export class Retry {
  #canRenewToken;
  #failures = 0; // consecutive failures
  #refusedTokens = 0; // consecutive refusals
  #idTaken = 0; // consecutive refusals of our id
  #idTakenUntil = 0; // the end of the retries, by performance.now()
  /** The time of the last `welcome`, by performance.now(). @type {number | null} */
  #joinedAt = null;

  /** @param {boolean} canRenewToken whether a function of the application returns the tokens */
  constructor(canRenewToken) {
    this.#canRenewToken = canRenewToken;
  }

  handleWelcome() {
    this.#refusedTokens = 0;
    this.#idTaken = 0;
    this.#joinedAt = performance.now();
  }

  /**
   * Returns the milliseconds until the next attempt, or null if the room is closed.
   * @param {number} code of the closed WebSocket
   * @param {string} message of the last `error` frame
   */
  delayAfter(code, message) {
    const joinedAt = this.#joinedAt;
    this.#joinedAt = null;
    const wasStable = joinedAt !== null && performance.now() - joinedAt > STABLE_MS;
    // After 1001, the server keeps the seat for 2 s only.
    if (wasStable || (joinedAt !== null && code === GOING_AWAY)) this.#failures = 0;
    const delay = this.#delay(code, message, wasStable);
    this.#failures += 1;
    return delay;
  }

  /** @param {number} code @param {string} message @param {boolean} wasStable */
  #delay(code, message, wasStable) {
    if (code === ID_TAKEN) return this.#retryIdTaken();
    const retry = code === UNAUTHORIZED ? this.#retryWithToken(message) : RETRY[code];
    if (retry === 'never') return null;
    // After 4013, the server keeps the seat for 15 s, which a flood of others must not cost us.
    if (retry === 'later' && code !== UNREAD) return jitter(LATER_MS);
    if (retry === 'new-token' && !this.#canRenewToken) return null;
    // Tokens that expire within seconds must not cause a join after the other. The tokens of many
    // clients may expire in the same second, and their back end must not get all requests at once.
    if (retry === 'new-token' && wasStable) return Math.random() * EXPIRED_MS;
    return backoff(this.#failures, MIN_MS, MAX_MS);
  }

  #retryIdTaken() {
    const now = performance.now();
    if (this.#idTaken === 0) this.#idTakenUntil = now + ID_TAKEN_RETRIES_MS;
    const left = this.#idTakenUntil - now;
    const delay = backoff(this.#idTaken, ID_TAKEN_MIN_MS, ID_TAKEN_MAX_MS);
    this.#idTaken += 1;
    return left > 0 ? Math.min(delay, left) : null;
  }

  /**
   * Returns whether to reconnect after a refused token, as in `RETRY`. A text is refused again, unless
   * it becomes valid later, which only the message of the server tells. A function may return a valid
   * token next time.
   * @param {string} message
   */
  #retryWithToken(message) {
    if (message.startsWith('the token is not valid yet')) return 'later';
    if (!this.#canRenewToken) return 'never';
    this.#refusedTokens += 1;
    return this.#refusedTokens < MAX_REFUSED_TOKENS ? undefined : 'never';
  }
}
