// @ts-check
/**
 * The entry module that the platform loads. The module passes requests and the events of a room to
 * the Rust code, and replaces the WebAssembly instance after a trap.
 *
 * `worker-build` would generate a similar module with a proxy for each call. A proxy costs more
 * than handling a signal.
 */

import {
  Room as RustRoom,
  __wbg_reset_state as resetWasm,
  __worker_init_state as getWasmState,
  fetch as handleRequest,
} from './rust.js';

const wasmState = getWasmState();

/**
 * Calls the Rust code. The Rust code converts its own errors into responses, so an exception means
 * a trap. After a trap the memory may be inconsistent, so the next call resets the instance.
 * @template T
 * @param {() => T} call
 */
function run(call) {
  if (wasmState.criticalError) {
    wasmState.criticalError = false;
    resetWasm();
  }
  try {
    const result = call();
    if (result instanceof Promise) result.catch(markTrapped(wasmState.instanceId));
    return result;
  } catch (error) {
    wasmState.criticalError = true;
    throw error;
  }
}

/**
 * Returns a callback that marks the instance as trapped after a rejection. Rejections from an
 * earlier instance are ignored, because the current instance has not trapped.
 */
const markTrapped = (/** @type {number} */ instanceId) => () => {
  if (instanceId === wasmState.instanceId) wasmState.criticalError = true;
};

// An exception in a promise callback of the Rust code reaches no `catch` in this file. Only the
// global handler receives the exception.
const global = /** @type {any} */ (globalThis); // the types of workerd lack the `error` event
global.addEventListener('error', (/** @type {ErrorEvent} */ { error }) => {
  if (error instanceof WebAssembly.RuntimeError) wasmState.criticalError = true;
});

export default {
  /**
   * @param {Request} request
   * @param {unknown} env
   * @param {ExecutionContext} context
   */
  fetch(request, env, context) {
    return run(() => handleRequest(request, env, context));
  },
};

/** The Durable Object of a room. Its Rust part is created at the first event, and after a trap. */
export class Room {
  #state;
  #env;
  /** @type {RustRoom | undefined} */
  #rustRoom;
  /** The WebAssembly instance that `#rustRoom` belongs to. */
  #instanceId = 0;

  /**
   * @param {DurableObjectState} state
   * @param {unknown} env
   */
  constructor(state, env) {
    this.#state = state;
    this.#env = env;
  }

  /**
   * Calls the Rust part of this room. If the instance is new, the Rust part is created first.
   * @template T
   * @param {(rustRoom: RustRoom) => T} call
   */
  #run(call) {
    return run(() => {
      if (!this.#rustRoom || this.#instanceId !== wasmState.instanceId) {
        this.#rustRoom = new RustRoom(this.#state, this.#env);
        this.#instanceId = wasmState.instanceId;
      }
      return call(this.#rustRoom);
    });
  }

  /** @param {Request} request */
  fetch(request) {
    return this.#run((rustRoom) => rustRoom.fetch(request));
  }

  /**
   * @param {WebSocket} socket
   * @param {string | ArrayBuffer} message
   */
  webSocketMessage(socket, message) {
    this.#run((rustRoom) => rustRoom.webSocketMessage(socket, message));
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   * @param {string} reason
   * @param {boolean} wasClean
   */
  webSocketClose(socket, code, reason, wasClean) {
    this.#run((rustRoom) => rustRoom.webSocketClose(socket, code, reason, wasClean));
  }

  /** @param {WebSocket} socket */
  webSocketError(socket) {
    this.#run((rustRoom) => rustRoom.webSocketError(socket));
  }

  alarm() {
    this.#run((rustRoom) => rustRoom.alarm());
  }
}
