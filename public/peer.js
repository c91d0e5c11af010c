// @ts-check
/**
 * Another peer in the room: its relation with this client, and the connection while the relation is
 * `accepted`. Each side sends its decision when the decision changes, and again after a reconnect.
 * Therefore both sides reach the same relation, even if signals cross or get lost.
 */

import { emit } from './events.js';
import { encode } from './message-frames.js';
import { Negotiation } from './negotiation.js';

/**
 * @import { AskOptions, Relation, SendOptions } from "./room.js"
 * @import { Message, PeerEvents, PeerInit, TransferOptions } from "./parts.d.ts"
 */

const MAX_PENDING_SIGNALS = 64;
/** Delay until the next attempt, after the browser could not create a connection. */
const RETRY_MS = 5_000;

/**
 * `to`: the new relation. `send`: the signal to send before the event `relation`. `then`: the next
 * action. With `offer-if-impolite`, only the impolite side makes the offer, because both sides have
 * requested a connection.
 * @typedef {{ to?: Relation, send?: string, then?: 'offer' | 'offer-if-impolite' | 'resync' }} Transition
 *
 * The transitions by current relation. In all other relations, the signal or call has no effect.
 * @typedef {Partial<Record<Relation, Transition>>} Transitions
 */

/** @type {Record<string, Transitions>} */
const ON_SIGNAL = {
  request: {
    none: { to: 'asked' },
    requested: { to: 'accepted', then: 'offer-if-impolite' },
    // Our `accept` got lost. After the repeated `accept`, the other side makes the offer.
    accepted: { send: 'accept' },
    declined: { to: 'asked' },
  },
  accept: {
    none: { send: 'cancel' },
    requested: { to: 'accepted', then: 'offer' },
    accepted: { then: 'resync' },
    // The peer declined our first `request` and accepted our repeated `request`.
    declined: { to: 'accepted', then: 'offer' },
  },
  decline: {
    requested: { to: 'declined' },
    asked: { to: 'none' },
    accepted: { to: 'declined' },
  },
  cancel: {
    requested: { send: 'request' }, // our `request` got lost: send it again
    asked: { to: 'none' },
    accepted: { to: 'none', send: 'cancel' }, // revokes our signals that are still in flight
  },
};

/** @type {Record<string, Transitions>} */
const ON_CALL = {
  request: {
    none: { to: 'requested', send: 'request' },
    asked: { to: 'accepted', send: 'accept' },
    declined: { to: 'requested', send: 'request' },
  },
  accept: {
    asked: { to: 'accepted', send: 'accept' },
  },
  decline: {
    asked: { to: 'none', send: 'decline' },
  },
  cancel: {
    requested: { to: 'none', send: 'cancel' },
    asked: { to: 'none', send: 'decline' },
    accepted: { to: 'none', send: 'cancel' },
    declined: { to: 'none', send: 'cancel' },
  },
};

export class Peer extends EventTarget {
  /** @readonly */ id;
  polite;
  /** What the peer has told the server about itself: any JSON value, or undefined. @type {unknown} */
  meta;
  /** @type {Relation} */
  relation;

  #init;
  /** @type {Negotiation | null} */
  #negotiation = null;
  /**
   * Pending while the step `create-connection` waits for `pace`. Resolves to false if the
   * negotiation was cancelled in the meantime.
   * @type {Promise<boolean> | null}
   */
  #starting = null;
  #delayed = 0; // actions that wait for `#starting`
  /**
   * Signals that wait until the relation is `accepted`: an offer, followed by its candidates.
   * @type {[type: string, payload: unknown][]}
   */
  #pendingSignals = [];
  #closed = false;
  /** The promise `open` while it is pending. @type {Promise<void> | null} */
  #opening = null;
  /** Settles `#opening` if it can be settled. */
  #updateOpening = () => {};
  /** @type {ReturnType<typeof setTimeout>=} */
  #retryTimer;

  /** @param {PeerInit} init */
  constructor(init) {
    super();
    this.#init = init;
    this.id = init.id;
    this.polite = init.polite;
    this.meta = init.meta;
    this.relation = init.always ? 'accepted' : 'none';
    if (init.always) this.#startNegotiation();
  }

  get name() {
    const { name } = Object(this.meta);
    return typeof name === 'string' ? name : undefined;
  }

  get metadata() {
    return Object(this.meta).metadata;
  }

  get connection() {
    return this.#ensureNegotiation().connection;
  }

  /** Null while there is no connection. Only for the modules of the library. */
  get negotiation() {
    return this.#negotiation;
  }

  get ready() {
    return this.#negotiation?.ready ?? false;
  }

  get open() {
    const promise = (this.#opening ??= new Promise((resolve, reject) => {
      this.#updateOpening = () => {
        if (this.ready) resolve();
        else if (this.#closed) reject(new DOMException('the peer has left', 'InvalidStateError'));
        else return;
        this.#opening = null;
      };
    }));
    promise.catch(() => {}); // the application need not await it
    this.#updateOpening();
    return promise;
  }

  get connected() {
    return this.#negotiation?.connected ?? false;
  }

  get takesMessages() {
    return this.relation !== 'none' && this.relation !== 'declined';
  }

  /** @param {unknown} data @param {SendOptions} [options] */
  send(data, options) {
    return this.sendMessage(encode(data, { metadata: options?.metadata }), options);
  }

  /** Sends an encoded message. @param {Message} message @param {SendOptions} [options] */
  sendMessage(message, { onProgress, signal } = {}) {
    return this.#transfer(message, {
      signals: [signal],
      onProgress: onProgress && ((progress) => onProgress({ peer: this, ...progress })),
    });
  }

  /** @param {unknown} data @param {AskOptions} [options] */
  ask(data, { timeout = 30_000, signal } = {}) {
    const signals = [AbortSignal.timeout(timeout), signal];
    return this.#transfer(encode(data, { ask: true }), { signals, isAsk: true });
  }

  /** @param {Message} message @param {TransferOptions} options */
  #transfer(message, options) {
    if (!this.takesMessages) {
      throw new DOMException(
        `the relation with this peer is "${this.relation}": call request() before send()`,
        'InvalidStateError',
      );
    }
    return this.#ensureNegotiation().send(message, options);
  }

  request() {
    this.#apply(ON_CALL.request[this.relation]);
  }

  accept() {
    this.#apply(ON_CALL.accept[this.relation]);
  }

  decline() {
    this.#apply(ON_CALL.decline[this.relation]);
  }

  cancel() {
    this.#apply(ON_CALL.cancel[this.relation]);
  }

  startOffer() {
    this.#withNegotiation((negotiation) => negotiation.startOffer());
  }

  /**
   * Whether a signal of this type opens a new connection: a peer with "always" accepts each request.
   * @param {string} type
   */
  opensConnection(type) {
    const ended = this.relation === 'none' || this.relation === 'declined';
    return this.#init.always && ended && (type === 'request' || type === 'offer');
  }

  /** @param {string} type @param {any} payload */
  handleSignal(type, payload) {
    const pending = this.#pendingSignals.length;
    if (Object.hasOwn(ON_SIGNAL, type)) this.#apply(ON_SIGNAL[type][this.relation]);
    else if (this.relation === 'accepted')
      this.#withNegotiation((negotiation) => negotiation.handleSignal(type, payload));
    else if (type === 'offer') {
      // Clients that do not implement `request` start with an offer, which counts as a request.
      this.#pendingSignals = [[type, payload]];
      this.#apply(ON_SIGNAL.request[this.relation]);
    } else if (type === 'candidate' && pending > 0 && pending < MAX_PENDING_SIGNALS) {
      this.#pendingSignals.push([type, payload]);
    }
  }

  /** Repeats the signals that the other side may have missed during a disconnect. */
  resync() {
    if (this.relation === 'accepted') this.#withNegotiation((negotiation) => negotiation.resync());
    else if (this.relation === 'requested') this.#sendRelation('request');
    else if (this.#pendingSignals.length === 0) {
      // If the other side still wants a connection, it replies to this `cancel` with `request`.
      if (this.relation === 'asked') this.#setRelation('none', 'cancel');
      else this.#sendRelation('cancel');
    }
  }

  /** @param {RTCIceServer[]} iceServers ICE servers for the next ICE restart */
  setIceServers(iceServers) {
    const connection = this.#negotiation?.connection;
    if (!connection || connection.signalingState === 'closed') return;
    connection.setConfiguration({ ...connection.getConfiguration(), iceServers });
  }

  close() {
    this.#closed = true;
    this.#starting = null;
    clearTimeout(this.#retryTimer);
    this.#negotiation?.close();
    this.#updateOpening();
  }

  /** @param {Transition} [transition] */
  #apply({ to, send, then } = {}) {
    const offered = this.#pendingSignals.length > 0;
    if (to === 'accepted') this.#agree(send);
    else if (to) this.#setRelation(to, send);
    else if (send) this.#sendRelation(send);

    if (to === 'asked' && this.#init.always) this.accept();
    else if (to === 'asked') this.#emit('request', null);
    else if (then === 'resync') this.resync();
    else if (then === 'offer') this.startOffer();
    else if (then === 'offer-if-impolite' && !offered && !this.polite) this.startOffer();
  }

  /** @param {string} [signal] signal to send before the event `relation` */
  #agree(signal) {
    const pending = this.#pendingSignals.splice(0);
    this.#setRelation('accepted', signal);
    if (this.relation === 'accepted') this.#startNegotiation();
    for (const [type, payload] of pending)
      this.#withNegotiation((negotiation) => negotiation.handleSignal(type, payload));
  }

  /** @param {Relation} relation @param {string} [signal] signal to send first */
  #setRelation(relation, signal) {
    if (this.#closed) return;
    const previous = this.relation;
    this.relation = relation;
    if (signal) this.#sendRelation(signal);
    if (relation === 'none' || relation === 'declined') this.#endNegotiation();
    this.#emit('relation', previous);
  }

  #startNegotiation() {
    const { pace, configuration } = this.#init;
    const pause = this.#negotiation ? undefined : pace('create-connection', configuration());
    if (!pause) return this.#tryToStart();
    /** @type {Promise<boolean>} */
    const starting = pause.then(() => {
      if (this.#starting !== starting) return false;
      this.#starting = null;
      this.#tryToStart();
      return this.#negotiation !== null;
    });
    this.#starting = starting;
    this.#delayed = 0;
  }

  #tryToStart() {
    try {
      this.#ensureNegotiation().start();
    } catch (error) {
      // Chromium allows 500 connections, including closed ones until they are garbage-collected.
      const message = `${error}: the library tries again`;
      // The constructor can call this function, before the room listens to events.
      queueMicrotask(() => this.#emit('error', { code: 'negotiation', message }));
      clearTimeout(this.#retryTimer);
      this.#retryTimer = setTimeout(() => {
        if (!this.#negotiation) this.startOffer();
      }, RETRY_MS);
    }
  }

  /** Runs `action` once the negotiation has started. @param {(it: Negotiation) => void} action */
  #withNegotiation(action) {
    if (this.relation !== 'accepted') return; // a `relation` listener called cancel()
    if (!this.#negotiation && !this.#starting) this.#startNegotiation(); // it has failed before
    if (this.#starting) {
      if (this.#delayed >= MAX_PENDING_SIGNALS) return;
      this.#delayed += 1;
      this.#starting.then((started) => started && action(this.#ensureNegotiation()));
    } else if (this.#negotiation) action(this.#negotiation);
  }

  #endNegotiation() {
    const ended = this.#negotiation;
    this.#negotiation = null;
    this.#starting = null;
    this.#pendingSignals = [];
    ended?.close();
  }

  #ensureNegotiation() {
    if (this.#negotiation) return this.#negotiation;
    const { configuration, early, signal } = this.#init;
    this.#init.early = undefined; // a later connection makes its own offer
    const isCurrent = () => negotiation === this.#negotiation && !this.#closed;
    /** @type {Negotiation} */
    const negotiation = new Negotiation({
      ...this.#init,
      early,
      configuration: configuration(),
      isPolite: () => this.polite,
      signal: (type, payload) => isCurrent() && signal(type, payload, isCurrent),
      emit: (type, detail) => isCurrent() && this.#handleNegotiationEvent(type, detail),
    });
    this.#negotiation = negotiation;
    if (this.#closed) negotiation.close();
    return negotiation;
  }

  /** @template {keyof PeerEvents} T @param {T} type @param {PeerEvents[T]} detail */
  #handleNegotiationEvent(type, detail) {
    this.#updateOpening();
    if (type === 'connection-closed') this.#handleConnectionClosed();
    else if (type !== 'channel-closed') this.#emit(type, detail);
    // A closed channel counts as `cancel`, because the signal `cancel` is lost if a WebSocket is
    // disconnected.
    else if (!this.#init.always) this.#setRelation('none');
  }

  #handleConnectionClosed() {
    const closed = this.#negotiation;
    this.cancel();
    // In the relation `none`, `cancel()` has no effect.
    if (this.#negotiation === closed) this.#endNegotiation();
  }

  /** @param {string} signal */
  #sendRelation(signal) {
    if (!this.#closed) this.#init.signal(signal, true);
  }

  /** @template {keyof PeerEvents} T @param {T} type @param {PeerEvents[T]} detail */
  #emit(type, detail) {
    emit(this, type, detail);
  }
}
