/** What wasm-bindgen makes of the Rust, as far as `worker.js` uses it: see `mod.rs` and `object.rs`. */

/** Makes a new instance of the WebAssembly: all that was in the memory of the old one is gone. */
export function __wbg_reset_state(): void;

/** What the crate `worker` knows of that; it sets the first when the Rust panics. */
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
