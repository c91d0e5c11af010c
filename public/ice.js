// @ts-check
/**
 * The ICE servers that the server names, asked for again before their credentials expire.
 *
 * It never fails: while there is no answer, there is a public STUN server.
 */

/** @type {RTCIceServer[]} */
const FALLBACK = [{ urls: 'stun:stun.cloudflare.com:3478' }];
const PATIENCE = 5_000; // more than the server gives the service that it may have to ask
const RENEW_AT = 0.8; // of the time for which they are good
const AGAIN = 300; // seconds until the next try after one that failed
const MOST = 2 ** 31 - 1; // milliseconds: what a timer takes at most

export class IceServers {
  #url;
  #headers;
  #use;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #ending = new AbortController();
  /**
   * Settles once `use` has been called for the first time.
   * @readonly @type {Promise<void>}
   */
  ready;

  /**
   * @param {URL} url where to ask
   * @param {string | undefined} token
   * @param {(servers: RTCIceServer[]) => void} use gets the servers, at first and when they change
   */
  constructor(url, token, use) {
    this.#url = url;
    this.#headers = new Headers(token === undefined ? {} : { Authorization: `Bearer ${token}` });
    this.#use = use;
    this.ready = this.#ask(FALLBACK);
  }

  /** Asks no more. */
  close() {
    clearTimeout(this.#timer);
    this.#ending.abort();
  }

  /** @param {RTCIceServer[]} [otherwise] what to use if there is no answer */
  async #ask(otherwise) {
    let { servers, ttl } = await this.#answer();
    servers ??= otherwise;
    if (this.#ending.signal.aborted) return;
    if (servers) this.#use(servers);
    if (ttl === undefined) return; // they do not expire
    this.#timer = setTimeout(() => this.#ask(), Math.min(MOST, ttl * 1000 * RENEW_AT));
  }

  /** @returns {Promise<{ servers?: RTCIceServer[], ttl?: number }>} */
  async #answer() {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), PATIENCE);
    const end = () => patience.abort();
    this.#ending.signal.addEventListener('abort', end);
    try {
      const { signal } = patience;
      const response = await fetch(this.#url, { headers: this.#headers, signal });
      if (response.status >= 500) return { ttl: AGAIN };
      // Refused, or it knows no ICE servers: asking again changes nothing.
      if (!response.ok) return {};
      const { iceServers, ttl } = await response.json();
      return { servers: iceServers, ttl };
    } catch {
      return { ttl: AGAIN };
    } finally {
      clearTimeout(timer);
      this.#ending.signal.removeEventListener('abort', end);
    }
  }
}
