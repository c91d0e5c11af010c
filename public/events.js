// @ts-check
/** Events whose `detail` is what happened, with listeners that receive the `detail` alone. */

/** @typedef {(detail: any) => void} Handler */

export class Events extends EventTarget {
  /** The listener of each handler of `on`, by type. @type {Map<string, Map<Handler, EventListener>>} */
  #listeners = new Map();

  /**
   * Calls `handle` with the `detail` of each event of a type.
   * @param {string} type
   * @param {Handler} handle
   * @returns {() => void} stops the calls, like `off`
   */
  on(type, handle) {
    const listeners = this.#listeners.get(type) ?? new Map();
    this.#listeners.set(type, listeners);
    if (!listeners.has(handle)) listeners.set(handle, listen(this, type, handle));
    return () => this.off(type, handle);
  }

  /** @param {string} type @param {Handler} handle */
  off(type, handle) {
    const listeners = this.#listeners.get(type);
    this.removeEventListener(type, listeners?.get(handle) ?? null);
    listeners?.delete(handle);
  }
}

/** @param {EventTarget} target @param {string} type @param {Handler} handle */
export function listen(target, type, handle) {
  const listener = (/** @type {Event} */ event) =>
    handle(/** @type {CustomEvent} */ (event).detail);
  target.addEventListener(type, listener);
  return listener;
}

/** @param {EventTarget} target @param {string} type @param {unknown} detail */
export function emit(target, type, detail) {
  target.dispatchEvent(new CustomEvent(type, { detail }));
}
