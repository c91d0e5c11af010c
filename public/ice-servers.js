// @ts-check
/**
 * The ICE servers: requests them from the server, and again before they expire. The requests never
 * end for good, because without new credentials a connection through TURN cannot be repaired.
 */

import { backoff } from './backoff.js';
import { httpUrl } from './options.js';
import { requestToken } from './token.js';

/** @import { RoomOptions } from "./room.js" */

const TIMEOUT_MS = 5_000; // longer than the server's 3 s timeout for the TURN service
const REFRESH_MIN_MS = 1_000;
const RETRY_MIN_MS = 5_000;
const RETRY_MAX_MS = 300_000;
const REFRESH_AT = 0.8; // fraction of `ttl` after which the ICE servers are requested again
const MAX_TIMER_MS = 2 ** 31 - 1; // with a longer delay, setTimeout() fires immediately

/** The application or the server answered, but with an error. Waiting may not be enough. */
class Refusal extends Error {}

export class IceServers {
  /** Settles after the first request, even if that request fails. @type {Promise<void>} */
  ready;
  /**
   * The last ICE servers that the server returned. Initially a public STUN server.
   * @type {RTCIceServer[]}
   */
  #servers = [{ urls: 'stun:stun.cloudflare.com:3478' }];
  #expiresAt = Infinity; // by Date.now()
  /** The time of the next request, by Date.now(). Infinity while none is planned. */
  #dueAt = Infinity;
  /** @type {ReturnType<typeof setTimeout>=} */
  #timer;
  #failures = 0; // consecutive failures
  #isReported = false; // whether the application knows of the failures
  #url;
  #token;
  #needsTurn;
  #stop;
  #use;
  #report;

  /**
   * @param {URL} room the URL of the room
   * @param {string | undefined} id
   * @param {RoomOptions['token']} token
   * @param {boolean} needsTurn whether only TURN servers are used
   * @param {AbortSignal} stop
   * @param {(servers: RTCIceServer[]) => void} use called with the ICE servers after each request
   * @param {(message: string) => void} report called once for consecutive failures
   */
  constructor(room, id, token, needsTurn, stop, use, report) {
    this.#url = httpUrl('/ice-servers', room);
    if (id !== undefined) this.#url.searchParams.set('_pk', id);
    this.#token = token;
    this.#needsTurn = needsTurn;
    this.#stop = stop;
    this.#use = use;
    this.#report = report;
    stop.addEventListener('abort', () => clearTimeout(this.#timer));
    this.ready = this.#refresh();
  }

  /**
   * Requests the ICE servers if it is time. Timers stand still while a computer sleeps, so the room
   * calls this method when it has reconnected.
   */
  refreshIfDue() {
    if (Date.now() >= this.#dueAt) this.#refresh();
  }

  async #refresh() {
    clearTimeout(this.#timer);
    this.#dueAt = Infinity;
    let delay;
    try {
      delay = await this.#request();
      this.#failures = 0;
      this.#isReported = false;
    } catch (error) {
      if (this.#stop.aborted) return;
      this.#handleFailure(error);
      delay = backoff(this.#failures, RETRY_MIN_MS, RETRY_MAX_MS);
      this.#failures += 1;
    }
    if (this.#stop.aborted) return;
    if (delay !== undefined) {
      this.#dueAt = Date.now() + delay;
      this.#timer = setTimeout(() => this.#refresh(), Math.min(MAX_TIMER_MS, delay));
    }
    this.#use(this.#servers); // last, because a browser that refuses the ICE servers throws
  }

  /**
   * Requests the ICE servers. Returns the milliseconds until the next request, or undefined if the
   * ICE servers do not expire.
   */
  async #request() {
    const token = await requestToken(this.#token, this.#stop).catch((error) => {
      throw new Refusal(error.message);
    });
    const headers = new Headers(token === undefined ? {} : { Authorization: `Bearer ${token}` });
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(this.#url, { headers, signal });
    const { iceServers, ttl, error } = parse(await response.text());
    if (!response.ok || !Array.isArray(iceServers)) {
      const { status } = response;
      throw new Refusal(error?.message ?? `the server answered ${status} without ICE servers`);
    }
    if (this.#needsTurn && !/"turns?:/.test(JSON.stringify(iceServers)))
      throw new Refusal('the server has no TURN server, and iceTransportPolicy is "relay"');
    this.#servers = iceServers;
    this.#expiresAt = ttl > 0 ? Date.now() + ttl * 1000 : Infinity;
    return ttl > 0 ? Math.max(REFRESH_MIN_MS, ttl * 1000 * REFRESH_AT) : undefined;
  }

  /** @param {unknown} error */
  #handleFailure(error) {
    // Other failures are temporary, and harmless while the credentials are valid.
    if (this.#isReported || !(error instanceof Refusal || Date.now() >= this.#expiresAt)) return;
    this.#isReported = true;
    const reason = error instanceof Refusal ? error.message : 'the server did not answer';
    this.#report(
      `the request for ICE servers failed: ${reason}. Until a retry succeeds, connections through ` +
        'TURN may fail',
    );
  }
}

/** @param {string} text @returns {any} an empty object if the text is not an object in JSON */
function parse(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}
