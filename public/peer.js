// @ts-check
/**
 * Another peer in the room: the relation between it and us, and the connection while the relation
 * is `accepted`. Each side sends its decision whenever it changes, and again after a reconnect. So
 * both sides agree in the end, even if signals cross or get lost. The effects of incoming signals:
 *
 * | relation    | `request`     | `accept`             | `decline`  | `cancel`              |
 * | ----------- | ------------- | -------------------- | ---------- | --------------------- |
 * | `none`      | `asked`       | send `cancel`        | –          | –                     |
 * | `requested` | `accepted`    | `accepted`, we offer | `declined` | send `request`        |
 * | `asked`     | –             | –                    | `none`     | `none`                |
 * | `accepted`  | send `accept` | resync               | `declined` | `none`, send `cancel` |
 * | `declined`  | `asked`       | `accepted`, we offer | –          | –                     |
 *
 * An `offer` from a peer that is not accepted counts as a `request`.
 */

import { Negotiation } from './negotiation.js';

/**
 * @import { Relation } from "./room.js"
 * @import { PeerEvents, PeerInit } from "./parts.d.ts"
 */

const MAX_PENDING_SIGNALS = 64;

export class Peer extends EventTarget {
  /** @readonly */ id;
  polite;
  /** @type {Relation} */
  relation;

  #init;
  /** @type {Negotiation | null} */
  #negotiation = null;
  /**
   * Pending while the first step waits for `pace`. Resolves to false if it was cancelled meanwhile.
   * @type {Promise<boolean> | null}
   */
  #starting = null;
  /**
   * The offer of a peer that is not accepted yet, and its candidates.
   * @type {[type: string, payload: unknown][]}
   */
  #pendingSignals = [];
  #closed = false;

  /** @param {PeerInit} init */
  constructor(init) {
    super();
    this.#init = init;
    this.id = init.id;
    this.polite = init.polite;
    this.relation = init.always ? 'accepted' : 'none';
    if (init.always) this.#startNegotiation();
  }

  get connection() {
    return this.#ensureNegotiation().connection;
  }

  get ready() {
    return this.#negotiation?.ready ?? false;
  }

  get connected() {
    return this.#negotiation?.connected ?? false;
  }

  get recoverable() {
    return this.#negotiation?.recoverable ?? false;
  }

  /** @param {string} text */
  send(text) {
    this.#ensureNegotiation().send(text);
  }

  request() {
    if (this.relation === 'asked') this.accept();
    else if (this.relation === 'none' || this.relation === 'declined')
      this.#setRelation('requested', 'request');
  }

  accept() {
    if (this.relation === 'asked') this.#agree('accept');
  }

  decline() {
    if (this.relation === 'asked') this.#setRelation('none', 'decline');
  }

  cancel() {
    if (this.relation === 'asked') this.decline();
    else if (this.relation !== 'none') this.#setRelation('none', 'cancel');
  }

  startOffer() {
    this.#withNegotiation((negotiation) => negotiation.startOffer());
  }

  /** @param {string} type @param {any} payload */
  handleSignal(type, payload) {
    const pending = this.#pendingSignals.length;
    if (type === 'request') this.#handleRequest();
    else if (type === 'accept') this.#handleAccept();
    else if (type === 'decline') this.#handleDecline();
    else if (type === 'cancel') this.#handleCancel();
    else if (this.relation === 'accepted')
      this.#withNegotiation((negotiation) => negotiation.handleSignal(type, payload));
    else if (type === 'offer') {
      this.#pendingSignals = [[type, payload]];
      this.#handleIncomingRequest();
    } else if (type === 'candidate' && pending > 0 && pending < MAX_PENDING_SIGNALS) {
      this.#pendingSignals.push([type, payload]);
    }
  }

  /** After a reconnect, sends again what the other side may have missed. */
  resync() {
    if (this.relation === 'accepted') this.#withNegotiation((negotiation) => negotiation.resync());
    else if (this.relation === 'requested') this.#sendRelation('request');
    else if (this.#pendingSignals.length === 0) {
      // If the other side still wants a connection, it answers this `cancel` with `request`.
      if (this.relation === 'asked') this.#setRelation('none', 'cancel');
      else this.#sendRelation('cancel');
    }
  }

  /** @param {RTCIceServer[]} iceServers used from the next ICE restart on */
  setIceServers(iceServers) {
    const connection = this.#negotiation?.connection;
    if (!connection || connection.signalingState === 'closed') return;
    connection.setConfiguration({ ...connection.getConfiguration(), iceServers });
  }

  close() {
    this.#closed = true;
    this.#starting = null;
    this.#negotiation?.close();
  }

  #handleRequest() {
    // Our `accept` got lost. The other side offers when it gets this one.
    if (this.relation === 'accepted') this.#sendRelation('accept');
    else this.#handleIncomingRequest();
  }

  #handleIncomingRequest() {
    if (this.relation === 'requested') {
      const offered = this.#pendingSignals.length > 0;
      this.#agree();
      if (!offered && !this.polite) this.startOffer(); // both requested: the impolite peer offers
    } else if (this.relation !== 'asked') {
      this.#setRelation('asked');
      if (this.#init.always) this.accept();
      else this.#emit('request', null);
    }
  }

  #handleAccept() {
    // If the relation is `declined`, that was the answer to an earlier request.
    if (this.relation === 'requested' || this.relation === 'declined') {
      this.#agree();
      this.startOffer();
    } else if (this.relation === 'accepted') this.resync();
    else if (this.relation === 'none') this.#sendRelation('cancel');
  }

  #handleDecline() {
    if (this.relation === 'asked') this.#setRelation('none');
    else if (this.relation === 'requested' || this.relation === 'accepted')
      this.#setRelation('declined');
  }

  #handleCancel() {
    if (this.relation === 'asked') this.#setRelation('none');
    // Our `cancel` revokes signals of ours that are still in flight.
    else if (this.relation === 'accepted') this.#setRelation('none', 'cancel');
    else if (this.relation === 'requested') this.#sendRelation('request'); // ours got lost
  }

  /** @param {string} [signal] to send first */
  #agree(signal) {
    const pending = this.#pendingSignals.splice(0);
    this.#setRelation('accepted', signal);
    if (this.relation === 'accepted') this.#startNegotiation();
    for (const [type, payload] of pending)
      this.#withNegotiation((negotiation) => negotiation.handleSignal(type, payload));
  }

  /** @param {Relation} relation @param {string} [signal] to send first */
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
    if (!pause) return this.#ensureNegotiation().start();
    /** @type {Promise<boolean>} */
    const starting = pause.then(() => {
      if (this.#starting !== starting) return false;
      this.#starting = null;
      this.#ensureNegotiation().start();
      return true;
    });
    this.#starting = starting;
  }

  /** Runs `action` once the negotiation has started. @param {(it: Negotiation) => void} action */
  #withNegotiation(action) {
    if (this.relation !== 'accepted') return; // an event listener has called cancel()
    if (this.#starting)
      this.#starting.then((started) => started && action(this.#ensureNegotiation()));
    else action(this.#ensureNegotiation());
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
    const { configuration, signal, trace, pace } = this.#init;
    const isCurrent = () => negotiation === this.#negotiation && !this.#closed;
    /** @type {Negotiation} */
    const negotiation = new Negotiation({
      configuration: configuration(),
      isPolite: () => this.polite,
      signal: (type, payload) => isCurrent() && signal(type, payload),
      emit: (type, detail) => isCurrent() && this.#handleNegotiationEvent(type, detail),
      trace,
      pace,
    });
    this.#negotiation = negotiation;
    if (this.#closed) negotiation.close();
    return negotiation;
  }

  /** @template {keyof PeerEvents} T @param {T} type @param {PeerEvents[T]} detail */
  #handleNegotiationEvent(type, detail) {
    if (type !== 'channel-closed') this.#emit(type, detail);
    // A closed channel means `cancel`, even if that signal is lost because a WebSocket is down.
    else if (!this.#init.always) this.#setRelation('none');
  }

  /** @param {string} signal */
  #sendRelation(signal) {
    if (!this.#closed) this.#init.signal(signal, true);
  }

  /** @template {keyof PeerEvents} T @param {T} type @param {PeerEvents[T]} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
