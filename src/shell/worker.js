// @ts-check
/**
 * What the platform loads: hands requests, and what happens to a room, on to the Rust, and starts
 * that anew when it has trapped.
 *
 * worker-build would write the like, with proxies around every call: those cost more than all that
 * is done with a signal.
 */

import {
  Room as Inside,
  __wbg_reset_state as startAnew,
  __worker_init_state as stateOfRust,
  fetch as answer,
} from './rust.js';

const rust = stateOfRust();

/**
 * Calls the Rust. It answers for its errors itself, so whatever is thrown has cut it short, and
 * nothing that it has in memory can be relied on.
 * @template T
 * @param {() => T} call
 */
function run(call) {
  if (rust.criticalError) {
    rust.criticalError = false;
    startAnew();
  }
  try {
    const answered = call();
    if (answered instanceof Promise) answered.catch(cutShort(rust.instanceId));
    return answered;
  } catch (error) {
    rust.criticalError = true;
    throw error;
  }
}

/** What was begun before the Rust was started anew fails, too, and says nothing of this life. */
const cutShort = (/** @type {number} */ life) => () => {
  if (life === rust.instanceId) rust.criticalError = true;
};

// What goes on behind a promise is called by nobody.
const global = /** @type {any} */ (globalThis); // whose types know no such event
global.addEventListener('error', (/** @type {ErrorEvent} */ { error }) => {
  if (error instanceof WebAssembly.RuntimeError) rust.criticalError = true;
});

export default {
  /**
   * @param {Request} request
   * @param {unknown} env
   * @param {ExecutionContext} context
   */
  fetch(request, env, context) {
    return run(() => answer(request, env, context));
  },
};

/** A room. What is in the Rust is made when it is needed: for the first time, or after a trap. */
export class Room {
  #state;
  #env;
  /** @type {Inside | undefined} */
  #inside;
  #life = 0;

  /**
   * @param {DurableObjectState} state
   * @param {unknown} env
   */
  constructor(state, env) {
    this.#state = state;
    this.#env = env;
  }

  /**
   * @template T
   * @param {(inside: Inside) => T} call
   */
  #run(call) {
    return run(() => {
      if (!this.#inside || this.#life !== rust.instanceId) {
        this.#inside = new Inside(this.#state, this.#env);
        this.#life = rust.instanceId;
      }
      return call(this.#inside);
    });
  }

  /** @param {Request} request */
  fetch(request) {
    return this.#run((inside) => inside.fetch(request));
  }

  /**
   * @param {WebSocket} socket
   * @param {string | ArrayBuffer} message
   */
  webSocketMessage(socket, message) {
    this.#run((inside) => inside.webSocketMessage(socket, message));
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   * @param {string} reason
   * @param {boolean} wasClean
   */
  webSocketClose(socket, code, reason, wasClean) {
    this.#run((inside) => inside.webSocketClose(socket, code, reason, wasClean));
  }

  /** @param {WebSocket} socket */
  webSocketError(socket) {
    this.#run((inside) => inside.webSocketError(socket));
  }

  alarm() {
    this.#run((inside) => inside.alarm());
  }
}
