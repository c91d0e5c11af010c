// @ts-check
/**
 * The line to the signaling server: one WebSocket that comes back by itself. It keeps nothing for
 * later: what a signal says is soon out of date, so after a loss the peers `resync`.
 *
 * Events: `frame` (first after every return a `welcome`), `down` (lost or refused, but it comes
 * back), `close` (it does not).
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
const STEADY_AFTER = 5_000; // a line that lived so long was a good one

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
  /** Welcome or pong overdue, next ping, or next try. @type {ReturnType<typeof setTimeout>=} */
  #timer;
  #awaitingPong = false;
  #failures = 0; // in a row
  #openedAt = 0;
  #refusal = ''; // of the last `error` frame: after a refused join the close follows it
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

  /** @param {Frame} frame @returns {boolean} false if there is no line right now */
  send(frame) {
    if (this.state !== 'open' || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Leaves. The others are told at once. */
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
    if (this.#awaitingPong) this.#schedulePing(); // whatever it is, the line is alive
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

  /** Without closing it: if the Close frame got through after all, we would have left the room. */
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
    // Half of it is chance, lest a whole room comes back all at once.
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
    else if (this.state === 'open') this.#ping(); // is this line still one?
  }

  /** Or the others would see us there until the grace is over. */
  #handlePageHide() {
    if (this.state === 'closed') return;
    this.#hangUp('page left');
    this.#rest({ code: 1000, reason: 'page left', message: '' }, null, true);
  }

  /** @param {string} reason */
  #hangUp(reason) {
    const socket = this.#socket;
    this.#socket = null; // first: its close is our doing and no news
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

/** @param {string} text @returns {Frame | null} null if it is no frame */
function parse(text) {
  try {
    const frame = JSON.parse(text);
    return typeof frame?.type === 'string' ? frame : null;
  } catch {
    return null;
  }
}
