// @ts-check
/**
 * A room: joins it, and passes each frame of the server to the peers, to the live session or to the
 * application. `room.d.ts` documents the API.
 */

import { EarlyOffer } from './early-offer.js';
import { emit, Events, listen } from './events.js';
import { IceServers } from './ice-servers.js';
import { Live, MEDIA_SERVER } from './live.js';
import { checkOptions, encodeMeta, normalizeName, roomUrl } from './options.js';
import { Peers } from './peers.js';
import { checkSignalType, isLibraryType, LEAVING_SERVER } from './signal-types.js';
import { Signaling } from './signaling.js';
import { frameStep } from './trace.js';

/**
 * @import { Peer } from "./peer.js"
 * @import { ChannelOptions, Muted, RoomEvents, RoomOptions, RoomState } from "./room.js"
 * @import { SendOptions, Step } from "./room.js"
 * @import { Closed, Disconnected, Frame, Listed, PeersInit, SignalingEvents } from "./parts.d.ts"
 */

const ROOM_FULL = 4003;
const LIVE_OVER = 4011;
/** Close codes that also end our connections: replaced, live-over, removed. */
const ENDS_CONNECTIONS = [4001, LIVE_OVER, 4012];

export class Room extends Events {
  /** @readonly */ name;
  /** @readonly */ live;
  /** @type {Promise<void>} @readonly */ joined;
  /** @type {RoomState} */ state = 'connecting';

  #peers;
  /** @type {EarlyOffer=} */
  #early;
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
  #isLive = false; // whether the room has, or had, a live session
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
    const { limitVideo = true, maxMessageSize = 2 ** 28, maxPeers = Infinity } = options;
    const meta = encodeMeta(options);
    const { RTCPeerConnection, WebSocket } = options;
    const Connection = runtimeClass('RTCPeerConnection', RTCPeerConnection);
    const Socket = runtimeClass('WebSocket', WebSocket);
    this.name = normalizeName(name);
    this.joined = new Promise((resolve, reject) => {
      this.on('state', ({ state }) => state === 'joined' && resolve());
      this.on('close', ({ code, reason, message }) =>
        reject(new Error(`the room is closed: ${message || reason || code}`)),
      );
    });
    this.joined.catch(() => {}); // the application need not await it
    this.#configuration = { iceServers, iceTransportPolicy };
    const url = roomUrl(this.name, host);
    const always = connect !== 'on-request';
    // Other implementations need not be able to change the ICE servers of a connection.
    if (always && !pace && Connection === globalThis.RTCPeerConnection)
      this.#early = new EarlyOffer(Connection, this.#configuration, this.#ending.signal);
    /** @type {Pick<PeersInit, "Connection" | "configuration" | "emit">} */
    const shared = {
      Connection,
      configuration: () => this.#configuration,
      emit: (type, detail) => emit(this, type, detail),
    };
    this.#peers = new Peers({
      ...shared,
      early: this.#early,
      maxPeers,
      always,
      pace,
      limitVideo,
      maxMessageSize,
      // The device of a live session would connect to each of its viewers, which can be thousands.
      connectsToAll: () => always && !this.#isLive,
      isClosed: () => this.#ending.signal.aborted,
      isSending: (to) => this.#signaling.isSending(to),
      send: (frame, isCurrent) => this.#send(frame, isCurrent),
      trace: (step) => this.#trace(step),
    });
    this.live = new Live({
      ...shared,
      signal: (type, payload) => this.#send({ type, to: MEDIA_SERVER, payload }),
      trace: (type, payload) =>
        this.#trace({ peer: MEDIA_SERVER, direction: 'local', type, payload }),
    });
    if (!iceServers) this.#requestIceServers(url, id, token);
    const offer = this.#early?.ready;
    const credentials = { id, key: key ?? random, token };
    this.#signaling = new Signaling({ url, ...credentials, meta, offer, WebSocket: Socket });
    listen(this.#signaling, 'error', (error) => emit(this, 'error', error));
    this.#onSignaling('frame', (frame) => {
      this.#trace(frameStep('in', frame));
      this.#handleFrame(frame);
    });
    this.#onSignaling('disconnected', (detail) => this.#handleDisconnected(detail));
    this.#onSignaling('close', (closed) => this.#handleClose(closed));
  }

  get id() {
    return this.#signaling.id;
  }

  /** @returns {ReadonlyMap<string, Peer>} */
  get peers() {
    return this.#peers.all;
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

  /** @param {unknown} data @param {SendOptions} [options] */
  send(data, options) {
    return this.#peers.send(data, options);
  }

  /** @param {string} name @param {ChannelOptions} [options] */
  channel(name, options) {
    return this.#peers.channels.open(name, options);
  }

  /** @param {MediaStream} stream @param {{ metadata?: unknown }} [options] */
  addStream(stream, options) {
    this.#peers.streams.add(stream, options);
  }

  /** @param {MediaStream} stream */
  removeStream(stream) {
    this.#peers.streams.remove(stream);
  }

  /** @param {MediaStreamTrack} oldTrack @param {MediaStreamTrack | null} newTrack */
  replaceTrack(oldTrack, newTrack) {
    this.#peers.streams.replaceTrack(oldTrack, newTrack);
  }

  /** @param {MediaStream} stream @param {Partial<Muted>} muted */
  mute(stream, muted) {
    this.#peers.streams.mute(stream, muted);
  }

  close() {
    this.#ending.abort();
    this.#signaling.close();
    this.#peers.removeAll();
  }

  leaveServer() {
    const frame = { type: LEAVING_SERVER };
    if (this.peers.size > 0) {
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
        for (const peer of this.#peers.all.values()) peer.setIceServers(iceServers);
      },
      (message) => emit(this, 'error', { code: 'ice-servers', message }),
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
    const { type, from, id, code, message, to } = frame;
    if (typeof from === 'string') this.#handleSignal(frame);
    else if (type === 'welcome') this.#handleWelcome(frame);
    else if (id === MEDIA_SERVER) this.#isLive = true;
    else if (type === 'peer-joined') this.#peers.handleJoined(/** @type {any} */ (frame));
    else if (type === 'peer-left') this.#peers.handleLeft(id);
    else if (type === 'error') emit(this, 'error', { code, message, to });
  }

  /** @param {Frame} frame */
  #handleSignal({ from, type, payload }) {
    if (from === MEDIA_SERVER) this.live.handleSignal(type, payload);
    else if (isLibraryType(type)) this.#peers.receive(from, type, payload);
    else emit(this, 'signal', { from, type, payload });
  }

  /** @param {Frame} welcome */
  #handleWelcome({ peers: listed, offered }) {
    if (this.#peers.leaveNoPlace(listed)) {
      const message = 'the room is full for maxPeers: choose another room';
      return this.#signaling.close({ code: ROOM_FULL, reason: 'room-full', message });
    }
    if (listed.some((/** @type {Listed} */ { id }) => id === MEDIA_SERVER)) this.#isLive = true;
    else if (this.#isLive) this.live.stop(); // the session ended while we were disconnected
    this.live.resync();
    this.#iceServers?.refreshIfDue();
    this.#peers.handleWelcome(listed, offered);
    if (!this.#ending.signal.aborted) this.#setState('joined', {});
  }

  /** @param {Disconnected} disconnected */
  #handleDisconnected({ intentional: left, ...reason }) {
    if (left) {
      this.live.close();
      this.#peers.handleAbsence();
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
    if (isOver) this.#peers.removeAll();
    // A refusal, for example of an expired token, does not affect the connections.
    else this.#peers.keepWhile(this.#leftServer ? 'recoverable' : 'connected');
    this.#ending.abort();
    this.#setState('closed', {});
    emit(this, 'close', closed);
  }

  /** @param {RoomState} state @param {Omit<RoomEvents["state"], "state">} reason */
  #setState(state, reason) {
    this.state = state;
    this.#trace({ peer: null, direction: 'local', type: 'room-state', payload: state });
    emit(this, 'state', { state, ...reason });
  }

  /** @param {Frame} frame @param {() => boolean} [isCurrent] */
  #send(frame, isCurrent) {
    // The server has passed this offer on with our join.
    const isSent = frame.payload && frame.payload === this.#early?.payload;
    const sent = isSent || this.#signaling.send(frame, isCurrent);
    if (sent) this.#trace(frameStep('out', frame));
    return sent;
  }

  /** @param {Step} step */
  #trace(step) {
    emit(this, 'trace', { time: performance.timeOrigin + performance.now(), ...step });
  }
}

/**
 * Returns the class from the options, or that of the runtime.
 * @param {'RTCPeerConnection' | 'WebSocket'} name
 * @param {unknown} [given]
 * @returns {any}
 */
function runtimeClass(name, given) {
  const found = given ?? globalThis[name];
  if (found) return found;
  throw new TypeError(`there is no ${name}: pass a class as the option ${name}`);
}
