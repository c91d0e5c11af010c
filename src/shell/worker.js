// @ts-check
/**
 * The module that the platform loads. It passes requests and the events of a room to the Rust code,
 * and replaces the WebAssembly instance after a trap.
 *
 * `worker-build` would generate a similar module, with proxies around each call. Those proxies cost
 * more than handling a signal.
 */

import {
  Room as RustRoom,
  __wbg_reset_state as resetWasm,
  __worker_init_state as getWasmState,
  fetch as handleRequest,
} from './rust.js';

const wasmState = getWasmState();

/**
 * Calls the Rust code, which turns its own errors into responses. So an exception means that the code
 * has trapped, and its memory may be inconsistent.
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

/** Ignores rejections of promises that an earlier instance made: this instance has not trapped. */
const markTrapped = (/** @type {number} */ instanceId) => () => {
  if (instanceId === wasmState.instanceId) wasmState.criticalError = true;
};

// A promise callback has no caller of ours, so the global handler catches its exceptions.
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

/** The Durable Object of a room. Creates its Rust part at the first event, and again after a trap. */
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
