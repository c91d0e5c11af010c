// @ts-check
/** Collects the log of a Worker, in which each line is a JSON object. */
import { EventEmitter, once } from 'node:events';

export class WorkerLog {
  text = '';
  #emitter = new EventEmitter();
  #read = 0;

  /** Adds text to the log. Pass this function to `startWorkerd` as `log`. @param {string} text */
  add = (text) => {
    this.text += text;
    this.#emitter.emit('text');
  };

  /** Leaves all complete lines out of `lines` from now on. */
  skip() {
    this.#read = this.text.lastIndexOf('\n') + 1;
  }

  /**
   * Waits until the log contains at least `least` lines with this event since the last `skip`.
   * Returns all such lines.
   * @param {string} event
   * @param {number} least
   * @returns {Promise<any[]>}
   */
  async lines(event, least) {
    for (;;) {
      const found = this.text
        .slice(this.#read)
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.includes(`"${event}"`));
      if (found.length >= least) return found.map((line) => JSON.parse(line));
      await once(this.#emitter, 'text', { signal: AbortSignal.timeout(10_000) });
    }
  }
}
