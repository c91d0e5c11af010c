// @ts-check
/** A queue that runs one step at a time. Each step first waits for the `pace` callback. */

/** The number of steps that may wait. A peer that sends more must not fill our memory. */
const MAX_STEPS = 64;

/** @import { PeerContext } from "./parts.d.ts" */

export class StepQueue {
  #pace;
  /**
   * Settles when the last queued step is complete. Null while the queue is empty.
   * @type {Promise<void> | null}
   */
  #last = null;
  #length = 0; // the queued steps and the one that is running

  /** @param {PeerContext["pace"]} pace */
  constructor(pace) {
    this.#pace = pace;
  }

  get busy() {
    return this.#last !== null;
  }

  get isFull() {
    return this.#length >= MAX_STEPS;
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
    this.#length += 1;
    const last = turn.then(action).finally(() => {
      this.#length -= 1;
      if (this.#last === last) this.#last = null;
    });
    this.#last = last;
    return last;
  }
}
