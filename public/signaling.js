// @ts-check
/**
 * The WebSocket to the signaling server, with automatic reconnect.
 * Signals are not queued while the WebSocket is disconnected, because they soon become outdated.
 */

import { emit } from './events.js';
import { Heartbeat, PROMPT_TIMEOUT_MS } from './heartbeat.js';
import { HttpProbe } from './http-probe.js';
import { Retry } from './retry.js';
import { SendQueue } from './send-queue.js';
import { requestToken } from './token.js';

/**
 * @import { RoomOptions } from "./room.js"
 * @import { Closed, Frame, SignalingEvents, SignalingInit } from "./parts.d.ts"
 */

const WELCOME_TIMEOUT_MS = 15_000;
const BATCH_WINDOW_MS = 5; // browsers gather candidates in bursts
const MAX_UNRESPONSIVE = 4; // more would collect if a proxy let handshakes through and nothing else
const PACE_MS = 100; // interval at which queued signals are sent
/** Values of `WebSocket.readyState`. */
const [CONNECTING, OPEN, CLOSING] = [0, 1, 2];
const EXPIRED = 4014;
/** Texts for close codes that follow no `error` frame. @type {Record<number, string | undefined>} */
const CAUSES = {
  4012: 'the operator of the server has removed this client, or has closed the room',
  4014: 'the token has expired',
};
const EXPIRED_TEXT =
  'the token has expired: pass a function as the option token, or create a new Room with a new token';
/** Asks the server for an id that it makes out of our key. */
const ID_FROM_KEY = 'k.';
const MIN_KEY_LENGTH = 22; // of such a key, in characters

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
  /** The id that we ask for in each join. Null: the id that the server made. @type {string | null} */
  #requestedId;
  #protocols;
  #WebSocket;
  /** Resolves to the offer for the first join, as JSON. @type {Promise<string | undefined>=} */
  #offer;
  #token;
  #retry;
  /** Ends the wait for the application's function and for the offer. @type {AbortController=} */
  #awaitingToken;
  #queue = new SendQueue();
  /** @type {ReturnType<typeof setTimeout>=} */
  #flushTimer;
  /** The pending timer: welcome timeout or next reconnect. @type {ReturnType<typeof setTimeout>=} */
  #timer;
  #timerEndsAt = 0;
  #heartbeat = new Heartbeat(() => this.#dropUnresponsive());
  #lastError = { code: '', message: '' }; // the last `error` frame
  #pageListeners = new AbortController();
  #httpProbe;

  /** @param {SignalingInit} init */
  constructor({ url, id, key, token, meta, offer, WebSocket }) {
    super();
    this.#WebSocket = WebSocket;
    this.#offer = offer;
    this.id = id ?? null;
    this.#requestedId = id ?? ([...key].length < MIN_KEY_LENGTH ? null : ID_FROM_KEY);
    this.#url = new URL(url);
    this.#url.searchParams.set('meta', base64url(meta));
    // Secrets are sent as WebSocket subprotocols, because URLs end up in logs.
    this.#protocols = ['partyline', `key.${base64url(key)}`];
    this.#token = token;
    this.#retry = new Retry(typeof token === 'function');

    const { signal } = this.#pageListeners;
    this.#httpProbe = new HttpProbe(this.#url, signal, (code, message) =>
      this.#emit('error', { code, message }),
    );
    const check = () => this.#check();
    // Node.js has neither these events nor a document.
    const { document } = globalThis;
    const on = (
      /** @type {string} */ type,
      /** @type {(event: any) => void} */ handle,
      /** @type {EventTarget} */ target = globalThis,
    ) => target.addEventListener?.(type, handle, { signal });
    on('online', check);
    // A phone that is unlocked on the same network fires no `online`, but its connections may be
    // dead. `resume` follows when the browser had frozen the page
    // (https://wicg.github.io/page-lifecycle/).
    on('focus', check);
    on('resume', check, document);
    on('visibilitychange', () => document.hidden || check(), document);
    on('pagehide', () => this.#handlePageHide());
    on('pageshow', ({ persisted }) => persisted && check());
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
    if (frame.type !== 'candidate' || globalThis.document?.hidden) this.#flush();
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
    return this.state === 'open' && this.#socket?.readyState === OPEN;
  }

  #flush() {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (!this.#isOpen) return;
    for (const text of this.#queue.take(performance.now())) this.#socket?.send(text);
    if (this.#queue.length > 0) this.#flushTimer = setTimeout(() => this.#flush(), PACE_MS);
  }

  /** @param {Closed} closed what the event `close` reports */
  close(closed = { code: 1000, reason: 'left', message: '' }) {
    if (this.state === 'closed') return;
    this.#closeSocket('left');
    this.#end(closed);
  }

  #connect() {
    this.state = 'connecting';
    clearTimeout(this.#timer); // otherwise, it connects a second time during the wait for a token
    const offer = this.#offer;
    this.#offer = undefined; // a later join makes its offer after the welcome
    if (typeof this.#token !== 'function' && !offer) return this.#open(this.#token);
    const { signal } = (this.#awaitingToken = new AbortController());
    Promise.all([requestToken(this.#token, signal), offer])
      .then(
        ([token, offer]) => signal.aborted || this.#open(token, offer),
        (error) => signal.aborted || this.#handleNoToken(error),
      )
      // The browser refuses the URL, for example without TLS on a page with TLS.
      .catch((error) => this.#end({ code: 1006, reason: 'no websocket', message: String(error) }));
  }

  /** @param {Error} error */
  #handleNoToken({ message }) {
    this.#emit('error', { code: 'no-token', message });
    this.#handleClose(1006, 'no token', message);
  }

  /** @param {string} [token] @param {string} [offer] */
  #open(token, offer) {
    const id = this.#requestedId ?? this.id;
    if (id !== null) this.#url.searchParams.set('_pk', id);
    const protocols = token === undefined ? [] : [`token.${token}`];
    if (offer) protocols.push(`offer.${base64url(offer)}`);
    const socket = new this.#WebSocket(this.#url, [...this.#protocols, ...protocols]);
    this.#socket = socket;
    this.#lastError = { code: '', message: '' };
    let hasOpened = false;
    this.#setTimer(WELCOME_TIMEOUT_MS, () => this.#dropUnresponsive());
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      hasOpened = true;
      this.#httpProbe.handleOpen();
    };
    socket.onerror = () => {}; // `onclose` follows; without a handler, the package ws throws
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
    this.#lastError = { code: String(code), message: String(message ?? code) };
    if (code === 'too-fast') this.#queue.pause(performance.now());
  }

  /** @param {Frame} welcome */
  #handleWelcome(welcome) {
    this.state = 'open';
    this.id = String(welcome.id);
    this.#retry.handleWelcome();
    clearTimeout(this.#timer);
    if (this.#socket) this.#heartbeat.start(this.#socket);
    this.#closeUnresponsive();
  }

  /** Reconnects, because the server has not answered in time. */
  #dropUnresponsive() {
    const socket = this.#socket;
    // After a Close frame of the server, the event `close` with its code can take half a minute.
    if (socket?.readyState === CLOSING) return;
    if (socket?.readyState === CONNECTING) {
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

  /** @param {number} code @param {string} reason @param {string} [message] the cause, if known */
  #handleClose(code, reason, message = this.#causeOf(code, reason)) {
    const delay = this.#retry.delayAfter(code, message);
    const isExpired = code === EXPIRED && delay === null;
    const closed = { code, reason, message: isExpired ? EXPIRED_TEXT : message };
    if (delay === null) this.#end(closed);
    else this.#scheduleReconnect(closed, delay, false);
  }

  /**
   * Returns the cause of a closed WebSocket. If an error closes it, the reason is the code of the error.
   * @param {number} code
   * @param {string} reason
   */
  #causeOf(code, reason) {
    if (reason && reason === this.#lastError.code) return this.#lastError.message;
    return CAUSES[code] ?? '';
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
    emit(this, type, detail);
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
