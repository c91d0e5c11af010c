/**
 * The functions and the class that `worker.js` imports from the module that wasm-bindgen generates.
 * `mod.rs` defines `fetch`, and `object.rs` defines `Room`.
 */

/** Creates a new WebAssembly instance. The memory of the old instance is lost. */
export function __wbg_reset_state(): void;

/**
 * Returns the state of the `worker` crate. A panic in Rust sets `criticalError`. Each new instance
 * increments `instanceId`.
 */
export function __worker_init_state(): { criticalError: boolean; instanceId: number };

export function fetch(
  request: Request,
  env: unknown,
  context: ExecutionContext,
): Response | Promise<Response>;

export class Room {
  /** `isRestart`: whether a trap ended the last Rust part of the room. */
  constructor(state: DurableObjectState, env: unknown, isRestart: boolean);
  fetch(request: Request): Response | Promise<Response>;
  webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void;
  webSocketClose(socket: WebSocket, code: number, reason: string, wasClean: boolean): void;
  webSocketError(socket: WebSocket): void;
  alarm(): void;
}
