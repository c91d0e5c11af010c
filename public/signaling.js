// @ts-check
/**
 * The WebSocket to the signaling server, with automatic reconnect.
 * Signals are not queued while the WebSocket is disconnected, because they soon become outdated.
 */

import { backoff, jitter } from './backoff.js';
import { Heartbeat, PROMPT_TIMEOUT_MS } from './heartbeat.js';
import { HttpProbe } from './http-probe.js';
import { SendQueue } from './send-queue.js';
import { requestToken } from './token.js';

/**
 * @import { RoomOptions } from "./room.js"
 * @import { Closed, Frame, SignalingEvents } from "./parts.d.ts"
 */

/**
 * Whether to reconnect after a close code: `never`, `later` with the maximum delay, or at once with
 * a `new-token`. After all other codes, the client reconnects with exponential backoff.
 * @type {Record<number, 'never' | 'later' | 'new-token' | undefined>}
 */
const RETRY = {
  1008: 'never', // bad-id
  1009: 'never', // too-large: the same frame would be too large again
  4001: 'never', // replaced: two clients with one id would replace each other forever
  4003: 'later', // room-full
  4008: 'later', // too-fast
  4009: 'never', // id-taken
  4010: 'never', // unauthorized, unless another token may help: see `#retryWithToken`
  4011: 'never', // live-over
  4012: 'never', // removed
  4013: 'later', // unread
  4014: 'new-token', // expired
};

const WELCOME_TIMEOUT_MS = 15_000;
const RECONNECT_MIN_MS = 500; // far below the 15 s for which the server keeps an absent peer
const RECONNECT_MAX_MS = 30_000;
const RETRY_LATER_MS = 30_000;
const BACKOFF_RESET_MS = 5_000; // a WebSocket that stays open for longer resets the backoff
const BATCH_WINDOW_MS = 5; // browsers gather candidates in bursts
const MAX_UNRESPONSIVE = 4; // more would collect if a proxy let handshakes through and nothing else
const PACE_MS = 100; // interval at which queued signals are sent
const GOING_AWAY = 1001; // Firefox closes a WebSocket when a navigation or a download begins
const ID_TAKEN = 4009;
// After a reload in Firefox, the server reserves the id for the old page: see GOING_AWAY.
const ID_TAKEN_RETRY_MS = 3_500;
const UNAUTHORIZED = 4010;
const UNREAD = 4013;
const MAX_REFUSED_TOKENS = 3; // consecutive tokens of the application's function

export class Signaling extends EventTarget {
  /** @type {"connecting" | "open" | "waiting" | "closed"} */
  state = 'connecting';
  /** Our peer id. Before the first `welcome`, the id from the options. @type {string | null} */
  id;

  #url;
  /** The current socket. Events of earlier sockets are ignored. @type {WebSocket | null} */
  #socket = null;
  /**
   * Open sockets that did not answer. They stay open until the next `welcome`.
   * @type {WebSocket[]}
   */
  #unresponsive = [];
  #protocols;
  #token;
  /** Ends the wait for the application's function. @type {AbortController=} */
  #awaitingToken;
  #refusedTokens = 0; // consecutive refusals
  #idTaken = 0; // consecutive refusals of our id
  #queue = new SendQueue();
  /** @type {ReturnType<typeof setTimeout>=} */
  #flushTimer;
  /** The pending timer: welcome timeout or next reconnect. @type {ReturnType<typeof setTimeout>=} */
  #timer;
  #timerEndsAt = 0;
  #heartbeat = new Heartbeat(() => this.#dropUnresponsive());
  #failures = 0; // consecutive failures
  #openedAt = 0;
  #lastError = ''; // message of the last `error` frame
  #pageListeners = new AbortController();
  #httpProbe;

  /** @param {URL} url @param {{ id?: string, key: string, token?: RoomOptions['token'] }} credentials */
  constructor(url, { id, key, token }) {
    super();
    this.id = id ?? null;
    this.#url = new URL(url);
    // Secrets are sent as WebSocket subprotocols, because URLs end up in logs.
    this.#protocols = ['partyline', `key.${base64url(key)}`];
    this.#token = token;

    const { signal } = this.#pageListeners;
    this.#httpProbe = new HttpProbe(this.#url, signal, (message) =>
      this.#emit('error', { code: 'websocket-blocked', message }),
    );
    const check = () => this.#check();
    addEventListener('online', check, { signal });
    // A phone that is unlocked on the same network fires no `online`, but its connections may be
    // dead. `resume` follows when the browser had frozen the page
    // (https://wicg.github.io/page-lifecycle/).
    addEventListener('focus', check, { signal });
    document.addEventListener('resume', check, { signal });
    document.addEventListener('visibilitychange', () => document.hidden || check(), { signal });
    addEventListener('pagehide', () => this.#handlePageHide(), { signal });
    addEventListener('pageshow', ({ persisted }) => persisted && check(), { signal });
    this.#connect();
  }

  /**
   * Sends a signal as soon as the rate limit permits.
   * @param {Frame} frame
   * @param {() => boolean} [isCurrent] returns false when the signal need not be sent any more
   * @returns {boolean} false if the WebSocket is not open
   */
  send(frame, isCurrent) {
    if (!this.#isOpen) return false;
    const refusal = this.#queue.push(frame, isCurrent);
    if (refusal) this.#emit('error', { ...refusal, to: frame.to });
    // Browsers delay the timers of hidden pages, so a hidden page sends candidates immediately.
    if (frame.type !== 'candidate' || document.hidden) this.#flush();
    else this.#flushTimer ??= setTimeout(() => this.#flush(), BATCH_WINDOW_MS);
    return true;
  }

  /**
   * Sends a signal before the queued signals. The server's rate limit is above the limit of the
   * queue, so the server accepts a single signal at any time.
   * @param {Frame} frame
   * @returns {boolean} false if the WebSocket is not open
   */
  sendNow(frame) {
    if (!this.#isOpen) return false;
    this.#socket?.send(JSON.stringify(frame));
    return true;
  }

  /** Whether a signal to this peer is queued. @param {string} to */
  isSending(to) {
    return this.#queue.has(to);
  }

  get #isOpen() {
    return this.state === 'open' && this.#socket?.readyState === WebSocket.OPEN;
  }

  #flush() {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (!this.#isOpen) return;
    for (const text of this.#queue.take(performance.now())) this.#socket?.send(text);
    if (this.#queue.length > 0) this.#flushTimer = setTimeout(() => this.#flush(), PACE_MS);
  }

  close() {
    if (this.state === 'closed') return;
    this.#closeSocket('left');
    this.#end({ code: 1000, reason: 'left', message: '' });
  }

  #connect() {
    this.state = 'connecting';
    clearTimeout(this.#timer); // otherwise, it connects a second time during the wait for a token
    if (typeof this.#token !== 'function') return this.#open(this.#token);
    const { signal } = (this.#awaitingToken = new AbortController());
    requestToken(this.#token, signal).then(
      (token) => signal.aborted || this.#open(token),
      (error) => signal.aborted || this.#handleNoToken(error),
    );
  }

  /** @param {Error} error */
  #handleNoToken({ message }) {
    this.#emit('error', { code: 'no-token', message });
    this.#lastError = message;
    this.#handleClose(1006, 'no token');
  }

  /** @param {string} [token] */
  #open(token) {
    if (this.id !== null) this.#url.searchParams.set('_pk', this.id);
    const protocols = token === undefined ? [] : [`token.${token}`];
    const socket = new WebSocket(this.#url, [...this.#protocols, ...protocols]);
    this.#socket = socket;
    this.#lastError = '';
    let hasOpened = false;
    this.#setTimer(WELCOME_TIMEOUT_MS, () => this.#dropUnresponsive());
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      hasOpened = true;
      this.#httpProbe.handleOpen();
    };
    socket.onmessage = ({ data }) => socket === this.#socket && this.#handleMessage(data);
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      if (!hasOpened) this.#httpProbe.handleFailure();
      this.#handleClose(code, reason);
    };
  }

  /** @param {unknown} text */
  #handleMessage(text) {
    this.#heartbeat.handleMessage(text);
    if (typeof text !== 'string' || text === 'pong') return;
    const frame = parse(text);
    if (!frame) return;
    if (frame.type === 'welcome') this.#handleWelcome(frame);
    if (frame.type === 'error') this.#handleError(frame);
    this.#emit('frame', frame);
  }

  /** @param {Frame} error */
  #handleError({ code, message }) {
    this.#lastError = String(message ?? code);
    if (code === 'too-fast') this.#queue.pause(performance.now());
  }

  /** @param {Frame} welcome */
  #handleWelcome(welcome) {
    this.state = 'open';
    this.id = String(welcome.id);
    this.#refusedTokens = 0;
    this.#idTaken = 0;
    this.#openedAt = performance.now();
    clearTimeout(this.#timer);
    if (this.#socket) this.#heartbeat.start(this.#socket);
    this.#closeUnresponsive();
  }

  /** Reconnects, because the server has not answered in time. */
  #dropUnresponsive() {
    const socket = this.#socket;
    // After a Close frame of the server, the event `close` with its code can take half a minute.
    if (socket?.readyState === WebSocket.CLOSING) return;
    if (socket?.readyState === WebSocket.CONNECTING) {
      // Browsers open one WebSocket to a host at a time (RFC 6455 §4.1), so a handshake that hangs
      // would delay all later attempts, in Chromium for four minutes.
      this.#socket = null;
      socket.close();
      this.#httpProbe.handleFailure();
    } else if (socket) {
      // An open socket stays open. Otherwise, its Close frame could reach the server after the
      // network recovers, and the server would remove this client.
      this.#unresponsive.push(socket);
      if (this.#unresponsive.length > MAX_UNRESPONSIVE) this.#unresponsive.shift()?.close();
    }
    this.#handleClose(1006, 'no answer');
  }

  /** @param {number} code @param {string} reason */
  #handleClose(code, reason) {
    const closed = { code, reason, message: this.#lastError };
    const isLong = performance.now() - this.#openedAt > BACKOFF_RESET_MS;
    // After 1001, the server keeps the seat for 2 s only.
    if (this.state === 'open' && (isLong || code === GOING_AWAY)) this.#failures = 0;
    const delay = this.#retryDelay(code);
    if (delay === null) return this.#end(closed);
    this.#scheduleReconnect(closed, delay, false);
    this.#failures += 1;
  }

  /** Returns the milliseconds until the next attempt, or null. @param {number} code */
  #retryDelay(code) {
    if (code === ID_TAKEN) return (this.#idTaken += 1) === 1 ? ID_TAKEN_RETRY_MS : null;
    const retry = code === UNAUTHORIZED ? this.#retryWithToken() : RETRY[code];
    if (retry === 'never') return null;
    // After 4013, the server keeps the seat for 15 s, which a flood of others must not cost us.
    if (retry === 'later' && code !== UNREAD) return jitter(RETRY_LATER_MS);
    return backoff(this.#failures, RECONNECT_MIN_MS, RECONNECT_MAX_MS);
  }

  /**
   * Returns whether to reconnect after a refused token, as in `RETRY`. A text is refused again, unless
   * it becomes valid later, which only the message of the server tells. A function may return a valid
   * token next time.
   */
  #retryWithToken() {
    if (this.#lastError.startsWith('the token is not valid yet')) return 'later';
    if (typeof this.#token !== 'function') return 'never';
    this.#refusedTokens += 1;
    return this.#refusedTokens < MAX_REFUSED_TOKENS ? undefined : 'never';
  }

  /** @param {Closed} closed @param {number | null} retryIn @param {boolean} intentional */
  #scheduleReconnect(closed, retryIn, intentional) {
    this.#reset('waiting');
    if (retryIn !== null) this.#setTimer(retryIn, () => this.#connect());
    this.#emit('disconnected', { ...closed, retryIn, intentional });
  }

  /** @param {Closed} closed */
  #end(closed) {
    this.#reset('closed');
    this.#pageListeners.abort();
    this.#emit('close', closed);
  }

  /** Ends everything that belongs to the current WebSocket. @param {"waiting" | "closed"} state */
  #reset(state) {
    this.state = state;
    this.#queue.clear();
    this.#socket = null;
    this.#heartbeat.stop();
    this.#awaitingToken?.abort();
    clearTimeout(this.#timer);
  }

  /**
   * Finds out soon whether the connection works, because the network may have changed or the device
   * may have slept.
   */
  #check() {
    if (this.state === 'waiting') this.#connect();
    else if (this.state === 'open') this.#heartbeat.check();
    else if (this.#socket && performance.now() + PROMPT_TIMEOUT_MS < this.#timerEndsAt)
      this.#setTimer(PROMPT_TIMEOUT_MS, () => this.#dropUnresponsive());
  }

  #handlePageHide() {
    if (this.state === 'closed') return;
    this.#closeSocket('page left');
    this.#scheduleReconnect({ code: 1000, reason: 'page left', message: '' }, null, true);
  }

  /** @param {string} reason */
  #closeSocket(reason) {
    const socket = this.#socket;
    this.#socket = null; // cleared before close(): `onclose` handles only the current socket
    socket?.close(1000, reason);
    this.#closeUnresponsive();
  }

  #closeUnresponsive() {
    for (const socket of this.#unresponsive.splice(0)) socket.close();
  }

  /** @param {number} ms @param {() => void} action */
  #setTimer(ms, action) {
    clearTimeout(this.#timer);
    this.#timerEndsAt = performance.now() + ms;
    this.#timer = setTimeout(action, ms);
  }

  /** @template {keyof SignalingEvents} T @param {T} type @param {SignalingEvents[T]} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Encodes the UTF-8 of a text in base64url without padding. @param {string} text */
function base64url(text) {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** @param {string} text @returns {Frame | null} null if the text is not a frame */
function parse(text) {
  try {
    const frame = JSON.parse(text);
    return typeof frame?.type === 'string' ? frame : null;
  } catch {
    return null;
  }
}
