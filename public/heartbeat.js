// @ts-check
/** Finds out whether an open WebSocket still works, by `ping` frames that the server answers. */

const PING_INTERVAL_MS = 25_000; // some proxies and phones close connections that are idle for 30 s
// The server closes the WebSocket of a client that was silent while it was sent 4 MiB. The characters
// are UTF-16 units, of up to three bytes each.
const PING_AFTER_CHARS = 2 ** 20;
const PONG_TIMEOUT_MS = 10_000;
/**
 * The timeout of an answer after the network has changed or the user has returned to the page: long
 * enough for a phone whose radio has just woken up. An unnecessary reconnect loses nothing.
 */
export const PROMPT_TIMEOUT_MS = 4_000;

export class Heartbeat {
  #handleDead;
  /** @type {WebSocket | null} */
  #socket = null;
  /** Fires at the next ping, or when the answer is overdue. @type {ReturnType<typeof setTimeout>=} */
  #timer;
  /** The time at which the awaited answer is overdue. Infinity if no answer is awaited. */
  #dueAt = Infinity;
  #charsSincePing = 0;
  /** Whether only a `pong` is an answer, because other messages may have waited while the page slept. */
  #needsPong = false;

  /** @param {() => void} handleDead called when the server does not answer in time */
  constructor(handleDead) {
    this.#handleDead = handleDead;
  }

  /** @param {WebSocket} socket an open WebSocket */
  start(socket) {
    this.#socket = socket;
    this.#charsSincePing = 0;
    this.#schedule();
  }

  stop() {
    this.#socket = null;
    this.#dueAt = Infinity;
    clearTimeout(this.#timer);
  }

  /** Any message proves that the server is alive, except after `check`. @param {unknown} text */
  handleMessage(text) {
    if (!this.#socket) return;
    if (this.#dueAt < Infinity && (text === 'pong' || !this.#needsPong)) this.#schedule();
    this.#charsSincePing += String(text).length;
    if (this.#charsSincePing > PING_AFTER_CHARS) this.#ping(PONG_TIMEOUT_MS);
  }

  /** Expects an answer soon. An answer that is due even earlier stays due. */
  check() {
    if (performance.now() + PROMPT_TIMEOUT_MS < this.#dueAt) this.#ping(PROMPT_TIMEOUT_MS);
    this.#needsPong = true;
  }

  #schedule() {
    this.#dueAt = Infinity;
    this.#needsPong = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ping(PONG_TIMEOUT_MS), PING_INTERVAL_MS);
  }

  /** @param {number} timeout in milliseconds */
  #ping(timeout) {
    this.#socket?.send('ping');
    this.#charsSincePing = 0;
    this.#dueAt = performance.now() + timeout;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#handleDead, timeout);
  }
}
