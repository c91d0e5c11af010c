// @ts-check
/**
 * The ICE servers that the server names, asked for again before their credentials expire. While
 * there is no answer, a public STUN server.
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
  #ending = new AbortController();
  /** Settles after the first `use`. */
  ready;

  /**
   * @param {URL} url
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
    this.#ending.abort();
  }

  /** @param {RTCIceServer[]} [otherwise] if there is no answer */
  async #ask(otherwise) {
    const { servers = otherwise, ttl } = await this.#answer();
    if (this.#ending.signal.aborted) return;
    if (servers) this.#use(servers);
    if (ttl === undefined) return; // they do not expire
    const timer = setTimeout(() => this.#ask(), Math.min(MOST, ttl * 1000 * RENEW_AT));
    this.#ending.signal.onabort = () => clearTimeout(timer);
  }

  /** @returns {Promise<{ servers?: RTCIceServer[], ttl?: number }>} */
  async #answer() {
    try {
      const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(PATIENCE)]);
      const response = await fetch(this.#url, { headers: this.#headers, signal });
      if (response.status >= 500) return { ttl: AGAIN };
      if (!response.ok) return {}; // refused, or there are none: asking again changes nothing
      const { iceServers, ttl } = await response.json();
      return { servers: iceServers, ttl };
    } catch {
      return { ttl: AGAIN };
    }
  }
}
