// @ts-check
/**
 * Limits for the signals of the library that one peer sends, so that no peer can keep this client
 * busy. Honest peers rarely reach these limits, and are then delayed for a short time. The server
 * limits the signals of the application.
 */

import { findLine, sdpOf } from './description.js';
import { TokenBucket } from './token-bucket.js';

/**
 * @import { SignalLimitsInit } from "./parts.d.ts"
 *
 * @typedef {{ type: string, payload: any, opensConnection?: boolean }} Signal
 *
 * The groups of signals that this client answers: offers, and signals about the relation.
 * @typedef {'offer' | 'relation'} Group
 *
 * The last signal of a group: its origin or type, when it was answered, and the timer of the next
 * answer.
 * @typedef {{ id: string, at: number, timer?: ReturnType<typeof setTimeout> }} Last
 */

const MAX_WAITING = 64;
const REPEAT_MS = 1_000;
const RETRY_MS = 100;

export class SignalLimits {
  #init;
  /**
   * Signals beyond this budget are dropped. 800 are more than the offer and the candidates of 50
   * tracks on a computer with 15 network addresses, before the tracks share a transport.
   */
  #budget = new TokenBucket(800, 25);
  #errors = new TokenBucket(5, 0.2);
  #dropErrors = new TokenBucket(1, 0.2);
  /** New connections for a peer that the server has not announced again. */
  #connections = new TokenBucket(2, 0.2);
  /**
   * Signals that differ from the last one of their group. A peer needs their answers, so bursts are
   * allowed. Beyond the limit, they wait. A burst of offers arrives before the first answer is
   * queued, so it is small.
   */
  #changes = { offer: new TokenBucket(5, 2), relation: new TokenBucket(10, 1) };
  /** @type {Record<Group, Last>} */
  #last = { offer: { id: '', at: 0 }, relation: { id: '', at: 0 } };
  /** @type {Signal[]} */
  #waiting = [];
  /** @type {ReturnType<typeof setTimeout>=} */
  #timer;

  /** @param {SignalLimitsInit} init */
  constructor(init) {
    this.#init = init;
  }

  /** Delivers a signal, now or when the limits permit. @param {string} type @param {any} payload */
  receive(type, payload) {
    const signal = { type, payload };
    if (!this.#budget.take(performance.now())) this.#drop();
    else if (this.#waiting.length > 0) this.#wait(signal);
    else if (this.#isRepeated(signal)) this.#repeat(signal);
    else if (!this.#wouldFillQueue(type) && this.#take(signal)) this.#init.deliver(type, payload);
    else this.#wait(signal);
  }

  /**
   * Allows one more connection with the peer. Returns false if the signal must wait: pass the signal
   * to `hold()` then.
   */
  takeConnection() {
    return this.#connections.take(performance.now());
  }

  /**
   * Delivers a signal again as soon as a new connection is allowed. A newer offer takes precedence.
   * @param {string} type
   * @param {any} payload
   */
  hold(type, payload) {
    if (!this.#waiting.some((signal) => signal.type === type))
      this.#waiting.unshift({ type, payload, opensConnection: true });
    this.#schedule();
  }

  /** The server has announced the peer again, so the next connections are not delayed. */
  handleAnnounced() {
    this.#connections = new TokenBucket(2, 0.2);
    clearTimeout(this.#timer);
    this.#deliverWaiting();
  }

  /** Whether the room may report another error of this peer. */
  takeError() {
    return this.#errors.take(performance.now());
  }

  stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#last.offer.timer);
    clearTimeout(this.#last.relation.timer);
    this.#waiting = [];
  }

  /**
   * Whether an answer to this peer would wait behind another one. The answers to a few peers that
   * flood us would otherwise delay the answers to all others.
   * @param {string} type
   */
  #wouldFillQueue(type) {
    return type === 'offer' && this.#init.isSending();
  }

  #drop() {
    if (!this.#dropErrors.take(performance.now())) return;
    const message =
      'the peer sent too many signals of the library, and some were dropped: send at most 25 a second';
    this.#init.reportError({ code: 'peer-too-fast', message });
  }

  /** Whether the signal equals the last one of its group. @param {Signal} signal */
  #isRepeated(signal) {
    const group = groupOf(signal.type);
    return group !== undefined && this.#last[group].id === identify(signal);
  }

  /**
   * Delivers a repeated signal at most once a second, unless a newer signal of its group arrives in
   * the meantime. The peer repeats a signal if the answer was lost, so the last one is answered.
   * Other signals do not wait for it.
   * @param {Signal} signal
   */
  #repeat(signal) {
    const { type, payload } = signal;
    const last = this.#last[/** @type {Group} */ (groupOf(type))];
    const wait = last.at + REPEAT_MS - performance.now();
    if (wait <= 0) {
      last.at = performance.now();
      return this.#init.deliver(type, payload);
    }
    last.timer ??= setTimeout(() => {
      last.timer = undefined;
      if (this.#isRepeated(signal)) this.#repeat(signal);
    }, wait);
  }

  /**
   * Makes a signal wait behind the signals that wait already. Only the last of several signals of
   * the same type matters, and a new offer makes earlier candidates obsolete.
   * @param {Signal} signal
   */
  #wait(signal) {
    const { type } = signal;
    const isObsolete = (/** @type {Signal} */ earlier) =>
      earlier.type === type || (type === 'offer' && earlier.type === 'candidate');
    if (groupOf(type)) this.#waiting = this.#waiting.filter((earlier) => !isObsolete(earlier));
    if (this.#waiting.length >= MAX_WAITING) return this.#drop();
    this.#waiting.push(signal);
    this.#schedule();
  }

  #deliverWaiting() {
    for (;;) {
      const [first] = this.#waiting;
      // Answers to a peer that floods us must not fill our own queue.
      if (!first || this.#init.isSending() || !this.#take(first)) break;
      this.#waiting.shift();
      this.#init.deliver(first.type, first.payload);
    }
    this.#schedule();
  }

  #schedule() {
    clearTimeout(this.#timer);
    const [first] = this.#waiting;
    if (!first) return;
    const group = groupOf(first.type);
    const limit = first.opensConnection ? this.#connections : group && this.#changes[group];
    const wait = limit?.wait(performance.now()) ?? 0;
    const delay = Math.max(wait, this.#init.isSending() ? RETRY_MS : 0);
    this.#timer = setTimeout(() => this.#deliverWaiting(), delay);
  }

  /** Counts a signal, if its limits permit it now. @param {Signal} signal */
  #take(signal) {
    const now = performance.now();
    // takeConnection() counts the connection.
    if (signal.opensConnection) return this.#connections.wait(now) === 0;
    const group = groupOf(signal.type);
    if (!group) return true;
    if (!this.#changes[group].take(now)) return false;
    clearTimeout(this.#last[group].timer);
    // The first repetition of an offer is answered at once: the answer may have been lost.
    this.#last[group] = { id: identify(signal), at: group === 'offer' ? -REPEAT_MS : now };
    return true;
  }
}

/** @param {string} type @returns {Group | undefined} */
function groupOf(type) {
  if (type === 'offer') return type;
  return type === 'answer' || type === 'candidate' ? undefined : 'relation';
}

/** Returns what repeated signals have in common. @param {Signal} signal */
function identify({ type, payload }) {
  return (type === 'offer' && findLine(sdpOf(payload), 'o=')) || type;
}
