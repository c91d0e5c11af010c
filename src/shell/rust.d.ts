/**
 * The functions and the class that `worker.js` and its modules import from the module that
 * wasm-bindgen generates.
 * `mod.rs` defines `fetch` and `proceed`, and `object.rs` defines `Room`.
 */

/** Creates a new WebAssembly instance. The memory of the old instance is lost. */
export function __wbg_reset_state(): void;

/**
 * Returns the state of the `worker` crate. A panic in Rust sets `criticalError`. Each new instance
 * increments `instanceId`.
 */
export function __worker_init_state(): { criticalError: boolean; instanceId: number };

export function fetch(request: Request, env: unknown): Response | Promise<Response>;

/** The number of a step, which only the Rust code knows. */
export type Step = number & { step: true };

/** Continues to handle a request. `outcome`: the value or the error of a settled promise. */
export function proceed(
  step: Step,
  request: Request,
  env: unknown,
  outcome: unknown,
): Response | Promise<Response>;

export class Room {
  /**
   * `isRestart`: whether a trap ended the last Rust part of the room. `calls`: the requests of this
   * room to the media server.
   */
  constructor(
    state: DurableObjectState,
    env: unknown,
    isRestart: boolean,
    calls: import('./media.js').MediaCalls,
  );
  /** Returns a promise of the body of a posted signal, and a response to every other request. */
  fetch(request: Request): Response | Promise<string | number>;
  /** Handles a posted signal after its body has arrived. `body`: the result of `Bodies.read`. */
  post(request: Request, body: string | number): Response;
  webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void;
  webSocketClose(socket: WebSocket, code: number, reason: string, wasClean: boolean): void;
  webSocketError(socket: WebSocket): void;
  /** Handles the end of a request to the media server. `status`: 0 if there is no reply. */
  called(context: string, status: number, body: string): void;
  alarm(): void;
}
