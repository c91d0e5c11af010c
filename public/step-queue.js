// @ts-check
/** A queue that runs one step at a time. Each step first waits for the `pace` callback. */

/** @import { PeerContext } from "./parts.d.ts" */

export class StepQueue {
  #pace;
  /** Settles when the last queued step is done. @type {Promise<void> | null} */
  #last = null;

  /** @param {PeerContext["pace"]} pace */
  constructor(pace) {
    this.#pace = pace;
  }

  get busy() {
    return this.#last !== null;
  }

  /**
   * Runs `action` after the steps before it: synchronously if there are none and `pace` returns
   * nothing.
   * @param {() => void | Promise<void>} action
   * @param {Parameters<PeerContext["pace"]>} step what the application sees of it
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
