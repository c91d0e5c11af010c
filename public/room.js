// @ts-check
/**
 * A room: its peers, and a connection with each peer. This module decides which peer receives which
 * frame, which side makes the first offer, and which peers stay when the WebSocket is lost.
 * Established connections outlive the WebSocket. `room.d.ts` documents the API.
 */

import { IceServers } from './ice-servers.js';
import { Live, MEDIA_SERVER } from './live.js';
import { checkOptions, normalizeName, roomUrl } from './options.js';
import { Peer } from './peer.js';
import { checkSize } from './send-queue.js';
import { SignalLimits } from './signal-limits.js';
import { checkSignalType, isLibraryType, LEAVING_SERVER } from './signal-types.js';
import { Signaling } from './signaling.js';
import { frameStep } from './trace.js';

/**
 * @import { RoomEvents, RoomOptions, RoomState, Step } from "./room.js"
 * @import { Closed, DescriptionPayload, Disconnected, Frame } from "./parts.d.ts"
 * @import { PeerEvents, SignalingEvents } from "./parts.d.ts"
 */

const LIVE_OVER = 4011;
/** Close codes that also end our connections: replaced, live-over, removed. */
const ENDS_CONNECTIONS = [4001, LIVE_OVER, 4012];

export class Room extends EventTarget {
  /** @readonly */ name;
  /** @readonly */ live;
  /** @type {RoomState} */ state = 'connecting';

  /** @type {Map<string, Peer>} */
  #peers = new Map();
  /** The limits for the signals of each peer. @type {Map<string, SignalLimits>} */
  #limits = new Map();
  /**
   * Peers that the server no longer lists, and the property that keeps each peer: when the property
   * becomes false, the room removes the peer.
   * @type {Map<Peer, "connected" | "recoverable">}
   */
  #departed = new Map();
  #announced = false; // whether the peers in the room know that this client has joined
  /** @type {RTCConfiguration} */
  #configuration;
  #ending = new AbortController();
  /** Undefined if the application passed ICE servers. @type {IceServers=} */
  #iceServers;
  /**
   * Settles when the ICE servers are known. Null if the ICE servers are known already.
   * @type {Promise<void> | null}
   */
  #iceReady = null;
  #signaling;
  #always;
  #isLive = false; // whether the room has, or had, a live session
  #pace;
  #leftServer = false;

  /**
   * @param {string} name
   * @param {RoomOptions} [options]
   */
  constructor(name, options = {}) {
    super();
    checkOptions(options);
    const random = crypto.getRandomValues(new Uint32Array(4)).join('-');
    const { host, id, key, token, iceServers, iceTransportPolicy, connect, pace } = options;
    this.name = normalizeName(name);
    this.#always = connect !== 'on-request';
    this.#pace = pace;
    this.#configuration = { iceServers, iceTransportPolicy };
    const url = roomUrl(this.name, host);
    this.live = new Live({
      configuration: () => this.#configuration,
      signal: (type, payload) => this.#send({ type, to: MEDIA_SERVER, payload }),
      emit: (type, detail) => this.#emit(type, detail),
      trace: (type, payload) =>
        this.#trace({ peer: MEDIA_SERVER, direction: 'local', type, payload }),
    });
    if (!iceServers) this.#requestIceServers(url, id, token);
    this.#signaling = new Signaling(url, { id, key: key ?? random, token });
    listen(this.#signaling, 'frame', (frame) => this.#trace(frameStep('in', frame)));
    listen(this.#signaling, 'error', (error) => this.#emit('error', error));
    this.#onSignaling('frame', (frame) => this.#handleFrame(frame));
    this.#onSignaling('disconnected', (detail) => this.#handleDisconnected(detail));
    this.#onSignaling('close', (closed) => this.#handleClose(closed));
  }

  get id() {
    return this.#signaling.id;
  }

  /** @returns {ReadonlyMap<string, Peer>} */
  get peers() {
    return this.#peers;
  }

  /**
   * @param {string} type
   * @param {unknown} [payload]
   * @param {string} [to]
   */
  signal(type, payload, to) {
    checkSignalType(type);
    return this.#send({ type, to, payload });
  }

  close() {
    this.#ending.abort();
    this.#signaling.close();
    this.#peers.forEach((peer) => this.#remove(peer));
  }

  leaveServer() {
    const frame = { type: LEAVING_SERVER };
    if (this.#peers.size > 0) {
      if (!this.#signaling.sendNow(frame)) return false;
      this.#trace(frameStep('out', frame));
    }
    this.#leftServer = true;
    this.#signaling.close();
    return true;
  }

  /** @param {URL} url @param {string} [id] @param {RoomOptions['token']} [token] */
  #requestIceServers(url, id, token) {
    this.#iceServers = new IceServers(
      url,
      id,
      token,
      this.#configuration.iceTransportPolicy === 'relay',
      this.#ending.signal,
      (iceServers) => {
        this.#configuration = { ...this.#configuration, iceServers };
        for (const peer of this.#peers.values()) peer.setIceServers(iceServers);
      },
      (message) => this.#emit('error', { code: 'ice-servers', message }),
    );
    this.#iceReady = this.#iceServers.ready;
    this.#iceReady.then(() => (this.#iceReady = null));
  }

  /**
   * Calls `handle` for an event of `Signaling`, but not before the ICE servers are known.
   * @template {keyof SignalingEvents} T
   * @param {T} type
   * @param {(detail: SignalingEvents[T]) => void} handle
   */
  #onSignaling(type, handle) {
    listen(this.#signaling, type, (detail) => {
      if (this.#iceReady) this.#iceReady.then(() => handle(detail));
      else handle(detail);
    });
  }

  /** @param {Frame} frame */
  #handleFrame(frame) {
    if (this.#ending.signal.aborted) return;
    const { type, from, id, polite, code, message, to } = frame;
    const peer = this.#peers.get(id);
    if (typeof from === 'string') this.#handleSignal(frame);
    else if (type === 'welcome') this.#handleWelcome(frame.peers);
    else if (id === MEDIA_SERVER) this.#isLive = true;
    else if (type === 'peer-joined') this.#handleJoined(id, polite);
    else if (type === 'peer-left' && peer && !this.#departed.has(peer)) this.#remove(peer);
    else if (type === 'error') this.#emit('error', { code, message, to });
  }

  /** @param {Frame} frame */
  #handleSignal({ from, type, payload }) {
    if (from === MEDIA_SERVER) this.live.handleSignal(type, payload);
    else if (isLibraryType(type)) this.#limits.get(from)?.receive(type, payload);
    else this.#emit('signal', { from, type, payload });
  }

  /**
   * Handles a signal that is within the limits of its sender.
   * @param {string} from @param {string} type @param {any} payload
   */
  #handlePeerSignal(from, type, payload) {
    const peer = this.#peers.get(from);
    const limits = this.#limits.get(from);
    if (!peer) return;
    if (type === LEAVING_SERVER) this.#keepWhile('recoverable', [peer]);
    else if (peer.opensConnection(type) && !limits?.takeConnection()) limits?.hold(type, payload);
    else peer.handleSignal(type, payload);
  }

  /** @param {{ id: string, polite: boolean }[]} listed */
  #handleWelcome(listed) {
    const peers = listed.filter(({ id }) => id !== MEDIA_SERVER);
    if (peers.length < listed.length) this.#isLive = true;
    else if (this.#isLive) this.live.stop(); // the session ended while we were disconnected
    this.live.resync();
    this.#iceServers?.refreshIfDue();
    // The server does not tell the peers that this page replaced another page with our id. With
    // "on-request", a broadcast of `cancel` resets the relations. With "always", our offers reveal
    // the replacement.
    if (!this.#announced && !this.#always && peers.length > 0) this.#send({ type: 'cancel' });
    const missing = new Map(this.#peers);
    for (const { id } of peers) missing.delete(id);
    this.#keepWhile('connected', [...missing.values()]);
    for (const { id, polite } of peers) {
      if (this.#ending.signal.aborted) return; // a `peer` listener has closed the room
      // The server removed us while we were disconnected. For this peer, we are a newcomer.
      const old = this.#peers.get(id);
      if (old?.hasHungUp && this.#connectsToAll) this.#remove(old);
      const known = this.#updateListed(id, polite);
      // When we join, we make the first offer to every peer, even as the polite side: a page that
      // replaces another page takes over the old page's seat, so the new page is polite to the
      // peers that joined after the old page. After a reconnect, the impolite side makes the first
      // offer.
      const offers = this.#connectsToAll && (!this.#announced || !polite);
      if (known) known.resync();
      else if (offers) this.#add(id, polite).startOffer();
      else this.#add(id, polite);
    }
    if (this.#ending.signal.aborted) return;
    this.#announced = true;
    this.#setState('joined', {});
  }

  /** @param {string} id @param {boolean} polite */
  #handleJoined(id, polite) {
    const known = this.#updateListed(id, polite);
    this.#limits.get(id)?.handleAnnounced();
    // If the peer is still connected, only its WebSocket was lost and replaced, so the peer needs
    // no resync. A new page with the same id would send an offer.
    if (!known) this.#add(id, polite);
    else if (!known.connected) known.resync();
  }

  /**
   * Updates and returns a known peer that the server has listed. Returns undefined if the peer is
   * new.
   * @param {string} id
   * @param {boolean} polite
   */
  #updateListed(id, polite) {
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.#departed.delete(peer);
    peer.polite = polite;
    this.#emit('change', { peer });
    return peer;
  }

  get #connectsToAll() {
    // The device of a live session would connect to each of its viewers, which can be thousands.
    return this.#always && !this.#isLive;
  }

  /** @param {string} id @param {boolean} polite */
  #add(id, polite) {
    const isSending = () => this.#signaling.isSending(id);
    const peer = new Peer({
      id,
      polite,
      always: this.#connectsToAll,
      configuration: () => this.#configuration,
      signal: (type, payload, isCurrent) => this.#send({ type, to: id, payload }, isCurrent),
      isSending,
      checkSize: (type, payload) => checkSize({ type, to: id, payload }),
      trace: (type, payload) => this.#trace({ peer: id, direction: 'local', type, payload }),
      pace: (type, payload, direction = 'local') => {
        const wait = this.#pace?.({ peer: id, direction, type, payload });
        return wait?.then(undefined, reportError); // the step also runs after a rejection
      },
    });
    /** @type {<T extends keyof PeerEvents>(t: T, handle: (detail: PeerEvents[T]) => void) => void} */
    const on = (type, handle) => listen(peer, type, handle);
    on('request', () =>
      this.#emit('request', { peer, accept: () => peer.accept(), decline: () => peer.decline() }),
    );
    on('relation', (previous) => {
      const { relation } = peer;
      this.#trace({ peer: id, direction: 'local', type: 'relation', payload: relation });
      this.#emit('relation', { peer, relation, previous });
      this.#handlePeerState(peer);
    });
    on('message', (data) => this.#emit('message', { peer, data }));
    on('track', ({ track, streams, transceiver, receiver }) =>
      this.#emit('track', { peer, track, streams, transceiver, receiver }),
    );
    on('state', () => this.#handlePeerState(peer));
    on('peer-replaced', (description) => this.#handleReplaced(peer, description));
    const emitError = (/** @type {PeerEvents["error"]} */ detail) =>
      this.#emit('error', { ...detail, to: id });
    on('error', (detail) => this.#limits.get(id)?.takeError() && emitError(detail));
    if (!this.#limits.has(id)) {
      const deliver = (/** @type {string} */ type, /** @type {any} */ payload) =>
        this.#handlePeerSignal(id, type, payload);
      this.#limits.set(id, new SignalLimits({ deliver, isSending, reportError: emitError }));
    }
    this.#peers.set(id, peer);
    this.#emit('peer', { peer });
    return peer;
  }

  /** @param {Peer} peer */
  #remove(peer) {
    if (this.#peers.get(peer.id) !== peer) return;
    this.#peers.delete(peer.id);
    this.#departed.delete(peer);
    this.#limits.get(peer.id)?.stop();
    this.#limits.delete(peer.id);
    peer.close();
    this.#emit('leave', { peer });
  }

  /**
   * Keeps each of the peers until its `property` becomes false. The server does not list the peers,
   * because it lost its state in a restart or the peers left. The connections may still work.
   * @param {"connected" | "recoverable"} property
   * @param {Peer[]} peers
   */
  #keepWhile(property, peers) {
    for (const peer of peers) {
      this.#departed.set(peer, property);
      this.#handlePeerState(peer);
    }
  }

  /** @param {Peer} peer */
  #handlePeerState(peer) {
    const keepWhile = this.#departed.get(peer);
    if (keepWhile && !peer[keepWhile]) this.#remove(peer);
    else if (this.#peers.get(peer.id) === peer) this.#emit('change', { peer });
  }

  /** @param {Peer} old @param {DescriptionPayload} description */
  #handleReplaced(old, description) {
    const limits = this.#limits.get(old.id);
    if (this.#peers.get(old.id) !== old || !limits) return;
    if (!limits.takeConnection()) return limits.hold(description.type, description);
    this.#limits.delete(old.id); // the limits of the old peer also apply to the new one
    this.#remove(old);
    this.#limits.set(old.id, limits);
    const peer = this.#add(old.id, old.polite);
    if (description.type === 'offer') peer.handleSignal('offer', description);
    else if (this.#connectsToAll) peer.startOffer();
  }

  /** @param {Disconnected} disconnected */
  #handleDisconnected({ intentional: left, ...reason }) {
    if (left) {
      this.#announced = false;
      this.live.close();
      this.#peers.forEach((peer) => this.#remove(peer));
    }
    const state = this.state === 'connecting' ? 'connecting' : 'reconnecting';
    this.#setState(state, { ...reason, left });
  }

  /** @param {Closed} closed */
  #handleClose(closed) {
    const hasLeft = closed.code === 1000 && !this.#leftServer;
    const isOver = hasLeft || ENDS_CONNECTIONS.includes(closed.code);
    if (closed.code === LIVE_OVER) this.live.stop();
    this.live.close();
    if (isOver) this.#peers.forEach((peer) => this.#remove(peer));
    // A refusal, for example of an expired token, does not affect the connections.
    else this.#keepWhile(this.#leftServer ? 'recoverable' : 'connected', [...this.#peers.values()]);
    this.#ending.abort();
    this.#setState('closed', {});
    this.#emit('close', closed);
  }

  /** @param {RoomState} state @param {Omit<RoomEvents["state"], "state">} reason */
  #setState(state, reason) {
    this.state = state;
    this.#trace({ peer: null, direction: 'local', type: 'room-state', payload: state });
    this.#emit('state', { state, ...reason });
  }

  /** @param {Frame} frame @param {() => boolean} [isCurrent] */
  #send(frame, isCurrent) {
    const sent = this.#signaling.send(frame, isCurrent);
    if (sent) this.#trace(frameStep('out', frame));
    return sent;
  }

  /** @param {Step} step */
  #trace(step) {
    this.#emit('trace', { time: performance.timeOrigin + performance.now(), ...step });
  }

  /** @template {keyof RoomEvents} T @param {T} type @param {RoomEvents[T]} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {EventTarget} target @param {string} type @param {(detail: any) => void} handle */
function listen(target, type, handle) {
  target.addEventListener(type, (event) => handle(/** @type {CustomEvent} */ (event).detail));
}
