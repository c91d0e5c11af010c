// @ts-check
/**
 * The queue of signals to the server, which keeps them below the server's rate limit. A client that
 * joins a large room would exceed that limit with its offers and candidates. The server allows
 * 200 signals and 1 MiB in a burst, then 100 signals and 256 KiB a second. The values here are
 * lower, because the network can deliver frames faster than they were sent.
 */

import { TokenBucket } from './token-bucket.js';

/**
 * @import { Frame } from "./parts.d.ts"
 * @typedef {{ frame: Frame, text: string, bytes: number, isCurrent: () => boolean }} Queued
 */

const MAX_BATCH = 32; // the server's limit for signals in one frame
const MAX_FRAME_BYTES = 64 * 1_024; // after a larger frame, the server closes the WebSocket
const PAUSE_MS = 1_000;
/** A newcomer to a room of 64 sends fewer: 63 offers, with 10 to 30 candidates each. */
export const MAX_QUEUED = 4_096;

/** @typedef {{ code: 'unsent' | 'too-large', message: string }} Refusal */

/**
 * Returns the error for a frame that is larger than the server accepts, or null.
 * @param {Frame} frame
 * @returns {Refusal | null}
 */
export function checkSize(frame) {
  return checkBytes(frame, byteLength(JSON.stringify(frame)));
}

/** @param {Frame} frame @param {number} bytes @returns {Refusal | null} */
function checkBytes({ type }, bytes) {
  if (bytes <= MAX_FRAME_BYTES) return null;
  const advice = ['offer', 'answer'].includes(type)
    ? 'remove tracks or stop unused transceivers'
    : 'send data over the data channel';
  const message = `the signal "${type}" has ${bytes} bytes, the limit is ${MAX_FRAME_BYTES}: ${advice}`;
  return { code: 'too-large', message };
}

/** Returns the size of a text in UTF-8. @param {string} text */
function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

export class SendQueue {
  /** @type {Queued[]} */
  #queue = [];
  #signals = new TokenBucket(150, 80);
  #bytes = new TokenBucket(900 * 1_024, 200 * 1_024);
  #pausedUntil = 0;

  get length() {
    return this.#queue.length;
  }

  /** Whether a signal to this peer is queued. @param {string} to */
  has(to) {
    return this.#queue.some(({ frame }) => frame.to === to);
  }

  /**
   * @param {Frame} frame
   * @param {() => boolean} [isCurrent] returns false when the signal need not be sent any more
   * @returns {Refusal | null} the error if the signal is discarded
   */
  push(frame, isCurrent = () => true) {
    if (this.#queue.length >= MAX_QUEUED) {
      const message = `${MAX_QUEUED} signals are queued already: send fewer, or send data over the data channel`;
      return { code: 'unsent', message };
    }
    const text = JSON.stringify(frame);
    const bytes = byteLength(text);
    const refusal = checkBytes(frame, bytes);
    if (!refusal) this.#queue.push({ frame, text, bytes, isCurrent });
    return refusal;
  }

  /**
   * Removes the signals that may be sent now. Returns the texts of their frames. Consecutive
   * candidates share a frame.
   * @param {number} now in milliseconds
   */
  take(now) {
    /** @type {string[][]} */
    const frames = [];
    /** The frame that further candidates join. @type {string[] | undefined} */
    let batch;
    this.#queue = this.#queue.filter(({ isCurrent }) => isCurrent());
    this.#signals.refill(now);
    this.#bytes.refill(now);
    while (this.#queue.length > 0 && now >= this.#pausedUntil) {
      const at = this.#next();
      const { frame, text, bytes } = this.#queue[at];
      if (this.#signals.tokens < 1 || this.#bytes.tokens < bytes) break;
      this.#signals.tokens -= 1;
      this.#bytes.tokens -= bytes;
      this.#queue.splice(at, 1);
      if (frame.type === 'candidate' && batch && batch.length < MAX_BATCH) batch.push(text);
      else {
        frames.push([text]);
        batch = frame.type === 'candidate' ? frames.at(-1) : undefined;
      }
    }
    return frames.map((texts) => (texts.length > 1 ? `[${texts}]` : texts[0]));
  }

  /** Stops sending for a second, after the server refused a signal. @param {number} now */
  pause(now) {
    this.#pausedUntil = now + PAUSE_MS;
  }

  clear() {
    this.#queue = [];
  }

  /**
   * Returns the index of the next signal. Candidates wait for all other signals, because every
   * connection needs its descriptions first. Signals to one peer stay in order, so the next signal
   * can be an earlier candidate to the same peer.
   */
  #next() {
    const first = this.#queue.find(({ frame }) => frame.type !== 'candidate');
    return first ? this.#queue.findIndex(({ frame }) => frame.to === first.frame.to) : 0;
  }
}
