// @ts-check
/**
 * Calls the Rust code, and replaces the WebAssembly instance after a trap.
 *
 * The Rust code holds nothing while a request waits, so requests that wait continue after a trap.
 * Event streams end, because they may have lost an event.
 */

import { __wbg_reset_state as resetWasm, __worker_init_state as getWasmState } from './rust.js';

/** @typedef {(reason: string) => void} End */

/**
 * The callbacks that end the open event streams. The references are weak: if a client disconnects,
 * the platform may drop its stream without a call, and the entry must not stay in memory.
 * @type {Set<WeakRef<End>>}
 */
let held = new Set();
/** The number of entries at which dead entries are removed. */
let sweepAt = 1000;

/**
 * Calls the Rust code. The Rust code converts its own errors into responses, so an exception means
 * a trap.
 * @template T
 * @param {() => T} call
 * @param {() => void} [recover] runs after a trap
 */
export function run(call, recover) {
  if (getWasmState().criticalError) restart();
  try {
    return call();
  } catch (error) {
    restart();
    recover?.();
    throw error;
  }
}

/** Replaces the WebAssembly instance, because its memory may be inconsistent after a trap. */
function restart() {
  const wasmState = getWasmState();
  // If the restart fails, the next call of the Rust code tries again.
  wasmState.criticalError = true;
  const all = held;
  held = new Set();
  for (const ref of all) ref.deref()?.('the server has restarted');
  resetWasm();
  wasmState.criticalError = false;
}

/**
 * Calls `end` after a trap. Returns a function that prevents the call. The owner of `end` must keep
 * it alive.
 * @param {End} end
 */
export function endAfterTrap(end) {
  if (held.size >= sweepAt) sweep();
  const ref = new WeakRef(end);
  held.add(ref);
  return () => void held.delete(ref);
}

function sweep() {
  for (const ref of held) if (!ref.deref()) held.delete(ref);
  sweepAt = Math.max(1000, 2 * held.size);
}
