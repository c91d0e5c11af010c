// @ts-check
/**
 * Finds out why no WebSocket opens. A browser reports the same code 1006 for every cause. If the
 * server answers HTTP requests meanwhile, then it or something in between refuses WebSockets. If it does
 * not answer, and no WebSocket has opened before, then the address may be wrong.
 */

import { httpUrl } from './options.js';

/** The number of consecutive failures before the probe. 1 if no WebSocket has ever opened. */
const PROBE_AFTER = 2;
const TIMEOUT_MS = 5_000;

export class HttpProbe {
  #url;
  #stop;
  #report;
  #failures = 0; // consecutive WebSockets that did not open
  #hasOpened = false; // any WebSocket so far
  #httpWorks = false;
  #isReported = false;
  #isUnreachableReported = false;

  /**
   * @param {URL} socketUrl the URL of the WebSocket
   * @param {AbortSignal} stop
   * @param {(code: 'unreachable' | 'websocket-blocked', message: string) => void} report called at
   *   most once with each code for consecutive failures
   */
  constructor(socketUrl, stop, report) {
    this.#url = httpUrl('/health', socketUrl); // a request for the room would wake it
    this.#stop = stop;
    this.#report = report;
  }

  /** A WebSocket has opened. */
  handleOpen() {
    this.#hasOpened = true;
    this.#failures = 0;
    this.#httpWorks = this.#isReported = false;
  }

  /** A WebSocket could not be opened. */
  handleFailure() {
    this.#failures += 1;
    if (this.#isReported || this.#stop.aborted || this.#failures < this.#minFailures) return;
    // A server that starts can answer HTTP just after the WebSocket has failed. So another WebSocket
    // must fail after the answer.
    if (!this.#httpWorks) return void this.#probe();
    this.#isReported = true;
    this.#report(
      'websocket-blocked',
      `${this.#url.host} answers HTTP requests, but refuses WebSockets: read the status in the network ` +
        'tab. 400: invalid option key. 403: add this origin to ALLOWED_ORIGINS. 500: invalid setting. ' +
        'No status: a proxy or firewall',
    );
  }

  get #minFailures() {
    return this.#hasOpened ? PROBE_AFTER : 1;
  }

  async #probe() {
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      // The response may be opaque, because the server may not allow this origin.
      const options = /** @type {const} */ ({ signal, cache: 'no-store', mode: 'no-cors' });
      const { ok, type } = await fetch(this.#url, options);
      // `#failures` is smaller if a WebSocket has opened meanwhile.
      this.#httpWorks = (ok || type === 'opaque') && this.#failures >= this.#minFailures;
    } catch {
      this.#reportUnreachable();
    }
  }

  #reportUnreachable() {
    if (this.#hasOpened || this.#isUnreachableReported || this.#stop.aborted) return;
    this.#isUnreachableReported = true;
    this.#report(
      'unreachable',
      `${this.#url.host} does not answer: check the option host, the network and the ` +
        'Content-Security-Policy',
    );
  }
}
