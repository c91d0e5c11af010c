// @ts-check
/**
 * Our part in a live session: the connection to the media server, which relays the tracks of one
 * peer, the device, to all other peers, the viewers. The media server makes every offer. A new
 * `session` in an offer requires a new connection.
 */

/**
 * @import { LiveState } from "./room.js"
 * @import { LiveInit } from "./parts.d.ts"
 */

/** The id of the media server in a room with a live session. */
export const MEDIA_SERVER = '~live';

/**
 * Delay after which we request a new offer because the media server has closed our session, in
 * milliseconds. Usually, the reason arrives as a signal within this time: a new offer or a new state.
 */
const CLOSED_DELAY = 3_000;

export class Live {
  /** @type {LiveState | null} */
  state = null;
  /** @type {MediaStream | null} */
  stream = null;
  /** @type {RTCPeerConnection | null} */
  connection = null;

  #init;
  /** @type {string | undefined} */
  #session;
  #isDevice = false; // whether the last offer asks for our tracks
  /** The transport whose state is watched. @type {RTCDtlsTransport=} */
  #transport;
  /** The stream that we publish. @type {MediaStream | null} */
  #published = null;
  /**
   * The offer that we answer as soon as there is a stream to publish.
   * @type {RTCSessionDescriptionInit | null}
   */
  #pendingOffer = null;
  /** The detail of the last event `live`. */
  #emitted = { state: this.state, connected: false };

  /** @param {LiveInit} init */
  constructor(init) {
    this.#init = init;
  }

  get connected() {
    return this.connection?.connectionState === 'connected';
  }

  /** @param {MediaStream} stream */
  publish(stream) {
    this.#published = stream;
    if (this.#pendingOffer) this.#answer(this.#pendingOffer);
    else this.#updateTracks();
  }

  /** @param {string} type @param {any} payload */
  handleSignal(type, payload) {
    if (type === 'offer') this.#handleOffer(payload);
    else if (type === 'live' && payload?.state !== this.state) this.#setState(payload?.state);
  }

  /** Requests a new offer if the connection failed while the WebSocket was disconnected. */
  resync() {
    if (this.connection?.connectionState === 'failed') this.#init.signal('restart');
  }

  /** Ends the session for this client. */
  stop() {
    if (this.state !== 'stopped') this.#setState('stopped');
  }

  /** Closes the connection. If we join again, the media server makes a new offer. */
  close() {
    this.#session = undefined;
    this.#pendingOffer = null;
    this.connection?.close();
    this.connection = null;
    this.#setStream(null);
    this.#emitChange();
  }

  /** @param {LiveState} state */
  #setState(state) {
    this.state = state;
    // After `away`, the media server has closed the sessions of the viewers, but a browser notices
    // this only after about 18 seconds. The device may have its next offer already.
    if (state === 'stopped' || (state === 'away' && !this.#isDevice)) this.close();
    this.#emitChange();
  }

  #emitChange() {
    const { state, connected } = this;
    if (state === this.#emitted.state && connected === this.#emitted.connected) return;
    this.#emitted = { state, connected };
    this.#init.emit('live', { state, connected });
  }

  /** @param {MediaStream | null} stream */
  #setStream(stream) {
    if (stream === this.stream) return;
    this.stream = stream;
    this.#init.emit('stream', { stream });
  }

  /** @param {RTCSessionDescriptionInit & { session?: string }} offer */
  #handleOffer({ type, sdp, session }) {
    const offer = { type, sdp };
    if (!this.connection || session !== this.#session) this.#connect(session);
    this.#isDevice = asksForTracks(offer);
    if (this.#isDevice && !this.#published) this.#pendingOffer = offer;
    else this.#answer(offer);
  }

  /** @param {string} [session] */
  #connect(session) {
    const old = this.connection;
    const { Connection, configuration, signal, trace } = this.#init;
    trace('create-connection', configuration());
    const connection = new Connection(configuration());
    this.connection = connection;
    this.#session = session;
    this.#pendingOffer = null;
    old?.close();
    connection.addEventListener('track', ({ track }) => trace('track', track));
    connection.addEventListener('connectionstatechange', () => {
      trace('connection-state', connection.connectionState);
      this.#emitChange();
      if (connection.connectionState === 'failed') signal('restart');
    });
    this.#emitChange();
  }

  /**
   * Requests a new offer if the media server closes the session. The connection state changes to
   * `failed` only many seconds later.
   * @param {RTCPeerConnection} connection
   */
  #watchTransport(connection) {
    const transport = connection.getSenders()[0]?.transport;
    if (!transport || transport === this.#transport) return;
    this.#transport = transport;
    transport.addEventListener('statechange', () => {
      if (transport.state !== 'closed') return;
      setTimeout(() => {
        if (connection === this.connection) this.#init.signal('restart');
      }, CLOSED_DELAY);
    });
  }

  /** @param {RTCSessionDescriptionInit} offer */
  async #answer(offer) {
    const { connection } = this;
    const stream = this.#isDevice ? this.#published : null;
    this.#pendingOffer = null;
    try {
      await this.#negotiate(offer, stream);
    } catch (error) {
      if (connection !== this.connection) return; // a later offer has replaced the connection
      const { message } = /** @type {Error} */ (error);
      this.#init.emit('error', { code: 'negotiation', message, to: MEDIA_SERVER });
    }
  }

  /** @param {RTCSessionDescriptionInit} offer @param {MediaStream | null} stream */
  async #negotiate(offer, stream) {
    const { connection } = this;
    const { signal, trace } = this.#init;
    if (!connection) return;
    await connection.setRemoteDescription(offer);
    trace('set-remote-description', offer);
    const transceivers = connection.getTransceivers();
    if (stream) {
      await replaceTracks(stream, transceivers);
      for (const it of transceivers) it.direction = it.sender.track ? 'sendonly' : 'inactive';
    }
    await connection.setLocalDescription();
    const { localDescription } = connection;
    if (connection !== this.connection || !localDescription) return;
    trace('set-local-description', localDescription);
    this.#watchTransport(connection);
    // The media server has a known address, so it needs no candidates of ours.
    const { type, sdp } = localDescription;
    signal('answer', { type, sdp, session: this.#session });
    if (!stream) this.#setStream(new MediaStream(transceivers.map((it) => it.receiver.track)));
    else if (stream !== this.#published) this.#updateTracks();
  }

  /** Sends the tracks of the published stream instead of the tracks that were sent before. */
  #updateTracks() {
    const { connection } = this;
    if (connection?.signalingState !== 'stable' || !this.#isDevice) return;
    const offered = connection.getTransceivers();
    const added = offered.filter(
      (it) => it.currentDirection === 'inactive' && matchingTrack(this.#published, it),
    );
    // A kind of track that the answer has rejected needs a new offer.
    if (added.length > 0) return this.#init.signal('restart');
    replaceTracks(this.#published, offered).catch(reportError);
  }
}

/**
 * Returns whether an offer asks the device for its tracks.
 * @param {RTCSessionDescriptionInit} offer
 */
function asksForTracks({ sdp = '' }) {
  return /^a=recvonly/m.test(sdp);
}

/**
 * Sends the tracks of a stream, or nothing, on the transceivers of their kinds.
 * @param {MediaStream | null} stream
 * @param {RTCRtpTransceiver[]} transceivers
 */
function replaceTracks(stream, transceivers) {
  return Promise.all(transceivers.map((it) => it.sender.replaceTrack(matchingTrack(stream, it))));
}

/**
 * Returns the track of a stream that a transceiver can send, or null.
 * @param {MediaStream | null} stream
 * @param {RTCRtpTransceiver} transceiver
 */
function matchingTrack(stream, { receiver }) {
  return stream?.getTracks().find(({ kind }) => kind === receiver.track.kind) ?? null;
}
