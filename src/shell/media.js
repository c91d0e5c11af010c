// @ts-check
/**
 * Sends the requests of a room to the media server.
 *
 * No handler of the room awaits a request, so the room handles other events meanwhile. When a request
 * ends, the room is called. A pending request keeps the room in memory, for at most ten seconds.
 */

import { readText } from './body.js';
import { logRejection } from './promise.js';

/** The time for one request and its reply, in milliseconds. */
const TIMEOUT = 10_000;
/** The maximum size of a reply, in bytes: four times the largest SDP. */
const MAX_REPLY = 256 * 1024;

/**
 * The causes of incomplete replies, by the results of `readText`.
 * @type {Record<number, string>}
 */
const PROBLEMS = { 400: 'the reply is not UTF-8', 413: 'the reply is larger than 256 KiB' };

/**
 * @typedef {object} MediaRoom
 * @property {(context: string, status: number, body: string) => void} mediaCallEnded
 */

/** The requests of one room. */
export class MediaCalls {
  /**
   * The Rust part of the room refers to this object, and WebAssembly keeps what it refers to. A strong
   * reference would form a cycle, so that the room could never be removed from memory.
   * @type {WeakRef<MediaRoom>}
   */
  #room;

  /** @param {MediaRoom} room */
  constructor(room) {
    this.#room = new WeakRef(room);
  }

  /**
   * Sends a request. When it ends, the room gets `context`, the status and the body of the reply. The
   * status is 0 if there is no complete reply. The body then contains the cause.
   * @param {string} context
   * @param {string} method
   * @param {string} url
   * @param {string} secret the bearer token
   * @param {string} [body]
   */
  start(context, method, url, secret, body) {
    const ended = send(method, url, secret, body).then(({ status, text }) =>
      this.#room.deref()?.mediaCallEnded(context, status, text),
    );
    logRejection(ended, 'media-failed');
  }
}

/**
 * Never rejects.
 * @param {string} method
 * @param {string} url
 * @param {string} secret
 * @param {string} [body]
 */
async function send(method, url, secret, body) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), TIMEOUT);
  try {
    const response = await fetch(url, {
      method,
      body,
      headers: {
        Authorization: `Bearer ${secret}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      // A redirect could send the secret to another host, so redirects are not followed.
      redirect: 'manual',
      signal: controller.signal,
    });
    const text = response.body ? await readText(response.body, MAX_REPLY) : '';
    if (typeof text !== 'string') throw new Error(PROBLEMS[text] ?? 'the reply is incomplete');
    return { status: response.status, text };
  } catch (error) {
    const text = controller.signal.aborted ? 'there was no reply within 10 s' : String(error);
    return { status: 0, text };
  } finally {
    // A pending timer would keep the room in memory.
    clearTimeout(timer);
  }
}
