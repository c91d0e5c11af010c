// @ts-check
/**
 * The entry module that the platform loads. The module passes requests and the events of a room to
 * the Rust code.
 *
 * `worker-build` would generate a similar module with a proxy for each call. A proxy costs more
 * than handling a signal.
 */

import {
  Room as RustRoom,
  __worker_init_state as getWasmState,
  fetch as handleRequest,
} from './rust.js';
import { echoRequest } from './engine/echo.js';
import { MediaCalls } from './media.js';
import { pageFor } from './pages.js';
import { run } from './trap.js';

export { Engine } from './engine/polling.js';

const wasmState = getWasmState();

export default {
  /**
   * @param {Request} request
   * @param {unknown} env
   */
  fetch(request, env) {
    return pageFor(
      request,
      run(() => handleRequest(echoRequest(request, env), env)),
    );
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
  #mediaCalls = new MediaCalls(this);

  /**
   * @param {DurableObjectState} state
   * @param {unknown} env
   */
  constructor(state, env) {
    this.#state = state;
    this.#env = env;
  }

  /** Returns the Rust object, and creates it first in a new WebAssembly instance. */
  #restored() {
    if (!this.#rustRoom || this.#instanceId !== wasmState.instanceId) {
      const isRestart = this.#rustRoom !== undefined;
      this.#rustRoom = new RustRoom(this.#state, this.#env, isRestart, this.#mediaCalls);
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
    return this.#run((rustRoom) => {
      const answer = rustRoom.fetch(request);
      if (!(answer instanceof Promise)) return answer;
      // Another trap may restart the Rust code in the meantime.
      return answer.then((body) => this.#run((rustRoom) => rustRoom.post(request, body)));
    });
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

  /**
   * Handles the end of a request to the media server. `media.js` calls this method.
   * @param {string} context
   * @param {number} status
   * @param {string} body
   */
  mediaCallEnded(context, status, body) {
    this.#run((rustRoom) => rustRoom.called(context, status, body));
  }

  alarm() {
    this.#run((rustRoom) => rustRoom.alarm());
  }
}
