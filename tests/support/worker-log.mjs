// @ts-check
/** Collects the log of a Worker, in which each line is a JSON object. */
import { EventEmitter, once } from 'node:events';

export class WorkerLog {
  text = '';
  #emitter = new EventEmitter();

  /** Adds text to the log. Pass this function to `startWorkerd` as `log`. @param {string} text */
  add = (text) => {
    this.text += text;
    this.#emitter.emit('text');
  };

  /**
   * Waits until the log contains at least `least` lines with this event. Returns all such lines.
   * @param {string} event
   * @param {number} least
   * @returns {Promise<any[]>}
   */
  async lines(event, least) {
    for (;;) {
      const found = this.text
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.includes(`"${event}"`));
      if (found.length >= least) return found.map((line) => JSON.parse(line));
      await once(this.#emitter, 'text', { signal: AbortSignal.timeout(10_000) });
    }
  }
}
