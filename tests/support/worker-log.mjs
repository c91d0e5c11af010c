// @ts-check
/** Collects the log of a Worker, which writes one JSON object per line. */
import { EventEmitter, once } from 'node:events';

export class WorkerLog {
  text = '';
  #emitter = new EventEmitter();

  /** For the option `log` of `startWorkerd`. @param {string} text */
  add = (text) => {
    this.text += text;
    this.#emitter.emit('text');
  };

  /**
   * The lines with this event, as soon as there are enough of them.
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
