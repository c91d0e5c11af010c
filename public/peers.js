// @ts-check
/**
 * The other peers in the room: which side makes the first offer, which peers stay when the WebSocket
 * is lost, and when a new page replaces a peer. Established connections outlive the WebSocket.
 */

import { Channels } from './channels.js';
import { listen } from './events.js';
import { encode } from './message-frames.js';
import { MEDIA_SERVER } from './live.js';
import { Peer } from './peer.js';
import { checkSize } from './send-queue.js';
import { SignalLimits } from './signal-limits.js';
import { LEAVING_SERVER } from './signal-types.js';
import { Streams } from './streams.js';
import { limitVideo } from './video-limits.js';

/**
 * @import { DescriptionPayload, Listed, PeerEvents, PeersInit } from "./parts.d.ts"
 * @import { SendOptions } from "./room.js"
 */

export class Peers {
  /** @type {Map<string, Peer>} */
  all = new Map();
  /** @readonly */ streams = new Streams(() => this.#handleStreams());
  channels = new Channels(this.all);

  #init;
  /** The limits for the signals of each peer. @type {Map<string, SignalLimits>} */
  #limits = new Map();
  /**
   * Peers that the server no longer lists, and the property that keeps each peer: when the property
   * becomes false, the room removes the peer.
   * @type {Map<Peer, "connected" | "recoverable">}
   */
  #departed = new Map();
  /** Peers beyond `maxPeers`, which wait until another peer leaves. @type {Map<string, Listed>} */
  #waiting = new Map();
  #announced = false; // whether the peers in the room know that this client has joined

  /** @param {PeersInit} init */
  constructor(init) {
    this.#init = init;
  }

  /**
   * Sends a message to each peer with a connection, or with one that is being set up.
   * @param {unknown} data
   * @param {SendOptions} [options]
   * @returns {Promise<any>}
   */
  send(data, options) {
    const message = encode(data, { metadata: options?.metadata });
    const receivers = [...this.all.values()].filter(({ takesMessages }) => takesMessages);
    const all = receivers.map(async (peer) => peer.sendMessage(message, options));
    const sent = Promise.all(all).then(() => {});
    sent.catch(() => {}); // the application need not await it
    return sent;
  }

  /** Handles a signal from a peer. @param {string} from @param {string} type @param {any} payload */
  receive(from, type, payload) {
    this.#limits.get(from)?.receive(type, payload);
  }

  /**
   * Handles a signal that is within the limits of its sender.
   * @param {string} from @param {string} type @param {any} payload
   */
  #handleSignal(from, type, payload) {
    const peer = this.all.get(from);
    const limits = this.#limits.get(from);
    if (!peer) return;
    if (type === LEAVING_SERVER) this.keepWhile('recoverable', [peer]);
    else if (peer.opensConnection(type) && !limits?.takeConnection()) limits?.hold(type, payload);
    else peer.handleSignal(type, payload);
  }

  /**
   * Whether the option `maxPeers` leaves no place for this newcomer.
   * @param {Listed[]} listed the peers in a `welcome`
   */
  leaveNoPlace(listed) {
    return !this.#announced && listed.length >= this.#init.maxPeers;
  }

  /** @param {Listed[]} listed the peers in a `welcome` @param {string} [offered] who has our offer */
  handleWelcome(listed, offered) {
    const { always, isClosed, connectsToAll, early, send } = this.#init;
    const peers = listed.filter(({ id }) => id !== MEDIA_SERVER);
    this.#waiting.clear();
    // The server does not tell the peers that this page replaced another page with our id. With
    // "on-request", a broadcast of `cancel` resets the relations. With "always", our offers reveal
    // the replacement.
    if (!this.#announced && !always && peers.length > 0) send({ type: 'cancel' });
    const missing = new Map(this.all);
    for (const { id } of peers) missing.delete(id);
    this.keepWhile('connected', [...missing.values()]);
    for (const peer of peers) {
      const { id, polite } = peer;
      if (isClosed()) return; // a `peer` listener has closed the room
      // The server removed us while we were disconnected. For this peer, we are a newcomer.
      const old = this.all.get(id);
      if (old?.negotiation?.hasHungUp && connectsToAll()) this.#remove(old);
      const known = this.#updateListed(peer);
      // When we join, we make the first offer to every peer, even as the polite side: a page that
      // replaces another page takes over the old page's seat, so the new page is polite to the
      // peers that joined after the old page. After a reconnect, the impolite side makes the first
      // offer.
      const offers = connectsToAll() && (!this.#announced || !polite);
      if (known) known.resync();
      else if (this.#isFull) this.#waiting.set(id, peer);
      else if (offers) this.#add(peer, id === offered ? early : undefined).startOffer();
      else this.#add(peer);
    }
    early?.discard();
    this.#init.early = undefined;
    if (!isClosed()) this.#announced = true;
  }

  /** @param {Listed} joined */
  handleJoined(joined) {
    const { id } = joined;
    const known = this.#updateListed(joined);
    this.#limits.get(id)?.handleAnnounced();
    // If the peer is still connected, only its WebSocket was lost and replaced, so the peer needs
    // no resync. A new page with the same id would send an offer.
    if (!known && this.#isFull) this.#waiting.set(id, joined);
    else if (!known) this.#add(joined);
    else if (!known.connected) known.resync();
  }

  /** @param {string} id */
  handleLeft(id) {
    this.#waiting.delete(id);
    const peer = this.all.get(id);
    if (peer && !this.#departed.has(peer)) this.#remove(peer);
  }

  removeAll() {
    this.all.forEach((peer) => this.#remove(peer));
  }

  /** This client has left the room, and returns as a newcomer. */
  handleAbsence() {
    this.#announced = false;
    this.removeAll();
  }

  /**
   * Updates and returns a known peer that the server has listed. Returns undefined if the peer is
   * new.
   * @param {Listed} listed
   */
  #updateListed({ id, polite, meta }) {
    const peer = this.all.get(id);
    if (!peer) return;
    this.#departed.delete(peer);
    peer.polite = polite;
    peer.meta = meta;
    this.#init.emit('change', { peer });
    return peer;
  }

  get #isFull() {
    return this.all.size >= this.#init.maxPeers - 1;
  }

  /** Adds the first peer that waits, if there is a place for it. */
  #admit() {
    const [next] = this.#waiting.values();
    if (!next || this.#isFull || this.#init.isClosed()) return;
    this.#waiting.delete(next.id);
    const peer = this.#add(next);
    // The signals that the peer sent while it waited were dropped. It repeats its offer after `accept`, and its request
    // after `cancel`.
    if (this.#init.connectsToAll()) this.#init.send({ type: 'accept', to: next.id });
    else peer.resync();
  }

  /** @param {Listed} listed @param {PeersInit["early"]} [early] */
  #add({ id, polite, meta }, early) {
    const { connectsToAll, emit, pace, send, trace } = this.#init;
    const isSending = () => this.#init.isSending(id);
    const peer = new Peer({
      ...this.#init,
      id,
      polite,
      meta,
      early,
      always: connectsToAll(),
      streams: this.streams,
      signal: (type, payload, isCurrent) => send({ type, to: id, payload }, isCurrent),
      isSending,
      checkSize: (type, payload) => checkSize({ type, to: id, payload }),
      trace: (type, payload) => trace({ peer: id, direction: 'local', type, payload }),
      pace: (type, payload, direction = 'local') => {
        const wait = pace?.({ peer: id, direction, type, payload });
        return wait?.then(undefined, reportError); // the step also runs after a rejection
      },
    });
    /** @type {<T extends keyof PeerEvents>(t: T, handle: (detail: PeerEvents[T]) => void) => void} */
    const on = (type, handle) => listen(peer, type, handle);
    on('request', () =>
      emit('request', { peer, accept: () => peer.accept(), decline: () => peer.decline() }),
    );
    on('relation', (previous) => {
      const { relation } = peer;
      trace({ peer: id, direction: 'local', type: 'relation', payload: relation });
      emit('relation', { peer, relation, previous });
      this.#handlePeerState(peer);
    });
    for (const type of /** @type {const} */ (['message', 'progress', 'ask', 'track', 'mute']))
      on(type, (detail) => emit(type, /** @type {any} */ ({ peer, ...detail })));
    on('channel', (channel) => this.channels.accept(peer, channel));
    on('streams', (table) => {
      peer.negotiation?.streams?.receive(table, true);
      this.#limitVideo();
    });
    on('state', () => {
      this.channels.connect(peer);
      this.#handlePeerState(peer);
    });
    on('peer-replaced', (description) => this.#handleReplaced(peer, description));
    const emitError = (/** @type {PeerEvents["error"]} */ detail) =>
      emit('error', { ...detail, to: id });
    on('error', (detail) => this.#limits.get(id)?.takeError() && emitError(detail));
    if (!this.#limits.has(id)) {
      const deliver = (/** @type {string} */ type, /** @type {any} */ payload) =>
        this.#handleSignal(id, type, payload);
      this.#limits.set(id, new SignalLimits({ deliver, isSending, reportError: emitError }));
    }
    this.all.set(id, peer);
    emit('peer', { peer });
    return peer;
  }

  /** @param {Peer} peer */
  #remove(peer) {
    if (this.all.get(peer.id) !== peer) return;
    this.all.delete(peer.id);
    this.#departed.delete(peer);
    this.#limits.get(peer.id)?.stop();
    this.#limits.delete(peer.id);
    peer.close();
    this.#limitVideo();
    this.#init.emit('leave', { peer });
    queueMicrotask(() => this.#admit()); // a new page of the same peer comes first
  }

  /**
   * Keeps each of the peers until its `property` becomes false. The server does not list the peers,
   * because it lost its state in a restart, the peers left, or we left. The connections may still work.
   * @param {"connected" | "recoverable"} property
   * @param {Peer[]} [peers] default: all
   */
  keepWhile(property, peers = [...this.all.values()]) {
    for (const peer of peers) {
      this.#departed.set(peer, property);
      this.#handlePeerState(peer);
    }
  }

  /** The streams of this client have changed. */
  #handleStreams() {
    for (const { negotiation } of this.all.values()) negotiation?.streams?.update();
    this.#limitVideo();
  }

  #limitVideo() {
    if (this.#init.limitVideo) limitVideo(this.streams, this.all.values());
  }

  /** @param {Peer} peer */
  #handlePeerState(peer) {
    this.#limitVideo();
    const keepWhile = this.#departed.get(peer);
    if (keepWhile && !peer.negotiation?.[keepWhile]) this.#remove(peer);
    else if (this.all.get(peer.id) === peer) this.#init.emit('change', { peer });
  }

  /** @param {Peer} old @param {DescriptionPayload} description */
  #handleReplaced(old, description) {
    const limits = this.#limits.get(old.id);
    if (this.all.get(old.id) !== old || !limits) return;
    if (!limits.takeConnection()) return limits.hold(description.type, description);
    this.#limits.delete(old.id); // the limits of the old peer also apply to the new one
    this.#remove(old);
    this.#limits.set(old.id, limits);
    const peer = this.#add(old);
    if (description.type === 'offer') peer.handleSignal('offer', description);
    else if (this.#init.connectsToAll()) peer.startOffer();
  }
}
