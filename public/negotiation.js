// @ts-check
/**
 * One `RTCPeerConnection`, with perfect negotiation as in the WebRTC specification
 * (https://www.w3.org/TR/webrtc/#perfect-negotiation-example). Four rules are added, because
 * signals can get lost and browsers can refuse a description:
 *
 * 1. *Descriptions may be repeated.* The origin (`o=`, RFC 9429 §5.2.2) identifies a description. A
 *    repeated offer is answered with the same answer, and a repeated answer is ignored. So a peer
 *    that does not know whether its description arrived sends the description again.
 * 2. *A peer can be replaced* by a new page or connection with the same id. The certificate in the
 *    description then differs, and the room creates a new `Peer`.
 * 3. *A failed connection attempt is restarted*, with increasing delays.
 * 4. *An unusable offer is postponed*: if our offer is too large, or the browser refuses the answer,
 *    our next offer waits for the restart timer. The peer's offers are accepted meanwhile.
 */

import { PROTOCOL } from './channels.js';
import { createConnection, traceStates } from './connection.js';
import { findLine, identify, isPoliteTo, keepDtlsRoles, sdpOf } from './description.js';
import { IdleTransceivers } from './idle-transceivers.js';
import { LocalDescriptions } from './local-descriptions.js';
import { encode } from './message-frames.js';
import { Messages } from './messages.js';
import { RemoteCandidates } from './remote-candidates.js';
import { RestartTimer } from './restart-timer.js';
import { StepQueue } from './step-queue.js';
import { PeerStreams } from './streams.js';

/**
 * @import { Description, DescriptionPayload, Message, PeerContext, TransferOptions } from "./parts.d.ts"
 * @import { Identity } from "./description.js"
 */

export class Negotiation {
  /** @readonly */ connection;
  /** Undefined before start(). @type {PeerStreams=} */ streams;

  #context;
  #inbox;
  #outbox;
  #messages;
  #candidates;
  #local;
  #idleTransceivers;
  #restartTimer;
  #closed = false;
  #started = false; // before start(), tracks can be added, but no offer is made
  #madeFirstOffer = false;
  #ignoreOffer = false;
  #isSettingRemoteAnswerPending = false;
  /** The prepared offer, until it is set. @type {PeerContext["early"]} */
  #early;
  /** Settles when the prepared offer is set. @type {Promise<void>=} */
  #settingEarly;
  /** The identity of the current remote description. @type {Identity=} */
  #remoteDescription;
  /** The type and origin of the last description that was added to the inbox. */
  #incomingDescription = '';
  /** The peer's properties, if it uses this library. @type {DescriptionPayload["partyline"]} */
  #sender;

  /** @param {PeerContext} context */
  constructor(context) {
    const { Connection, configuration, early, trace, pace } = context;
    const handleClose = () => this.#handleClosed();
    const connection =
      early?.take(configuration) ?? createConnection(Connection, configuration, handleClose);
    if (early) early.handleClose = handleClose;
    this.#early = early;
    this.connection = connection;
    this.#context = context;
    this.#inbox = new StepQueue(pace);
    this.#outbox = new StepQueue(pace);
    this.#messages = new Messages(context, () => this.hasFrames);
    this.#candidates = new RemoteCandidates(connection, trace);
    this.#local = new LocalDescriptions(
      connection,
      context,
      (type, payload) => this.#send(type, payload),
      (code, error) => this.#reportError(code, error),
      () => this.#restartTimer.schedule(),
    );
    this.#idleTransceivers = new IdleTransceivers(connection);
    this.#restartTimer = new RestartTimer(
      () => this.#restart(),
      () => this.#started && !this.#closed,
    );
    trace('create-connection', configuration);
    traceStates(connection, trace);
    this.#listen();
  }

  /** Adds event listeners. The `on…` properties are left to the application. */
  #listen() {
    const { connection } = this;
    const { trace, emit } = this.#context;
    connection.addEventListener('negotiationneeded', () => {
      this.#local.isNegotiationNeeded = true;
      // Only one side makes the first offer, which avoids glare: in Chromium 156, a rollback also
      // stops candidate gathering, and the browser never resumes it.
      if (this.#started && (this.#madeFirstOffer || this.#remoteDescription)) this.#local.offer();
    });
    connection.addEventListener('icecandidate', ({ candidate }) => {
      if (!candidate) return;
      trace('local-candidate', candidate);
      this.#send('candidate', candidate);
    });
    connection.addEventListener('track', (event) => {
      trace('track', event.track);
      if (this.streams) emit('track', this.streams.handleTrack(event));
    });
    connection.addEventListener('datachannel', (event) => {
      const { channel } = event;
      const isNamed = this.hasFrames && channel.protocol === PROTOCOL;
      if (isNamed) emit('channel', channel);
      // The application does not receive our channels, so it cannot mistake them for its own. Events of
      // werift cannot be stopped.
      if (isNamed || this.#messages.accept(channel, this.#sender !== undefined))
        event.stopImmediatePropagation?.();
    });
    connection.addEventListener('signalingstatechange', () => {
      // The application has set an offer itself.
      if (connection.signalingState === 'have-local-offer' && !this.#local.isMakingOffer)
        this.#local.send();
      this.#handleState();
    });
    connection.addEventListener('connectionstatechange', () => this.#handleState());
  }

  /** Enables offers and automatic restarts. */
  start() {
    this.#started = true;
    this.streams = new PeerStreams(this.connection, this.#context, (table) =>
      this.sendInternal('streams', table),
    );
    this.#restartTimer.schedule();
  }

  get ready() {
    return this.#messages.isOpen;
  }

  /** Whether the peer understands the frames of messages, and named channels. */
  get hasFrames() {
    return this.#sender?.messages === 1;
  }

  get connected() {
    return this.connection.connectionState === 'connected' && !this.#messages.isClosed;
  }

  /**
   * Whether the peer has closed the connection. Only the data channel shows it at once: the
   * connection state changes some seconds later.
   */
  get hasHungUp() {
    return this.connection.connectionState === 'connected' && this.#messages.isClosed;
  }

  /** Whether the peer is connected, or ICE may reconnect without the signaling server. */
  get recoverable() {
    return this.connected || (this.ready && this.connection.connectionState === 'disconnected');
  }

  /** @param {Message} message @param {TransferOptions} [options] */
  send(message, options) {
    if (this.#closed) {
      throw new DOMException(
        'the connection with this peer is closed: send to a peer in room.peers',
        'InvalidStateError',
      );
    }
    return this.#messages.send(message, options);
  }

  /** Sends a value that is not a message of the application. @param {"streams"} as @param {unknown} value */
  sendInternal(as, value) {
    return this.#messages.send(encode(value, { as }));
  }

  /** Creates the data channel, for which the browser requests the first offer. */
  startOffer() {
    const action = () => {
      if (this.#closed) return;
      const early = this.#early;
      this.#early = undefined;
      if (!this.#madeFirstOffer)
        this.#messages.use(early?.channel ?? Messages.open(this.connection));
      this.#madeFirstOffer = true;
      if (early) this.#settingEarly = this.#local.offer(early.payload);
      // If a track was added before, `negotiationneeded` has already fired, and does not fire
      // again.
      else if (this.#local.isNegotiationNeeded) this.#local.offer();
    };
    return this.#inbox.run(action, 'create-channel', Messages.LABEL);
  }

  /** @param {string} type @param {any} payload */
  handleSignal(type, payload) {
    // If a description is lost, the peer repeats it.
    if (this.#inbox.isFull) return;
    const action = () => this.#handle(type, payload);
    if (type === 'candidate') return this.#inbox.run(action, 'add-candidate', payload);
    const description = `${type} ${findLine(sdpOf(payload), 'o=')}`;
    // The inbox already contains this description.
    if (this.#inbox.busy && description === this.#incomingDescription) return;
    this.#incomingDescription = description;
    return this.#inbox.run(action, 'set-remote-description', payload);
  }

  /** @param {string} type @param {any} payload */
  async #handle(type, payload) {
    try {
      if (type !== 'candidate')
        await this.#handleDescription(type === 'offer' ? type : 'answer', payload);
      else if (payload) await this.#candidates.add(payload, this.#ignoreOffer);
    } catch (error) {
      this.#reportError('negotiation', error);
    }
  }

  /**
   * Repeats a description that may have been lost, and restarts an attempt that has not connected.
   */
  resync() {
    const { signalingState, connectionState, localDescription } = this.connection;
    if (this.#hasAnswered || signalingState === 'have-local-offer') this.#local.send();
    if (signalingState === 'stable' && connectionState !== 'connected') {
      // Restart only after repeating the answer: an impolite peer ignores offers while it waits for
      // an answer.
      if (localDescription) this.connection.restartIce();
      else this.startOffer();
    }
  }

  /** Whether the peer made the last offer and this side has answered the offer. */
  get #hasAnswered() {
    const { signalingState, localDescription } = this.connection;
    return signalingState === 'stable' && localDescription?.type === 'answer';
  }

  close() {
    this.connection.close();
  }

  #handleClosed() {
    if (this.#closed) return;
    this.#closed = true;
    this.#restartTimer.stop();
    this.#messages.close();
    this.#context.trace('connection-state', 'closed');
    this.#context.emit('connection-closed', null);
  }

  /** @param {Description} type @param {DescriptionPayload} [payload] */
  async #handleDescription(type, payload) {
    const sdp = sdpOf(payload);
    const description = { type, sdp };
    const partyline = payload?.partyline;
    const { connection } = this;
    // The answer can arrive together with the welcome, and an offer right after the answer.
    if (this.#settingEarly) await this.#settingEarly;
    const previous = this.#remoteDescription;
    const identity = identify(type, sdp);

    if (previous?.type === type && previous.origin === identity.origin) {
      if (type === 'offer' && this.#hasAnswered) this.#local.send();
      return;
    }
    if (
      previous?.certificate &&
      identity.certificate &&
      previous.certificate !== identity.certificate
    )
      return this.#context.emit('peer-replaced', { ...description, partyline });
    // A description that rejects all sections has no fingerprint.
    identity.certificate ??= previous?.certificate;

    this.#sender = partyline;
    this.streams?.receive(partyline?.streams, false);
    const readyForOffer =
      !this.#local.isMakingOffer &&
      (connection.signalingState === 'stable' || this.#isSettingRemoteAnswerPending);
    const offerCollision = type === 'offer' && !readyForOffer;
    this.#ignoreOffer = offerCollision && !isPoliteTo(this.#context.isPolite(), partyline);
    if (this.#ignoreOffer) {
      this.#context.trace('ignore-offer', description);
      // Repeat our offer, which may have been lost. The polite peer accepts our offer and rolls
      // back its own offer.
      if (connection.signalingState === 'have-local-offer') this.#local.send();
      return;
    }
    const expectsAnswer = connection.signalingState === 'have-local-offer';
    if (type === 'answer' && !expectsAnswer) return; // our offer is no longer pending

    this.#remoteDescription = identity;
    this.#isSettingRemoteAnswerPending = type === 'answer';
    if (type === 'answer' && previous) description.sdp = keepDtlsRoles(sdp, connection);
    try {
      // In glare, this call also rolls back our offer.
      await connection.setRemoteDescription(description);
      this.#context.trace('set-remote-description', description);
    } catch (error) {
      this.#remoteDescription = previous;
      // The browser rejects an offer that contradicts the earlier descriptions. Such an offer
      // belongs to a new connection of the peer.
      if (type === 'offer' && previous && !this.#closed)
        return this.#context.emit('peer-replaced', { ...description, partyline });
      this.#reportError('negotiation', error);
      if (type === 'answer' && !(await this.#takeBackOffer()))
        this.#context.emit('peer-replaced', { ...description, partyline });
      return;
    } finally {
      this.#isSettingRemoteAnswerPending = false;
    }
    for (const candidate of this.#candidates.takePending()) this.#handle('candidate', candidate);
    if (type === 'offer') await this.#local.answer();
  }

  /**
   * Takes back our offer, because its answer cannot be set.
   * @returns {Promise<boolean>} false if the connection is unusable. Chromium keeps some errors of a
   *   description, and then refuses every call.
   */
  async #takeBackOffer() {
    this.#local.postponeOffer();
    // Before the first answer, the offer stays: see `negotiationneeded`.
    if (!this.connection.currentRemoteDescription) return true;
    const rollback = this.connection.setLocalDescription({ type: 'rollback' });
    return rollback.then(
      () => true,
      () => this.#closed || this.connection.signalingState === 'stable',
    );
  }

  /** @param {Description | "candidate"} type @param {unknown} payload */
  #send(type, payload) {
    // Errors of the queue are not limited, and a peer can cause many answers.
    const error = this.#context.checkSize(type, payload);
    if (error) return this.#context.emit('error', error);
    this.#outbox.run(() => this.#context.signal(type, payload), type, payload, 'out');
  }

  #handleState() {
    const { connectionState, signalingState } = this.connection;
    if (signalingState === 'stable') this.#idleTransceivers.update(this.#context.isPolite());
    if (
      connectionState === 'connected' &&
      signalingState === 'stable' &&
      !this.#local.isOfferPostponed
    ) {
      this.#restartTimer.handleSuccess();
    } else {
      this.#restartTimer.schedule();
      if (connectionState === 'failed') this.#restartTimer.handleFailure();
    }
    this.#context.emit('state', null);
  }

  /**
   * Restarts the connection attempt. Returns false if steps are waiting for `pace` or signals for
   * the rate limit, because a restart would only add more of them.
   */
  #restart() {
    const isWaiting = this.#local.isOfferScheduled || this.#inbox.busy || this.#outbox.busy;
    if (isWaiting || this.#context.isSending()) return false;
    const isPostponed = this.#local.isOfferPostponed;
    this.#local.isOfferPostponed = false;
    this.resync();
    if (isPostponed && this.connection.signalingState === 'stable') this.#local.offer();
    return true;
  }

  /** @param {string} code @param {unknown} error */
  #reportError(code, error) {
    // close() makes the browser reject pending calls. These rejections are not errors.
    if (this.#closed) return;
    const message = error instanceof Error ? error.message : String(error);
    this.#context.emit('error', { code, message });
  }
}
