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
import { endHeld, hold } from './held.js';

const wasmState = getWasmState();

/**
 * Calls the Rust code. The Rust code converts its own errors into responses, so an exception or a
 * rejected promise means a trap.
 * @template T
 * @param {() => T} call
 * @param {() => void} [recover] runs after a trap in this call
 */
function run(call, recover) {
  if (wasmState.criticalError) restart(new Error('the Rust code has trapped'));
  const { instanceId } = wasmState;
  const trapped = (/** @type {unknown} */ error) => {
    // Another trap may have restarted the Rust code while the promise was pending.
    if (instanceId !== wasmState.instanceId) return;
    restart(error);
    recover?.();
  };
  try {
    const result = call();
    return result instanceof Promise ? /** @type {T} */ (untilTrap(result, trapped)) : result;
  } catch (error) {
    trapped(error);
    throw error;
  }
}

/**
 * Returns a promise that settles like `promise`, or rejects as soon as the Rust code traps, because
 * `promise` may never settle then.
 * @param {Promise<unknown>} promise
 * @param {(error: unknown) => void} trapped
 */
const untilTrap = (promise, trapped) =>
  new Promise((resolve, reject) => {
    const release = hold(reject);
    promise.then(
      (value) => {
        release();
        resolve(value);
      },
      (error) => {
        release();
        trapped(error);
        reject(error);
      },
    );
  });

/**
 * Replaces the WebAssembly instance after a trap, because its memory may be inconsistent. Ends
 * everything that the old instance held, so that clients reconnect.
 * @param {unknown} error
 */
function restart(error) {
  // If the restart fails, the next call of the Rust code tries again.
  wasmState.criticalError = true;
  endHeld(error);
  resetWasm();
  wasmState.criticalError = false;
}

/**
 * Restarts the Rust code if an exception came out of it. An exception in a promise callback of the
 * Rust code reaches no `catch` in this file.
 * @param {any} error
 */
function restartIfTrapped(error) {
  // The stack shows whether an exception of JavaScript code has crossed Rust code.
  if (error instanceof WebAssembly.RuntimeError || /\bwasm-function\b/.test(error?.stack))
    restart(error);
}
// The types of workerd lack these events.
const global = /** @type {any} */ (globalThis);
global.addEventListener('error', (/** @type {ErrorEvent} */ { error }) => restartIfTrapped(error));
global.addEventListener('unhandledrejection', (/** @type {PromiseRejectionEvent} */ { reason }) =>
  restartIfTrapped(reason),
);

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

  /** Returns the Rust part. If the instance is new, the Rust part is created first. */
  #restored() {
    if (!this.#rustRoom || this.#instanceId !== wasmState.instanceId) {
      const isRestart = this.#rustRoom !== undefined;
      this.#rustRoom = new RustRoom(this.#state, this.#env, isRestart);
      this.#instanceId = wasmState.instanceId;
    }
    return this.#rustRoom;
  }

  /**
   * Calls the Rust part of this room.
   * @template T
   * @param {(rustRoom: RustRoom) => T} call
   */
  #run(call) {
    return run(() => call(this.#restored()), this.#recover);
  }

  /** Restores the room after a trap. If that traps as well, the next event tries again. */
  #recover = () => {
    try {
      run(() => this.#restored());
    } catch {
      // The trap is already logged.
    }
  };

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
