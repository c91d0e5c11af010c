// @ts-check
/**
 * The connection with one other peer: perfect negotiation, candidates, repair, `chat` channel.
 *
 * It does not know how signals travel. What it has to say goes to the `signal` function that it is
 * given, what the other says comes in by `handleSignal`. The negotiation is the W3C's "Perfect
 * Negotiation Example" (https://www.w3.org/TR/webrtc/#perfect-negotiation-example) with its three
 * flags. Around it stands what a line that can be lost needs on top:
 *
 * 1. *A description may be said twice.* Its origin (the `o=` line, RFC 9429 §5.2.2, whose version
 *    grows with every new description) shows the repeat: a repeated offer gets the same answer
 *    again, a repeated answer is dropped. So whoever is in doubt may simply say it once more, and
 *    `resync` does.
 * 2. *A description may come from a stranger*: another page, or another connection, under the same
 *    id. Its certificate shows it, and a connection cannot change its partner. The `stranger` event
 *    hands the description over, so that a new `Peer` can take this one's place.
 * 3. *What does not get connected is tried again*, ever more slowly, as long as the peer is there.
 *
 * Events, all `CustomEvent`: `message` (detail: what the channel brought), `track`
 * (`RTCTrackEvent`), `state` (connection, signaling or channel state changed), `stranger`
 * (`RTCSessionDescriptionInit`), `error` (`{ code, message }`).
 */

/**
 * @typedef {{ id: string, polite: boolean, configuration: RTCConfiguration,
 *   signal: (kind: string, payload: unknown) => boolean }} PeerInit
 * @typedef {{ type: string, origin: string, certificate: string | null }} Heard
 */

const CHANNEL = 'chat';
const QUEUE_MOST = 64; // messages waiting for the channel to open
const EARLY_MOST = 64; // candidates waiting for their description
const REPAIR_FIRST = 8_000; // longer than a sound negotiation takes, shorter than patience
const REPAIR_MOST = 60_000;

export class Peer extends EventTarget {
  /** @readonly */ id;
  /**
   * Whether *we* are the polite one of this pair, who gives way when both offer at once.
   * @type {boolean}
   */
  polite;
  /** @readonly @type {RTCPeerConnection} */ connection;

  #signal;
  #makingOffer = false;
  #ignoreOffer = false;
  #isSettingRemoteAnswerPending = false;
  /**
   * The last description taken from the other side, noted when its setting begins.
   * @type {Heard | null}
   */
  #heard = null;
  /** @type {RTCIceCandidateInit[]} */
  #early = [];
  /**
   * The one that messages go out on. Glare may make two of them, and both are listened to.
   * @type {RTCDataChannel | null}
   */
  #channel = null;
  /** @type {string[]} */
  #queue = [];
  #repairs = 0; // in a row, without success
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #repairTimer;

  /** @param {PeerInit} init */
  constructor({ id, polite, configuration, signal }) {
    super();
    this.id = id;
    this.polite = polite;
    this.#signal = signal;
    this.connection = new RTCPeerConnection(configuration);
    this.connection.onnegotiationneeded = () => this.#makeOffer();
    this.connection.onicecandidate = ({ candidate }) => candidate && signal('candidate', candidate);
    this.connection.ontrack = (event) => this.#emit('track', event);
    this.connection.ondatachannel = ({ channel }) =>
      channel.label === CHANNEL && this.#adopt(channel);
    this.connection.onsignalingstatechange = () => this.#handleState();
    this.connection.onconnectionstatechange = () => this.#handleState();
    this.#watch();
  }

  /** Whether text sent now would be on its way at once. */
  get ready() {
    return this.#channel?.readyState === 'open';
  }

  /** Whether the other side is certainly there: connected, and it has not closed the channel. */
  get working() {
    return (
      this.connection.connectionState === 'connected' && this.#channel?.readyState !== 'closed'
    );
  }

  /**
   * Sends text over the data channel, reliably and in order. Until the channel is open the text
   * waits, up to 64 of them; what waits or is under way when the connection is replaced or ends is
   * lost.
   *
   * @param {string} text
   * @throws {DOMException} `InvalidStateError` if the peer has left, `OperationError` if too much
   *   waits already
   */
  send(text) {
    if (this.connection.signalingState === 'closed') {
      throw new DOMException(`${this.id} has left: nothing can be sent to it`, 'InvalidStateError');
    }
    if (this.#channel?.readyState === 'open') this.#channel.send(text);
    else if (this.#queue.length < QUEUE_MOST) this.#queue.push(text);
    else
      throw new DOMException(
        `${QUEUE_MOST} messages wait for ${this.id} already`,
        'OperationError',
      );
  }

  /** Opens the channel, and so makes the first offer. For who learned of the other by `welcome`. */
  open() {
    this.#adopt(this.connection.createDataChannel(CHANNEL));
  }

  /** @param {string} kind `offer`, `answer` or `candidate` @param {any} payload */
  async handleSignal(kind, payload) {
    try {
      if (kind === 'candidate') await this.#handleCandidate(payload);
      else
        await this.#handleDescription(
          /** @type {"offer" | "answer"} */ (kind),
          String(payload?.sdp ?? ''),
        );
    } catch (error) {
      this.#fail('negotiation', error);
    }
  }

  /**
   * Says again what may not have arrived and starts over what is not connected. For the moment when
   * the signaling line is back; harmless at any other, and without effect on a connection that
   * works.
   */
  resync() {
    const { signalingState, connectionState, localDescription } = this.connection;
    const answered = signalingState === 'stable' && localDescription?.type === 'answer';
    if (answered || signalingState === 'have-local-offer') this.#describe();
    if (signalingState === 'stable' && connectionState !== 'connected') {
      // The answer above goes first: an impolite peer that still waits for it would ignore the new
      // offer.
      if (localDescription) this.connection.restartIce();
      else this.open();
    }
  }

  close() {
    clearTimeout(this.#repairTimer);
    this.connection.close();
    this.#queue = [];
  }

  async #makeOffer() {
    try {
      this.#makingOffer = true;
      await this.connection.setLocalDescription();
      this.#describe();
    } catch (error) {
      this.#fail('negotiation', error);
    } finally {
      this.#makingOffer = false;
    }
  }

  /** @param {"offer" | "answer"} type @param {string} sdp */
  async #handleDescription(type, sdp) {
    const { connection } = this;
    const description = { type, sdp };
    const before = this.#heard;
    const heard = {
      type,
      origin: line(sdp, 'o=') ?? sdp,
      certificate: line(sdp, 'a=fingerprint:'),
    };

    if (before && before.type === type && before.origin === heard.origin) {
      const answered =
        connection.signalingState === 'stable' && connection.localDescription?.type === 'answer';
      if (type === 'offer' && answered) this.#describe();
      return;
    }
    const stranger =
      before?.certificate && heard.certificate && before.certificate !== heard.certificate;
    if (stranger) return this.#emit('stranger', description);

    const readyForOffer =
      !this.#makingOffer &&
      (connection.signalingState === 'stable' || this.#isSettingRemoteAnswerPending);
    const offerCollision = type === 'offer' && !readyForOffer;
    this.#ignoreOffer = !this.polite && offerCollision;
    if (this.#ignoreOffer) {
      // The polite one gives way as soon as it has our offer. Does it? It may have lost its line
      // just then.
      if (connection.signalingState === 'have-local-offer') this.#describe();
      return;
    }
    // An answer to an offer that was withdrawn or has its answer: too late, and no harm.
    if (type === 'answer' && connection.signalingState !== 'have-local-offer') return;

    this.#heard = heard;
    this.#isSettingRemoteAnswerPending = type === 'answer';
    try {
      await connection.setRemoteDescription(description); // rolls an offer of ours back
    } catch (error) {
      this.#heard = before;
      // It does not fit what was agreed before, so it was not made by whom that was agreed with.
      const misfit = type === 'offer' && before && connection.signalingState !== 'closed';
      if (misfit) return this.#emit('stranger', description);
      throw error;
    } finally {
      this.#isSettingRemoteAnswerPending = false;
    }
    for (const candidate of this.#early.splice(0)) this.handleSignal('candidate', candidate);
    if (type === 'offer') {
      await connection.setLocalDescription();
      this.#describe();
    }
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  async #handleCandidate(candidate) {
    if (!candidate) return;
    try {
      if (!this.#heard) throw new DOMException('no description yet', 'InvalidStateError');
      await this.connection.addIceCandidate(candidate);
    } catch (error) {
      if (error instanceof TypeError) throw error; // it is no candidate at all
      // Those of an offer that we ignore are of no use. Others may be ahead of their description.
      if (!this.#ignoreOffer && this.#early.length < EARLY_MOST) this.#early.push(candidate);
    }
  }

  #describe() {
    const description = this.connection.localDescription;
    if (description) this.#signal(description.type, description);
  }

  /** @param {RTCDataChannel} channel */
  #adopt(channel) {
    const handleOpen = () => {
      if (this.#channel?.readyState === 'open') return;
      this.#channel = channel;
      for (const text of this.#queue.splice(0)) {
        try {
          channel.send(text);
        } catch (error) {
          this.#fail('unsent', error); // too large, which only shows now
        }
      }
      this.#emit('state', null);
    };
    channel.onopen = handleOpen;
    channel.onclose = () => this.#emit('state', null);
    channel.onmessage = ({ data }) => this.#emit('message', data);
    if (channel.readyState === 'open') handleOpen();
  }

  #handleState() {
    const { connectionState, signalingState } = this.connection;
    if (connectionState === 'connected' && signalingState === 'stable') {
      this.#repairs = 0;
      clearTimeout(this.#repairTimer);
      this.#repairTimer = undefined;
    } else {
      this.#watch();
      // The first failure is put right at once; what fails again and again waits for its turn.
      if (connectionState === 'failed' && this.#repairs === 0) this.#repair();
    }
    this.#emit('state', null);
  }

  /** Sees to it that what is under way comes to an end. */
  #watch() {
    if (this.#repairTimer !== undefined || this.connection.signalingState === 'closed') return;
    const most = Math.min(REPAIR_MOST, REPAIR_FIRST * 2 ** this.#repairs);
    // The chance in it keeps two peers from meeting in glare at every try.
    this.#repairTimer = setTimeout(() => this.#repair(), most * (0.75 + Math.random() / 2));
  }

  #repair() {
    clearTimeout(this.#repairTimer);
    this.#repairTimer = undefined;
    this.#repairs += 1;
    this.resync();
    this.#watch();
  }

  /** @param {string} code @param {unknown} error */
  #fail(code, error) {
    if (this.connection.signalingState === 'closed') return; // closing fails what is under way
    this.#emit('error', { code, message: error instanceof Error ? error.message : String(error) });
  }

  /** @param {string} type @param {unknown} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * @param {string} sdp
 * @param {string} start
 * @returns {string | null} the first line that starts so
 */
function line(sdp, start) {
  return sdp.split(/\r?\n/).find((text) => text.startsWith(start)) ?? null;
}
