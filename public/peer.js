// @ts-check
/**
 * One other peer: whether we and it want a connection, and the connection while both do.
 *
 * What happens within the connection is in `negotiation.js`. Here is who asked whom. It takes two
 * who want: each side says so, or no longer, whenever that changes, and says it again when the
 * line is back, so that both end up with the same answer whatever got lost or crossed.
 *
 * | signal | says | who gets it |
 * |---|---|---|
 * | `request` | I want a connection | is `asked`; has asked as well: that is an agreement |
 * | `accept` | so do I | is `accepted`, and makes the first offer |
 * | `decline` | I do not | is `declined` |
 * | `cancel` | not any more: no request, no connection | is back at `none` |
 *
 * Their payload means nothing. An `offer` without a `request` is one, so whoever knows nothing of
 * all this can ask, and be answered. With `connect: "always"` we have wanted everybody from the
 * start, and accept whatever is asked.
 *
 * Events, all `CustomEvent`: those of the negotiation (`message`, `track`, `state`, `stranger`,
 * `error`), `relation` (detail: the one before), `request` (it asks us).
 */

import { Negotiation } from './negotiation.js';

/**
 * @typedef {import("./room.js").Relation} Relation
 *
 * @typedef {object} PeerInit
 * @property {string} id
 * @property {boolean} polite
 * @property {boolean} always
 * @property {() => RTCConfiguration} configuration
 * @property {(kind: string, payload: unknown) => void} signal
 * @property {import("./negotiation.js").TraceDoing} trace
 * @property {import("./pace.js").Pace} pace
 */

const KEPT_MOST = 64; // signals of one who is not accepted yet: its offer, and its candidates

export class Peer extends EventTarget {
  /** @readonly */ id;
  /**
   * Whether *we* are, and give way when both offer at once.
   * @type {boolean}
   */
  polite;
  /** @type {Relation} */
  relation;

  #init;
  /** @type {Negotiation | null} */
  #negotiation = null;
  /**
   * Until the pace lets the connection be made; then whether that is still wanted.
   * @type {Promise<boolean> | null}
   */
  #beginning = null;
  /** @type {[kind: string, payload: unknown][]} */
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

  /** Made when it is first needed, and a new one after `cancel`. */
  get connection() {
    return this.#current().connection;
  }

  get ready() {
    return this.#negotiation?.ready ?? false;
  }

  get working() {
    return this.#negotiation?.working ?? false;
  }

  get lasting() {
    return this.#negotiation?.lasting ?? false;
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
    if (this.relation !== 'asked') return;
    const kept = this.#kept.splice(0);
    this.#agree('accept');
    for (const [kind, payload] of kept) this.#do((it) => it.handleSignal(kind, payload));
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

  /** @param {string} kind @param {any} payload */
  handleSignal(kind, payload) {
    if (kind === 'request') this.#handleRequest();
    else if (kind === 'accept') this.#handleAccept();
    else if (kind === 'decline') this.#handleRefusal('declined');
    else if (kind === 'cancel') this.#handleRefusal('none');
    else if (this.relation === 'accepted') this.#do((it) => it.handleSignal(kind, payload));
    else if (kind === 'offer') {
      this.#kept = [[kind, payload]];
      this.#handleWish();
    } else if (this.#kept.length > 0 && this.#kept.length < KEPT_MOST && kind === 'candidate') {
      this.#kept.push([kind, payload]);
    }
  }

  /** For the moment when the signaling line is back; harmless at any other. */
  resync() {
    if (this.relation === 'accepted') this.#do((it) => it.resync());
    else if (this.relation === 'requested') this.#say('request');
    else if (this.#kept.length === 0) {
      // It may have taken back what it asked, or asked what we have not heard. If it still asks, it
      // says so to this.
      if (this.relation === 'asked') this.#become('none', 'cancel');
      else this.#say('cancel');
    }
  }

  /** @param {RTCIceServer[]} iceServers taken up when ICE starts anew: then they are needed */
  useServers(iceServers) {
    const connection = this.#negotiation?.connection;
    if (!connection || connection.signalingState === 'closed') return;
    connection.setConfiguration({ ...connection.getConfiguration(), iceServers });
  }

  /** It is gone, or we are. */
  close() {
    this.#gone = true;
    this.#beginning = null;
    this.#kept = [];
    this.#negotiation?.close();
  }

  #handleRequest() {
    if (this.relation !== 'accepted') return this.#handleWish();
    this.#say('accept'); // we want everybody, or it has got lost; what comes next is its offer
  }

  /** It wants a connection. */
  #handleWish() {
    if (this.relation === 'requested') {
      const offered = this.#kept.splice(0);
      this.#agree();
      for (const [kind, payload] of offered) this.#do((it) => it.handleSignal(kind, payload));
      // Both have asked: somebody has to begin, and with us that is who came last.
      if (offered.length === 0 && !this.polite) this.open();
    } else if (this.relation !== 'asked') {
      this.#become('asked');
      if (this.#init.always) this.accept();
      else this.#emit('request', null);
    }
  }

  #handleAccept() {
    // `declined` was then the answer to a request before this one.
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
      // The answer ends whatever of ours was on its way.
      this.#become(relation, relation === 'none' ? 'cancel' : undefined);
    } else if (this.relation === 'requested') {
      if (relation === 'declined') this.#become('declined');
      else this.#say('request'); // it has not heard of it
    }
  }

  /** @param {string} [kind] to be said first */
  #agree(kind) {
    this.#become('accepted', kind);
    if (this.relation === 'accepted') this.#begin();
  }

  /** @param {Relation} relation @param {string} [kind] to be said first */
  #become(relation, kind) {
    if (this.#gone) return;
    const before = this.relation;
    this.relation = relation;
    if (kind) this.#say(kind);
    if (relation === 'none' || relation === 'declined') this.#end();
    this.#emit('relation', before);
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

  /**
   * Does something with the connection as soon as there is one.
   * @param {(it: Negotiation) => void} act
   */
  #do(act) {
    if (this.relation !== 'accepted') return; // whoever listened to that has taken it back
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
      signal: (kind, payload) => isCurrent() && signal(kind, payload),
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
    // It has hung up, and we may hear it here first, or, with the line lost, only here.
    else if (!this.#init.always) this.#become('none');
  }

  /** @param {string} kind */
  #say(kind) {
    if (!this.#gone) this.#init.signal(kind, true);
  }

  /** @param {string} type @param {unknown} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
