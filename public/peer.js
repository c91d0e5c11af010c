// @ts-check
/**
 * One other peer: whether we and it want a connection (README, "Asking first"), and the connection
 * while both do. Each side says what it wants whenever that changes, and again when the line is
 * back, so that both end up with the same answer whatever got lost or crossed.
 */

import { Negotiation } from './negotiation.js';

/**
 * @import { Relation } from "./room.js"
 * @import { PeerInit } from "./parts.d.ts"
 */

const KEPT_MOST = 64; // signals of one who is not accepted yet

export class Peer extends EventTarget {
  /** @readonly */ id;
  polite;
  /** @type {Relation} */
  relation;

  #init;
  /** @type {Negotiation | null} */
  #negotiation = null;
  /** Until the pace lets it; then whether it did. @type {Promise<boolean> | null} */
  #beginning = null;
  /** @type {[type: string, payload: unknown][]} */
  #kept = [];
  #gone = false;

  /** @param {PeerInit} init */
  constructor(init) {
    super();
    this.#init = init;
    this.id = init.id;
    this.polite = init.polite;
    this.relation = init.always ? 'accepted' : 'none';
    if (init.always) this.#begin();
  }

  get connection() {
    return this.#current().connection;
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
    this.#current().send(text);
  }

  request() {
    if (this.relation === 'asked') this.accept();
    else if (this.relation === 'none' || this.relation === 'declined')
      this.#become('requested', 'request');
  }

  accept() {
    if (this.relation === 'asked') this.#agree('accept');
  }

  decline() {
    if (this.relation === 'asked') this.#become('none', 'decline');
  }

  cancel() {
    if (this.relation === 'asked') this.decline();
    else if (this.relation !== 'none') this.#become('none', 'cancel');
  }

  /** Makes the first offer. */
  open() {
    this.#do((it) => it.open());
  }

  /** @param {string} type @param {any} payload */
  handleSignal(type, payload) {
    if (type === 'request') this.#handleRequest();
    else if (type === 'accept') this.#handleAccept();
    else if (type === 'decline') this.#handleRefusal('declined');
    else if (type === 'cancel') this.#handleRefusal('none');
    else if (this.relation === 'accepted') this.#do((it) => it.handleSignal(type, payload));
    else if (type === 'offer') {
      this.#kept = [[type, payload]];
      this.#handleWish();
    } else if (this.#kept.length > 0 && this.#kept.length < KEPT_MOST && type === 'candidate') {
      this.#kept.push([type, payload]);
    }
  }

  /** The line is back. */
  resync() {
    if (this.relation === 'accepted') this.#do((it) => it.resync());
    else if (this.relation === 'requested') this.#say('request');
    else if (this.#kept.length === 0) {
      // If it still asks, or does by now, it says so to this.
      if (this.relation === 'asked') this.#become('none', 'cancel');
      else this.#say('cancel');
    }
  }

  /** @param {RTCIceServer[]} iceServers for when ICE starts anew */
  useServers(iceServers) {
    const connection = this.#negotiation?.connection;
    if (!connection || connection.signalingState === 'closed') return;
    connection.setConfiguration({ ...connection.getConfiguration(), iceServers });
  }

  close() {
    this.#gone = true;
    this.#beginning = null;
    this.#negotiation?.close();
  }

  #handleRequest() {
    if (this.relation === 'accepted')
      this.#say('accept'); // which has got lost; its offer follows
    else this.#handleWish();
  }

  #handleWish() {
    if (this.relation === 'requested') {
      const offered = this.#kept.length > 0;
      this.#agree();
      if (!offered && !this.polite) this.open(); // both have asked: one has to begin
    } else if (this.relation !== 'asked') {
      this.#become('asked');
      if (this.#init.always) this.accept();
      else this.#emit('request', null);
    }
  }

  #handleAccept() {
    // Then `declined` was the answer to an earlier request.
    if (this.relation === 'requested' || this.relation === 'declined') {
      this.#agree();
      this.open();
    } else if (this.relation === 'accepted') this.resync();
    else if (this.relation === 'none') this.#say('cancel');
  }

  /** @param {"none" | "declined"} relation */
  #handleRefusal(relation) {
    if (this.relation === 'asked') this.#become('none');
    else if (this.relation === 'accepted') {
      this.#become(relation, relation === 'none' ? 'cancel' : ''); // it ends what was on its way
    } else if (this.relation === 'requested') {
      if (relation === 'declined') this.#become('declined');
      else this.#say('request'); // it has not heard of it
    }
  }

  /** @param {string} [type] to be said first */
  #agree(type) {
    const kept = this.#kept.splice(0);
    this.#become('accepted', type);
    if (this.relation === 'accepted') this.#begin();
    for (const [type, payload] of kept) this.#do((it) => it.handleSignal(type, payload));
  }

  /** @param {Relation} relation @param {string} [type] to be said first */
  #become(relation, type) {
    if (this.#gone) return;
    const previous = this.relation;
    this.relation = relation;
    if (type) this.#say(type);
    if (relation === 'none' || relation === 'declined') this.#end();
    this.#emit('relation', previous);
  }

  #begin() {
    const { pace, configuration } = this.#init;
    const pause = this.#negotiation ? undefined : pace('create-connection', configuration());
    if (!pause) return this.#current().begin();
    /** @type {Promise<boolean>} */
    const beginning = pause.then(() => {
      if (this.#beginning !== beginning) return false;
      this.#beginning = null;
      this.#current().begin();
      return true;
    });
    this.#beginning = beginning;
  }

  /** As soon as it has begun. @param {(it: Negotiation) => void} act */
  #do(act) {
    if (this.relation !== 'accepted') return; // a listener has taken it back
    if (this.#beginning) this.#beginning.then((begun) => begun && act(this.#current()));
    else act(this.#current());
  }

  #end() {
    const ended = this.#negotiation;
    this.#negotiation = null;
    this.#beginning = null;
    this.#kept = [];
    ended?.close();
  }

  #current() {
    if (this.#negotiation) return this.#negotiation;
    const { configuration, signal, trace, pace } = this.#init;
    const isCurrent = () => negotiation === this.#negotiation && !this.#gone;
    /** @type {Negotiation} */
    const negotiation = new Negotiation({
      configuration: configuration(),
      isPolite: () => this.polite,
      signal: (type, payload) => isCurrent() && signal(type, payload),
      tell: (type, detail) => isCurrent() && this.#handleNews(type, detail),
      trace,
      pace,
    });
    this.#negotiation = negotiation;
    if (this.#gone) negotiation.close();
    return negotiation;
  }

  /** @param {string} type @param {unknown} detail */
  #handleNews(type, detail) {
    if (type !== 'end') this.#emit(type, detail);
    // It has hung up: with the line lost we hear it only here.
    else if (!this.#init.always) this.#become('none');
  }

  /** @param {string} type */
  #say(type) {
    if (!this.#gone) this.#init.signal(type, true);
  }

  /** @param {string} type @param {unknown} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
