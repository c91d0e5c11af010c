// @ts-check
/**
 * The line to the signaling server: one WebSocket that comes back by itself. What a signal says is
 * soon out of date, so nothing is kept for later. And the ICE servers that it names.
 *
 * Events: `frame`, `down` (lost or refused, but it comes back), `close` (it does not).
 */

/** @import { Closed, Frame } from "./parts.d.ts" */

/** When to come back after a close code: if not here, soon. @type {Record<number, string>} */
const RETRY = {
  1009: 'never', // too-large: and would be again
  4001: 'never', // replaced: we would throw each other out for ever
  4003: 'later', // room-full
  4008: 'later', // too-fast
  4009: 'never', // id-taken
  4010: 'never', // unauthorized
};

const PING_EVERY = 25_000; // some proxies and phones let a line go that is idle for 30 s
const PONG_WITHIN = 10_000;
const WELCOME_WITHIN = 15_000;
const SOON_FIRST = 500; // far less than the server's grace of 15 s
const SOON_MOST = 30_000;
const LATER = 30_000;
const STEADY_AFTER = 5_000; // then it was a good line
const TOGETHER_WITHIN = 5; // a browser finds some candidates at once
const TOGETHER_MOST = 32; // the server takes no more

const ANSWER_WITHIN = 5_000; // more than the server has with the service that it may ask
const ASK_AGAIN = 300; // seconds
const RENEW_AT = 0.8;
const TIMER_MOST = 2 ** 31 - 1;

export class Signaling extends EventTarget {
  /** @type {"connecting" | "open" | "waiting" | "closed"} */
  state = 'connecting';
  /** At first, what we ask for. @type {string | null} */
  id;

  #url;
  /** Whose events count. @type {WebSocket | null} */
  #socket = null;
  /** See `#abandon`. @type {WebSocket | null} */
  #silent = null;
  /** @type {string[]} */
  #protocols = [];
  /** Candidates, to go in one frame. @type {Frame[]} */
  #together = [];
  /** Welcome or pong overdue, next ping, or next try. @type {ReturnType<typeof setTimeout>=} */
  #timer;
  #awaitingPong = false;
  #failures = 0; // in a row
  #openedAt = 0;
  #refusal = ''; // of the last `error` frame
  #listening = new AbortController();

  /** @param {URL} url @param {{ id?: string, key: string, token?: string }} who */
  constructor(url, { id, key, token }) {
    super();
    this.id = id ?? null;
    this.#url = new URL(url);
    this.#url.searchParams.set('key', key);
    // Not in the URL: those end up in logs.
    if (token !== undefined) this.#protocols = ['partyline', `token.${token}`];

    const { signal } = this.#listening;
    addEventListener('online', () => this.#handleOnline(), { signal });
    addEventListener('pagehide', () => this.#handlePageHide(), { signal });
    addEventListener('pageshow', ({ persisted }) => persisted && this.#connect(), { signal });
    this.#connect();
  }

  /** @param {Frame} frame */
  send(frame) {
    if (this.state !== 'open' || this.#socket?.readyState !== WebSocket.OPEN) return false;
    const waits = frame.type === 'candidate' && !document.hidden; // where timers are late
    if (!waits) this.#flush();
    const count = this.#together.push(frame);
    if (!waits || count === TOGETHER_MOST) this.#flush();
    else if (count === 1) setTimeout(() => this.#flush(), TOGETHER_WITHIN);
    return true;
  }

  #flush() {
    const frames = this.#together.splice(0);
    if (frames.length && this.#socket?.readyState === WebSocket.OPEN)
      this.#socket.send(JSON.stringify(frames.length > 1 ? frames : frames[0]));
  }

  close() {
    if (this.state === 'closed') return;
    this.#hangUp('left');
    this.#end({ code: 1000, reason: 'left', message: '' });
  }

  #connect() {
    this.state = 'connecting';
    if (this.id !== null) this.#url.searchParams.set('_pk', this.id);
    const socket = new WebSocket(this.#url, this.#protocols);
    this.#socket = socket;
    this.#refusal = '';
    this.#after(WELCOME_WITHIN, () => this.#abandon());
    socket.onmessage = ({ data }) => socket === this.#socket && this.#handleText(data);
    socket.onclose = ({ code, reason }) =>
      socket === this.#socket && this.#handleClose(code, reason);
  }

  /** @param {unknown} text */
  #handleText(text) {
    if (this.#awaitingPong) this.#schedulePing();
    if (typeof text !== 'string' || text === 'pong') return;
    const frame = parse(text);
    if (!frame) return;
    if (frame.type === 'welcome') this.#handleWelcome(frame);
    if (frame.type === 'error') this.#refusal = String(frame.message ?? frame.code);
    this.dispatchEvent(new CustomEvent('frame', { detail: frame }));
  }

  /** @param {Frame} welcome */
  #handleWelcome(welcome) {
    this.state = 'open';
    this.id = String(welcome.id);
    this.#openedAt = performance.now();
    this.#schedulePing();
    this.#silent?.close();
    this.#silent = null;
  }

  #schedulePing() {
    this.#awaitingPong = false;
    this.#after(PING_EVERY, () => this.#ping());
  }

  #ping() {
    this.#socket?.send('ping');
    this.#awaitingPong = true;
    this.#after(PONG_WITHIN, () => this.#abandon());
  }

  /** Not closed: a Close frame that got through after all would leave the room. */
  #abandon() {
    this.#silent = this.#socket;
    this.#handleClose(1006, 'no answer');
  }

  /** @param {number} code @param {string} reason */
  #handleClose(code, reason) {
    const closed = { code, reason, message: this.#refusal };
    if (RETRY[code] === 'never') return this.#end(closed);
    if (this.state === 'open' && performance.now() - this.#openedAt > STEADY_AFTER)
      this.#failures = 0;
    const most =
      RETRY[code] === 'later' ? LATER : Math.min(SOON_MOST, SOON_FIRST * 2 ** this.#failures);
    // By chance, lest a whole room comes back at once.
    this.#rest(closed, most * (0.5 + Math.random() / 2), false);
    this.#failures += 1;
  }

  /** @param {Closed} closed @param {number | null} retryIn @param {boolean} left */
  #rest(closed, retryIn, left) {
    this.state = 'waiting';
    this.#socket = null;
    this.#awaitingPong = false;
    clearTimeout(this.#timer);
    if (retryIn !== null) this.#after(retryIn, () => this.#connect());
    this.dispatchEvent(new CustomEvent('down', { detail: { ...closed, retryIn, left } }));
  }

  /** @param {Closed} closed */
  #end(closed) {
    this.state = 'closed';
    this.#socket = null;
    clearTimeout(this.#timer);
    this.#listening.abort();
    this.dispatchEvent(new CustomEvent('close', { detail: closed }));
  }

  #handleOnline() {
    if (this.state === 'waiting') this.#connect();
    else if (this.state === 'open') this.#ping();
  }

  #handlePageHide() {
    if (this.state === 'closed') return;
    this.#hangUp('page left');
    this.#rest({ code: 1000, reason: 'page left', message: '' }, null, true);
  }

  /** @param {string} reason */
  #hangUp(reason) {
    const socket = this.#socket;
    this.#socket = null; // first: its close is no news
    socket?.close(1000, reason);
    this.#silent?.close();
    this.#silent = null;
  }

  /** @param {number} ms @param {() => void} then */
  #after(ms, then) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
  }
}

/** @param {string} text @returns {Frame | null} */
function parse(text) {
  try {
    const frame = JSON.parse(text);
    return typeof frame?.type === 'string' ? frame : null;
  } catch {
    return null;
  }
}

/**
 * Finds the ICE servers, and again before they expire. Settles after the first `use`.
 * @param {URL} url
 * @param {string | undefined} token
 * @param {AbortSignal} ending
 * @param {(servers: RTCIceServer[]) => void} use
 */
export function findServers(url, token, ending, use) {
  const headers = new Headers(token === undefined ? {} : { Authorization: `Bearer ${token}` });
  /** @type {RTCIceServer[]} */
  let servers = [{ urls: 'stun:stun.cloudflare.com:3478' }]; // while there is no answer
  const ask = async () => {
    let seconds = ASK_AGAIN;
    try {
      const signal = AbortSignal.any([ending, AbortSignal.timeout(ANSWER_WITHIN)]);
      const response = await fetch(url, { headers, signal });
      const answer = response.ok ? await response.json() : {};
      servers = answer.iceServers ?? servers;
      // Without a `ttl` they do not expire; and asking again for what was refused changes nothing.
      if (response.status < 500) seconds = answer.ttl && answer.ttl * RENEW_AT;
    } catch {
      // No answer: later.
    }
    if (ending.aborted) return;
    use(servers);
    if (seconds) setTimeout(ask, Math.min(TIMER_MOST, seconds * 1000));
  };
  return ask();
}
