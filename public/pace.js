// @ts-check
/** Step by step: who has to wait for a step waits in a lane. */

/**
 * @typedef {import("./room.js").Pending} Pending
 *
 * @typedef {(kind: Pending, payload: unknown, way?: "out") => Promise<void> | undefined} Pace
 *   Called before each step, in the words in which the trace will tell of it; the step is done when
 *   the promise settles, or at once if there is none.
 */

/** Does one thing after another, each when the pace lets it; at once, while nothing waits. */
export class Lane {
  #pace;
  /** @type {Promise<void> | null} */
  #last = null;

  /** @param {Pace} pace */
  constructor(pace) {
    this.#pace = pace;
  }

  get busy() {
    return this.#last !== null;
  }

  /**
   * @param {Pending} kind
   * @param {unknown} payload
   * @param {() => void | Promise<void>} act
   * @param {"out"} [way]
   */
  run(kind, payload, act, way) {
    const turn = this.#last
      ? this.#last.then(() => this.#pace(kind, payload, way))
      : this.#pace(kind, payload, way);
    if (!turn) return act();
    const last = turn.then(act).finally(() => {
      if (this.#last === last) this.#last = null;
    });
    this.#last = last;
    return last;
  }
}
