// @ts-check
/** A queue that runs one step at a time. Each step first waits for the `pace` callback. */

/** @import { PeerContext } from "./parts.d.ts" */

export class StepQueue {
  #pace;
  /**
   * Settles when the last queued step is complete. Null while the queue is empty.
   * @type {Promise<void> | null}
   */
  #last = null;

  /** @param {PeerContext["pace"]} pace */
  constructor(pace) {
    this.#pace = pace;
  }

  get busy() {
    return this.#last !== null;
  }

  /**
   * Runs `action` after the queued steps. Runs `action` synchronously if no step is queued and
   * `pace` returns nothing.
   * @param {() => void | Promise<void>} action
   * @param {Parameters<PeerContext["pace"]>} step arguments for `pace`
   */
  run(action, ...step) {
    const turn = this.#last ? this.#last.then(() => this.#pace(...step)) : this.#pace(...step);
    if (!turn) return action();
    const last = turn.then(action).finally(() => {
      if (this.#last === last) this.#last = null;
    });
    this.#last = last;
    return last;
  }
}
