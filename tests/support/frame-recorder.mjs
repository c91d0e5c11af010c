// @ts-check
/**
 * A WebSocket client that records its frames. Tests compare the frames of this server with those of
 * another.
 */
import { WebSocket } from 'ws';
import { within } from './peer.mjs';

export class FrameRecorder {
  /** The text of all frames so far. @type {string[]} */
  frames = [];
  #wake = () => {};

  /**
   * @param {string} url
   * @param {string} [ignored] a frame that is not recorded
   */
  constructor(url, ignored) {
    this.socket = new WebSocket(url);
    this.socket.on('message', (data) => {
      if (`${data}` === ignored) return;
      this.frames.push(`${data}`);
      this.#wake();
    });
    this.socket.on('error', () => {}); // the test expects frames
    /** @type {Promise<void>} */
    this.closed = new Promise((resolve) => void this.socket.once('close', () => resolve()));
  }

  /** Waits until the client has received this many frames. @param {number} count */
  async has(count) {
    while (this.frames.length < count) {
      const woken = new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
        this.#wake = resolve;
      });
      await within(woken, `frame ${count} arrives after ${this.frames.at(-1)}`);
    }
  }

  /**
   * Sends a frame.
   * @param {unknown} frame
   * @param {...FrameRecorder} receivers the clients that receive one frame each, for which this method
   *   waits
   */
  async send(frame, ...receivers) {
    const counts = receivers.map(({ frames }) => frames.length + 1);
    this.socket.send(JSON.stringify(frame));
    for (const [index, receiver] of receivers.entries()) await receiver.has(counts[index]);
  }

  /** Closes the WebSocket. */
  async close() {
    this.socket.close();
    await within(this.closed, 'the WebSocket closes');
  }
}
