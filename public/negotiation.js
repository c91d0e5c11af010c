// @ts-check
/**
 * One `RTCPeerConnection`, with perfect negotiation as in the WebRTC specification
 * (https://www.w3.org/TR/webrtc/#perfect-negotiation-example). Three rules are added, because
 * signals can get lost:
 *
 * 1. *Descriptions may be repeated.* The origin (`o=`, RFC 9429 §5.2.2) identifies a description. A
 *    repeated offer is answered with the same answer, and a repeated answer is ignored. So a peer
 *    that does not know whether its description arrived sends the description again.
 * 2. *A peer can be replaced* by a new page or connection with the same id. The certificate in the
 *    description then differs, and the room creates a new `Peer`.
 * 3. *A failed connection attempt is restarted*, with increasing delays.
 */

import { ChannelQueue } from './channel-queue.js';
import { RestartTimer } from './restart-timer.js';
import { StepQueue } from './step-queue.js';

/**
 * @import { Description, PeerContext } from "./parts.d.ts"
 *
 * The type and the SDP lines that identify a description.
 * @typedef {{ type: Description, origin: string, certificate?: string }} Identity
 */

const CHANNEL_LABEL = 'chat';
const MAX_PENDING_CANDIDATES = 64;

export class Negotiation {
  /** @readonly */ connection;

  #context;
  #inbox;
  #outbox;
  #channel;
  #restartTimer;
  #started = false; // before start(), tracks can be added, but no offer is made
  #madeFirstOffer = false;
  #negotiationNeeded = false; // `negotiationneeded` has fired since the last offer
  #offerScheduled = false; // an offer is waiting for `pace`
  #makingOffer = false;
  #ignoreOffer = false;
  #isSettingRemoteAnswerPending = false;
  /** The identity of the current remote description. @type {Identity=} */
  #remoteDescription;
  /** The type and origin of the last description that was added to the inbox. */
  #incomingDescription = '';
  /** Candidates that arrived before their description. @type {RTCIceCandidateInit[]} */
  #pendingCandidates = [];

  /** @param {PeerContext} context */
  constructor(context) {
    const { configuration, trace, emit, pace } = context;
    const connection = new RTCPeerConnection(configuration);
    this.connection = connection;
    this.#context = context;
    this.#inbox = new StepQueue(pace);
    this.#outbox = new StepQueue(pace);
    this.#channel = new ChannelQueue(context, (error) => this.#reportError('unsent', error));
    this.#restartTimer = new RestartTimer(
      () => this.#restart(),
      () => this.#started && connection.signalingState !== 'closed',
    );
    trace('create-connection', configuration);
    connection.onnegotiationneeded = () => {
      this.#negotiationNeeded = true;
      // Only one side makes the first offer, which avoids glare: in Chromium 156, a rollback also
      // stops candidate gathering, and the browser never resumes it.
      if (this.#started && (this.#madeFirstOffer || this.#remoteDescription)) this.#makeOffer();
    };
    connection.onicecandidate = ({ candidate }) => {
      if (!candidate) return;
      trace('local-candidate', candidate);
      this.#send('candidate', candidate);
    };
    connection.ontrack = (event) => {
      trace('track', event.track);
      emit('track', event);
    };
    connection.ondatachannel = ({ channel }) =>
      channel.label === CHANNEL_LABEL && this.#channel.attach(channel);
    connection.oniceconnectionstatechange = () =>
      trace('ice-connection-state', connection.iceConnectionState);
    connection.onicegatheringstatechange = () =>
      trace('ice-gathering-state', connection.iceGatheringState);
    connection.onsignalingstatechange = () => {
      trace('signaling-state', connection.signalingState);
      this.#handleState();
    };
    connection.onconnectionstatechange = () => {
      trace('connection-state', connection.connectionState);
      this.#handleState();
    };
  }

  /** Enables offers and automatic restarts. */
  start() {
    this.#started = true;
    this.#restartTimer.schedule();
  }

  get ready() {
    return this.#channel.isOpen;
  }

  get connected() {
    return this.connection.connectionState === 'connected' && !this.#channel.isClosed;
  }

  /** Whether the peer is connected, or ICE may reconnect without the signaling server. */
  get recoverable() {
    return this.connected || (this.ready && this.connection.connectionState === 'disconnected');
  }

  /** @param {string} text */
  send(text) {
    if (this.connection.signalingState === 'closed') {
      throw new DOMException(
        'the connection with this peer is closed: send() needs a peer that is in room.peers',
        'InvalidStateError',
      );
    }
    this.#channel.send(text);
  }

  /** Creates the data channel, for which the browser requests the first offer. */
  startOffer() {
    const action = () => {
      if (this.connection.signalingState === 'closed') return;
      this.#madeFirstOffer = true;
      this.#context.trace('create-channel', CHANNEL_LABEL);
      this.#channel.attach(this.connection.createDataChannel(CHANNEL_LABEL));
      // If a track was added before, `negotiationneeded` has already fired, and does not fire
      // again.
      if (this.#negotiationNeeded) this.#makeOffer();
    };
    return this.#inbox.run(action, 'create-channel', CHANNEL_LABEL);
  }

  /** @param {string} type @param {any} payload */
  handleSignal(type, payload) {
    const action = () => this.#handle(type, payload);
    if (type === 'candidate') return this.#inbox.run(action, 'add-candidate', payload);
    const description = `${type} ${findLine(String(payload?.sdp), 'o=')}`;
    // The inbox already contains this description.
    if (this.#inbox.busy && description === this.#incomingDescription) return;
    this.#incomingDescription = description;
    return this.#inbox.run(action, 'set-remote-description', payload);
  }

  /** @param {string} type @param {any} payload */
  async #handle(type, payload) {
    try {
      if (type === 'candidate') await this.#handleCandidate(payload);
      else await this.#handleDescription(type === 'offer' ? type : 'answer', String(payload?.sdp));
    } catch (error) {
      this.#reportError('negotiation', error);
    }
  }

  /**
   * Repeats a description that may have been lost, and restarts an attempt that has not connected.
   */
  resync() {
    const { signalingState, connectionState, localDescription } = this.connection;
    if (this.#hasAnswered || signalingState === 'have-local-offer') this.#sendLocalDescription();
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
    this.#restartTimer.stop();
    if (this.connection.signalingState !== 'closed')
      this.#context.trace('connection-state', 'closed');
    this.connection.close();
    this.#channel.clear();
  }

  async #makeOffer() {
    if (this.#offerScheduled) return;
    try {
      const pause = this.#context.pace('create-offer', null);
      if (pause) {
        this.#offerScheduled = true;
        const created = await this.#createDescription(pause, 'offer').finally(
          () => (this.#offerScheduled = false),
        );
        if (!created) return;
      }
      this.#negotiationNeeded = false;
      this.#makingOffer = true;
      await this.#setLocalDescription();
    } catch (error) {
      this.#reportError('negotiation', error);
    } finally {
      this.#makingOffer = false;
    }
  }

  /**
   * Creates and traces a description as a separate step for `pace`. Afterwards,
   * `setLocalDescription()` without an argument sets the same description
   * (https://www.w3.org/TR/webrtc/#dom-peerconnection-setlocaldescription).
   * @param {Promise<void>} pause
   * @param {Description} type
   * @returns {Promise<boolean>} false if the description is no longer needed
   */
  async #createDescription(pause, type) {
    const { connection } = this;
    const isNeeded = () =>
      connection.signalingState === (type === 'offer' ? 'stable' : 'have-remote-offer');
    await pause;
    if (!isNeeded()) return false;
    const description = await (type === 'offer'
      ? connection.createOffer()
      : connection.createAnswer());
    this.#context.trace(`create-${type}`, description);
    await this.#context.pace('set-local-description', description);
    return isNeeded();
  }

  async #setLocalDescription() {
    await this.connection.setLocalDescription();
    const description = this.connection.localDescription;
    if (description) this.#context.trace('set-local-description', description);
    this.#sendLocalDescription();
  }

  /** @param {Description} type @param {string} sdp */
  async #handleDescription(type, sdp) {
    const description = { type, sdp };
    const { connection } = this;
    const previous = this.#remoteDescription;
    const identity = identify(type, sdp);

    if (previous?.type === type && previous.origin === identity.origin) {
      if (type === 'offer' && this.#hasAnswered) this.#sendLocalDescription();
      return;
    }
    if (
      previous?.certificate &&
      identity.certificate &&
      previous.certificate !== identity.certificate
    )
      return this.#context.emit('peer-replaced', description);

    const readyForOffer =
      !this.#makingOffer &&
      (connection.signalingState === 'stable' || this.#isSettingRemoteAnswerPending);
    const offerCollision = type === 'offer' && !readyForOffer;
    this.#ignoreOffer = !this.#context.isPolite() && offerCollision;
    if (this.#ignoreOffer) {
      this.#context.trace('ignore-offer', description);
      // Repeat our offer, which may have been lost. The polite peer accepts our offer and rolls
      // back its own offer.
      if (connection.signalingState === 'have-local-offer') this.#sendLocalDescription();
      return;
    }
    const expectsAnswer = connection.signalingState === 'have-local-offer';
    if (type === 'answer' && !expectsAnswer) return; // our offer is no longer pending

    this.#remoteDescription = identity;
    this.#isSettingRemoteAnswerPending = type === 'answer';
    try {
      // In glare, this call also rolls back our offer.
      await connection.setRemoteDescription(description);
      this.#context.trace('set-remote-description', description);
    } catch (error) {
      this.#remoteDescription = previous;
      // The browser rejects an offer that contradicts the earlier descriptions. Such an offer
      // belongs to a new connection of the peer.
      const isOpen = connection.signalingState !== 'closed';
      if (type === 'offer' && previous && isOpen)
        return this.#context.emit('peer-replaced', description);
      throw error;
    } finally {
      this.#isSettingRemoteAnswerPending = false;
    }
    for (const candidate of this.#pendingCandidates.splice(0)) this.#handle('candidate', candidate);
    if (type === 'offer') await this.#answer();
  }

  async #answer() {
    const pause = this.#context.pace('create-answer', null);
    if (!pause || (await this.#createDescription(pause, 'answer')))
      await this.#setLocalDescription();
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  async #handleCandidate(candidate) {
    if (!candidate) return;
    if (!this.#remoteDescription) return this.#queueCandidate(candidate);
    try {
      await this.connection.addIceCandidate(candidate);
      this.#context.trace('add-candidate', candidate);
    } catch (error) {
      if (error instanceof TypeError) throw error; // the payload is not a candidate
      this.#queueCandidate(candidate); // the description has probably not arrived yet
    }
  }

  /** @param {RTCIceCandidateInit} candidate */
  #queueCandidate(candidate) {
    if (this.#ignoreOffer || this.#pendingCandidates.length >= MAX_PENDING_CANDIDATES) return;
    this.#pendingCandidates.push(candidate);
    this.#context.trace('queue-candidate', candidate);
  }

  #sendLocalDescription() {
    const description = this.connection.localDescription;
    if (description) this.#send(/** @type {Description} */ (description.type), description);
  }

  /** @param {Description | "candidate"} type @param {unknown} payload */
  #send(type, payload) {
    this.#outbox.run(() => this.#context.signal(type, payload), type, payload, 'out');
  }

  #handleState() {
    const { connectionState, signalingState } = this.connection;
    if (connectionState === 'connected' && signalingState === 'stable') {
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
    const isWaiting = this.#offerScheduled || this.#inbox.busy || this.#outbox.busy;
    if (isWaiting || this.#context.isSending()) return false;
    this.resync();
    return true;
  }

  /** @param {string} code @param {unknown} error */
  #reportError(code, error) {
    // close() makes the browser reject pending calls. These rejections are not errors.
    if (this.connection.signalingState === 'closed') return;
    const message = error instanceof Error ? error.message : String(error);
    this.#context.emit('error', { code, message });
  }
}

/** @param {Description} type @param {string} sdp @returns {Identity} */
function identify(type, sdp) {
  return {
    type,
    origin: findLine(sdp, 'o=') ?? sdp,
    certificate: findLine(sdp, 'a=fingerprint:'),
  };
}

/** Returns the first line that starts with `prefix`. @param {string} sdp @param {string} prefix */
export function findLine(sdp, prefix) {
  return sdp.split(/\r?\n/).find((text) => text.startsWith(prefix));
}
