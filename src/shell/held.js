// @ts-check
/**
 * What the Rust code has started and not finished: promises and event streams. After a trap, the
 * Rust code never finishes them, so `endHeld` ends them.
 */

/** @typedef {(reason: unknown) => void} End */

/**
 * The references are weak. If a client disconnects, the platform drops its request without settling
 * its promises, and its entry must not stay in memory.
 * @type {Set<WeakRef<End>>}
 */
let held = new Set();
/** The number of entries at which dead entries are removed. */
let sweepAt = 1000;

/**
 * Holds a callback that ends something after a trap. Returns a function that releases the callback.
 * The owner of the callback must keep it alive.
 * @param {End} end
 */
export function hold(end) {
  if (held.size >= sweepAt) sweep();
  const ref = new WeakRef(end);
  held.add(ref);
  return () => void held.delete(ref);
}

function sweep() {
  for (const ref of held) if (!ref.deref()) held.delete(ref);
  sweepAt = Math.max(1000, 2 * held.size);
}

/** Ends everything that is held. @param {unknown} reason */
export function endHeld(reason) {
  const all = held;
  held = new Set();
  for (const ref of all) ref.deref()?.(reason);
}
