// @ts-check
/**
 * A room: who is in it, and a connection with each of them. `room.d.ts` describes it, README shows
 * it in use. Here is which peer gets which frame, who makes the first offer, and who is still there
 * after the line was lost: a connection that works outlives it.
 */

import { Peer } from './peer.js';
import { findServers, Signaling } from './signaling.js';

/**
 * @import { RoomEvents, RoomOptions, RoomState, Step } from "./room.js"
 * @import { Closed, Down, Frame } from "./parts.d.ts"
 */

const LEAVING = 'leaving'; // the server, but not us
const OURS = ['offer', 'answer', 'candidate', 'request', 'accept', 'decline', 'cancel', LEAVING];
const NOTICES = ['welcome', 'peer-joined', 'peer-left', 'error'];
const REPLACED = 4001;

export class Room extends EventTarget {
  /** @readonly */ name;
  /** @type {RoomState} */ state = 'connecting';

  /** @type {Map<string, Peer>} */
  #peers = new Map();
  /** Not with the server: they stay while this holds. @type {Map<Peer, "connected" | "recoverable">} */
  #unlisted = new Map();
  #known = false; // to those in the room
  /** @type {RTCConfiguration} */
  #configuration;
  #ending = new AbortController();
  /** For the ICE servers. @type {Promise<void> | null} */
  #waiting = null;
  #signaling;
  #always;
  #pace;
  #talksOn = false; // without the server

  /**
   * @param {string} name
   * @param {RoomOptions} [options]
   */
  constructor(name, options = {}) {
    super();
    const random = crypto.getRandomValues(new Uint32Array(4)).join('-');
    const { host, id, key = random, token, iceServers, connect = 'always', pace } = options;
    this.name = name;
    this.#always = connect === 'always';
    this.#pace = pace;
    this.#configuration = { iceServers };
    const url = address(name, host);
    if (id !== undefined && !/^[\w.~:-]{1,64}$/.test(id)) {
      throw new RangeError('a peer id has 1 to 64 characters out of A-Z a-z 0-9 . _ ~ : -');
    }
    if (token !== undefined && !/^[\w.-]+$/.test(token)) {
      throw new RangeError(
        'a token is a JWT: letters, digits, - and _, with dots between its parts',
      );
    }
    if (!this.#always && connect !== 'on-request') {
      throw new RangeError('connect is "always" or "on-request"');
    }
    if (!iceServers) this.#findServers(url, id, token);
    this.#signaling = new Signaling(url, { id, key, token });
    listen(this.#signaling, 'frame', (frame) => this.#traceFrame('in', frame));
    this.#hear('frame', (frame) => this.#handleFrame(frame));
    this.#hear('down', (down) => this.#handleDown(down));
    this.#hear('close', (closed) => this.#handleClose(closed));
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
    if (OURS.includes(type) || NOTICES.includes(type)) {
      throw new TypeError(`the type "${type}" is not an application's own`);
    }
    return this.#send({ type, to, payload });
  }

  close() {
    this.#ending.abort();
    this.#signaling.close();
    this.#peers.forEach((peer) => this.#remove(peer));
  }

  leaveServer() {
    if (this.#peers.size > 0 && !this.#send({ type: LEAVING })) return false;
    this.#talksOn = true;
    this.#signaling.close();
    return true;
  }

  /** @param {URL} room @param {string} [id] @param {string} [token] */
  #findServers(room, id, token) {
    const url = new URL('/ice-servers', room);
    url.protocol = url.protocol.replace('ws', 'http');
    if (id !== undefined) url.searchParams.set('_pk', id);
    this.#waiting = findServers(url, token, this.#ending.signal, (iceServers) => {
      this.#configuration = { iceServers };
      for (const peer of this.#peers.values()) peer.useServers(iceServers);
    });
    this.#waiting.then(() => (this.#waiting = null));
  }

  /** @param {string} type @param {(detail: any) => void} handle */
  #hear(type, handle) {
    listen(this.#signaling, type, (detail) => {
      if (this.#waiting) this.#waiting.then(() => handle(detail));
      else handle(detail);
    });
  }

  /** @param {Frame} frame */
  #handleFrame(frame) {
    const { type, from, id, polite, code, message, to } = frame;
    const peer = this.#peers.get(id);
    if (typeof from === 'string') this.#handleSignal(frame);
    else if (type === 'welcome') this.#handleWelcome(frame.peers);
    else if (type === 'peer-joined') this.#handleJoined(id, polite);
    else if (type === 'peer-left' && peer && !this.#unlisted.has(peer)) this.#remove(peer);
    else if (type === 'error') this.#emit('error', { code, message, to });
  }

  /** @param {Frame} frame */
  #handleSignal({ from, type, payload }) {
    const peer = this.#peers.get(from);
    if (type === LEAVING && peer) this.#forget([peer], 'recoverable');
    else if (OURS.includes(type)) peer?.handleSignal(type, payload);
    else this.#emit('signal', { from, type, payload });
  }

  /** @param {{ id: string, polite: boolean }[]} peers */
  #handleWelcome(peers) {
    // If we took over an id, the others are not told. With "always" our offers do that.
    if (!this.#known && !this.#always && peers.length > 0) this.#send({ type: 'cancel' });
    const gone = new Map(this.#peers);
    for (const { id } of peers) gone.delete(id);
    this.#forget([...gone.values()]);
    for (const { id, polite } of peers) {
      const known = this.#list(id, polite);
      // The newcomer makes the first offer, even if it took over an older seat.
      const first = this.#always && (!this.#known || !polite);
      if (known) known.resync();
      else if (first) this.#add(id, polite).open();
      else this.#add(id, polite);
    }
    this.#known = true;
    this.#become('joined', {});
  }

  /** @param {string} id @param {boolean} polite */
  #handleJoined(id, polite) {
    const known = this.#list(id, polite);
    // One whom we reach has come back to a server that had forgotten it; a new page would offer.
    if (!known) this.#add(id, polite);
    else if (!known.connected) known.resync();
  }

  /** The peer, if we know it already. @param {string} id @param {boolean} polite */
  #list(id, polite) {
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.#unlisted.delete(peer);
    peer.polite = polite;
    this.#emit('change', { peer });
    return peer;
  }

  /** @param {string} id @param {boolean} polite */
  #add(id, polite) {
    const peer = new Peer({
      id,
      polite,
      always: this.#always,
      configuration: () => this.#configuration,
      signal: (type, payload) => this.#send({ type, to: id, payload }),
      trace: (type, payload) => this.#trace({ peer: id, direction: 'local', type, payload }),
      pace: (type, payload, direction = 'local') => {
        const wait = this.#pace?.({ peer: id, direction, type, payload });
        return wait?.then(undefined, reportError); // no reason to stop
      },
    });
    listen(peer, 'request', () =>
      this.#emit('request', { peer, accept: () => peer.accept(), decline: () => peer.decline() }),
    );
    listen(peer, 'relation', (previous) => {
      const { relation } = peer;
      this.#trace({ peer: id, direction: 'local', type: 'relation', payload: relation });
      this.#emit('relation', { peer, relation, previous });
      this.#handlePeerState(peer);
    });
    listen(peer, 'message', (data) => this.#emit('message', { peer, data }));
    listen(peer, 'track', ({ track, streams, transceiver, receiver }) =>
      this.#emit('track', { peer, track, streams, transceiver, receiver }),
    );
    listen(peer, 'state', () => this.#handlePeerState(peer));
    listen(peer, 'stranger', (description) => this.#handleStranger(peer, description));
    listen(peer, 'error', (detail) => this.#emit('error', { ...detail, to: id }));
    this.#peers.set(id, peer);
    this.#emit('peer', { peer });
    return peer;
  }

  /** @param {Peer} peer */
  #remove(peer) {
    if (this.#peers.get(peer.id) !== peer) return;
    this.#peers.delete(peer.id);
    this.#unlisted.delete(peer);
    peer.close();
    this.#emit('leave', { peer });
  }

  /**
   * Unless we reach them: the server may have restarted.
   * @param {Peer[]} peers
   * @param {"connected" | "recoverable"} [measure]
   */
  #forget(peers, measure = 'connected') {
    for (const peer of peers) {
      this.#unlisted.set(peer, measure);
      this.#handlePeerState(peer);
    }
  }

  /** @param {Peer} peer */
  #handlePeerState(peer) {
    const measure = this.#unlisted.get(peer);
    if (measure && !peer[measure]) this.#remove(peer);
    else if (this.#peers.get(peer.id) === peer) this.#emit('change', { peer });
  }

  /** @param {Peer} old @param {RTCSessionDescriptionInit} description */
  #handleStranger(old, description) {
    if (this.#peers.get(old.id) !== old) return;
    this.#remove(old);
    const peer = this.#add(old.id, old.polite);
    if (description.type === 'offer') peer.handleSignal('offer', description);
    else if (this.#always) peer.open();
  }

  /** @param {Down} down */
  #handleDown(down) {
    if (down.left) {
      this.#known = false;
      this.#peers.forEach((peer) => this.#remove(peer));
    }
    this.#become(this.state === 'connecting' ? 'connecting' : 'reconnecting', down);
  }

  /** @param {Closed} closed */
  #handleClose(closed) {
    // Refused (a token has expired, say), we still talk to those whom we reach.
    if ((closed.code === 1000 && !this.#talksOn) || closed.code === REPLACED)
      this.#peers.forEach((peer) => this.#remove(peer));
    else this.#forget([...this.#peers.values()], this.#talksOn ? 'recoverable' : 'connected');
    this.#ending.abort();
    this.#become('closed', {});
    this.#emit('close', closed);
  }

  /** @param {RoomState} state @param {Partial<Down>} why */
  #become(state, why) {
    this.state = state;
    this.#trace({ peer: null, direction: 'local', type: 'room-state', payload: state });
    this.#emit('state', { state, ...why });
  }

  /** @param {Frame} frame */
  #send(frame) {
    const sent = this.#signaling.send(frame);
    if (sent) this.#traceFrame('out', frame);
    return sent;
  }

  /** @param {"in" | "out"} direction @param {Frame} frame */
  #traceFrame(direction, { type, from, to, payload, ...rest }) {
    const notice = direction === 'in' && from === undefined; // `error` names the peer as `to`
    const peer = from ?? to ?? (type.startsWith('peer-') ? rest.id : null);
    this.#trace({ peer, direction, type, payload: notice ? rest : payload });
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

/** @param {string} name @param {string | undefined} host */
function address(name, host = new URL(import.meta.url).origin) {
  const bytes = new TextEncoder().encode(name).length;
  // "." and ".." as segments get lost (https://url.spec.whatwg.org/#double-dot-path-segment).
  if (bytes < 1 || bytes > 128 || /\p{Cc}|^\.\.?$/u.test(name)) {
    throw new RangeError(
      'a room name has 1 to 128 bytes, no control characters, and is not . or ..',
    );
  }
  const local = /^(localhost|127\.[\d.]+|\[::1])(:|$)/.test(host);
  const base = new URL(host.includes('://') ? host : `${local ? 'ws' : 'wss'}://${host}`);
  base.protocol = base.protocol.replace('http', 'ws');
  return new URL(`/parties/main/${encodeURIComponent(name)}`, base);
}
