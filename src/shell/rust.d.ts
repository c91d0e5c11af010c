/**
 * The exports of the module that wasm-bindgen generates, as far as `worker.js` uses them. `mod.rs` and
 * `object.rs` define them.
 */

/** Creates a new WebAssembly instance. The memory of the old instance is lost. */
export function __wbg_reset_state(): void;

/** The state that the `worker` crate keeps. A panic in Rust sets `criticalError`. */
export function __worker_init_state(): { criticalError: boolean; instanceId: number };

export function fetch(
  request: Request,
  env: unknown,
  context: ExecutionContext,
): Response | Promise<Response>;

export class Room {
  constructor(state: DurableObjectState, env: unknown);
  fetch(request: Request): Response | Promise<Response>;
  webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void;
  webSocketClose(socket: WebSocket, code: number, reason: string, wasClean: boolean): void;
  webSocketError(socket: WebSocket): void;
  alarm(): void;
}
