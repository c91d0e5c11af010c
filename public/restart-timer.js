// @ts-check
/** The timer that restarts a connection attempt or ICE, with exponential backoff and jitter. */

const RESTART_MIN_MS = 8_000; // longer than a negotiation without packet loss
const RESTART_MAX_MS = 60_000;

export class RestartTimer {
  #restart;
  #isAllowed;
  #restartCount = 0; // number of restarts since the last established connection
  /** @type {ReturnType<typeof setTimeout>=} */
  #timer;

  /**
   * @param {() => boolean} restart returns false if no restart is possible yet
   * @param {() => boolean} isAllowed returns whether the timer may start
   */
  constructor(restart, isAllowed) {
    this.#restart = restart;
    this.#isAllowed = isAllowed;
  }

  /** Starts the timer if it is not running and `isAllowed` returns true. */
  schedule() {
    if (this.#timer !== undefined || !this.#isAllowed()) return;
    const delay = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** this.#restartCount);
    // Jitter keeps two peers from restarting at the same moment, which would cause glare.
    this.#timer = setTimeout(() => this.#run(), delay * (0.75 + Math.random() / 2));
  }

  /** Restarts immediately if there was no restart since the last established connection. */
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
