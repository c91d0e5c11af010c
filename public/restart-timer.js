// @ts-check
/** The timer that restarts a connection attempt or ICE, with exponential backoff and jitter. */

const RESTART_MIN_MS = 8_000; // an undisturbed negotiation takes less
const RESTART_MAX_MS = 60_000;

export class RestartTimer {
  #restart;
  #isAllowed;
  #restartCount = 0; // in a row, without a connection in between
  /** @type {ReturnType<typeof setTimeout>=} */
  #timer;

  /**
   * @param {() => boolean} restart returns false if the restart has to wait
   * @param {() => boolean} isAllowed whether the timer may be started
   */
  constructor(restart, isAllowed) {
    this.#restart = restart;
    this.#isAllowed = isAllowed;
  }

  /** Starts the timer, unless it is running. */
  schedule() {
    if (this.#timer !== undefined || !this.#isAllowed()) return;
    const delay = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** this.#restartCount);
    // Random, so that the restarts of two peers do not cause glare at every attempt.
    this.#timer = setTimeout(() => this.#run(), delay * (0.75 + Math.random() / 2));
  }

  /** Restarts without waiting, if this is the first failure in a row. */
  handleFailure() {
    if (this.#restartCount === 0) this.#run();
  }

  handleSuccess() {
    this.#restartCount = 0;
    this.stop();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #run() {
    this.stop();
    if (this.#restart()) this.#restartCount += 1;
    this.schedule();
  }
}
