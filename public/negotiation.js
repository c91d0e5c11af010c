// @ts-check
/**
 * One `RTCPeerConnection`: perfect negotiation, candidates, repair, `chat` channel.
 *
 * It does not know how signals travel, nor who asked whom (`peer.js`). What it has to say goes to
 * the `signal` function that it is given, what the other says comes in by `handleSignal`. The
 * negotiation is the W3C's "Perfect Negotiation Example"
 * (https://www.w3.org/TR/webrtc/#perfect-negotiation-example) with its three flags. Around it
 * stands what a line that can be lost needs on top:
 *
 * 1. *A description may be said twice.* Its origin (the `o=` line, RFC 9429 §5.2.2, whose version
 *    grows with every new description) shows the repeat: a repeated offer gets the same answer
 *    again, a repeated answer is dropped. So who is in doubt says it once more, as `resync` does.
 * 2. *A description may come from a stranger*: another page, or another connection, under the same
 *    id. Its certificate shows it, and a connection cannot change its partner. `stranger` hands the
 *    description over, so that a new `Peer` can take this one's place.
 * 3. *What does not get connected is tried again*, ever more slowly, as long as the peer is there.
 * 4. *It may be walked through step by step*: no more than a very slow line. What comes in and goes
 *    out waits in order, and is looked at anew when its turn comes.
 *
 * What it `tell`s: `message` (what the channel brought), `track` (`RTCTrackEvent`), `state`
 * (connection, signaling or channel state changed), `stranger` (`RTCSessionDescriptionInit`), `end`
 * (the other side closed the channel), `error` (`{ code, message }`).
 */

import { Lane } from './pace.js';

/**
 * @typedef {import("./room.js").Doings} Doings
 * @typedef {import("./pace.js").Pace} Pace
 *
 * @typedef {<K extends keyof Doings>(kind: K, payload: Doings[K]) => void} TraceDoing
 *
 * @typedef {object} NegotiationInit
 * @property {RTCConfiguration} configuration
 * @property {() => boolean} isPolite
 * @property {(kind: Description | "candidate", payload: unknown) => void} signal
 * @property {(type: string, detail: any) => void} tell
 * @property {TraceDoing} trace
 * @property {Pace} pace
 *
 * @typedef {"offer" | "answer"} Description
 * @typedef {{ type: string, origin: string, certificate: string | null }} Heard
 */

const CHANNEL = 'chat';
const QUEUE_MOST = 64; // messages waiting for the channel to open
const EARLY_MOST = 64; // candidates waiting for their description
const REPAIR_FIRST = 8_000; // longer than a sound negotiation takes, shorter than patience
const REPAIR_MOST = 60_000;

export class Negotiation {
  /** @readonly @type {RTCPeerConnection} */ connection;

  #isPolite;
  #signal;
  #tell;
  #trace;
  #pace;
  #inbox;
  #outbox;
  /** Until it is, nothing is offered: tracks wait. */
  #begun = false;
  #wanted = false; // the browser has asked for an offer
  #planned = false; // one is being made, step by step
  #makingOffer = false;
  #ignoreOffer = false;
  #isSettingRemoteAnswerPending = false;
  /**
   * The last description taken from the other side, noted when its setting begins.
   * @type {Heard | null}
   */
  #heard = null;
  #coming = ''; // the last that came in, and may still wait
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

  /** @param {NegotiationInit} init */
  constructor({ configuration, isPolite, signal, tell, trace, pace }) {
    this.#isPolite = isPolite;
    this.#signal = signal;
    this.#tell = tell;
    this.#trace = trace;
    this.#pace = pace;
    this.#inbox = new Lane(pace);
    this.#outbox = new Lane(pace);
    const connection = new RTCPeerConnection(configuration);
    this.connection = connection;
    trace('create-connection', configuration);
    connection.onnegotiationneeded = () => {
      this.#wanted = true;
      if (this.#begun) this.#makeOffer();
    };
    connection.onicecandidate = ({ candidate }) => {
      if (!candidate) return;
      trace('gather', candidate);
      this.#send('candidate', candidate);
    };
    connection.ontrack = (event) => {
      trace('track', event.track);
      tell('track', event);
    };
    connection.ondatachannel = ({ channel }) => channel.label === CHANNEL && this.#adopt(channel);
    connection.oniceconnectionstatechange = () => trace('ice', connection.iceConnectionState);
    connection.onicegatheringstatechange = () => trace('gathering', connection.iceGatheringState);
    connection.onsignalingstatechange = () => {
      trace('signaling', connection.signalingState);
      this.#handleState();
    };
    connection.onconnectionstatechange = () => {
      trace('connection', connection.connectionState);
      this.#handleState();
    };
  }

  /** From now on it negotiates, and is seen through to the end. */
  begin() {
    this.#begun = true;
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

  /** Whether it works, or has only just stopped and may yet come back without anybody's help. */
  get lasting() {
    return this.working || (this.ready && this.connection.connectionState === 'disconnected');
  }

  /** As `Peer.send`. @param {string} text */
  send(text) {
    if (this.connection.signalingState === 'closed') {
      throw new DOMException('the connection is closed: nothing can be sent', 'InvalidStateError');
    }
    if (this.#channel?.readyState === 'open') this.#channel.send(text);
    else if (this.#queue.length < QUEUE_MOST) this.#queue.push(text);
    else throw new DOMException(`${QUEUE_MOST} messages wait already`, 'OperationError');
  }

  /** Opens the channel, and so makes the first offer. */
  open() {
    return this.#inbox.run('create-channel', CHANNEL, () => {
      if (this.connection.signalingState === 'closed') return;
      this.#trace('create-channel', CHANNEL);
      this.#adopt(this.connection.createDataChannel(CHANNEL));
      // Before `begin` the browser has asked already, and does not do so twice.
      if (this.#wanted) this.#makeOffer();
    });
  }

  /** @param {string} kind `offer`, `answer` or `candidate` @param {any} payload */
  handleSignal(kind, payload) {
    if (kind === 'candidate') {
      return this.#inbox.run('add-candidate', payload, () => this.#handle(kind, payload));
    }
    const coming = `${kind} ${line(String(payload?.sdp), 'o=')}`;
    if (this.#inbox.busy && coming === this.#coming) return; // said again, while it waits
    this.#coming = coming;
    return this.#inbox.run('set-remote-description', payload, () => this.#handle(kind, payload));
  }

  /** @param {string} kind @param {any} payload */
  async #handle(kind, payload) {
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
    if (this.connection.signalingState !== 'closed') this.#trace('connection', 'closed');
    this.connection.close(); // which is no event to the one who calls it
    this.#queue = [];
  }

  async #makeOffer() {
    if (this.#planned) return;
    try {
      const pause = this.#pace('create-offer', null);
      if (pause) {
        this.#planned = true;
        const made = await this.#make(pause, 'offer').finally(() => (this.#planned = false));
        if (!made) return; // the other was quicker; the browser asks again if it is still needed
      }
      this.#wanted = false;
      this.#makingOffer = true;
      await this.#setLocal();
    } catch (error) {
      this.#fail('negotiation', error);
    } finally {
      this.#makingOffer = false;
    }
  }

  /**
   * Step by step, a description is made first and set later; otherwise the browser does both in one
   * call. What it makes when it is then told to set one is the very same, unless that is out of
   * date (https://www.w3.org/TR/webrtc/#dom-peerconnection-setlocaldescription).
   *
   * @param {Promise<void>} pause
   * @param {Description} type
   * @returns {Promise<boolean>} false if it has become pointless
   */
  async #make(pause, type) {
    const { connection } = this;
    const due = () =>
      connection.signalingState === (type === 'offer' ? 'stable' : 'have-remote-offer');
    await pause;
    if (!due()) return false;
    const description = await (type === 'offer'
      ? connection.createOffer()
      : connection.createAnswer());
    this.#trace(`create-${type}`, description);
    await this.#pace('set-local-description', description);
    return due();
  }

  async #setLocal() {
    await this.connection.setLocalDescription();
    const description = this.connection.localDescription;
    if (description) this.#trace('set-local-description', description);
    this.#describe();
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
    if (stranger) return this.#tell('stranger', description);

    const readyForOffer =
      !this.#makingOffer &&
      (connection.signalingState === 'stable' || this.#isSettingRemoteAnswerPending);
    const offerCollision = type === 'offer' && !readyForOffer;
    this.#ignoreOffer = !this.#isPolite() && offerCollision;
    if (this.#ignoreOffer) {
      this.#trace('ignore-offer', description);
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
      this.#trace('set-remote-description', description);
    } catch (error) {
      this.#heard = before;
      // It does not fit what was agreed before, so it was not made by whom that was agreed with.
      const misfit = type === 'offer' && before && connection.signalingState !== 'closed';
      if (misfit) return this.#tell('stranger', description);
      throw error;
    } finally {
      this.#isSettingRemoteAnswerPending = false;
    }
    for (const candidate of this.#early.splice(0)) this.#handle('candidate', candidate);
    if (type === 'offer') {
      const pause = this.#pace('create-answer', null);
      if (!pause || (await this.#make(pause, 'answer'))) await this.#setLocal();
    }
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  async #handleCandidate(candidate) {
    if (!candidate) return;
    try {
      if (!this.#heard) throw new DOMException('no description yet', 'InvalidStateError');
      await this.connection.addIceCandidate(candidate);
      this.#trace('add-candidate', candidate);
    } catch (error) {
      if (error instanceof TypeError) throw error; // it is no candidate at all
      // Those of an offer that we ignore are of no use. Others may be ahead of their description.
      if (this.#ignoreOffer || this.#early.length >= EARLY_MOST) return;
      this.#early.push(candidate);
      this.#trace('keep-candidate', candidate);
    }
  }

  #describe() {
    const description = this.connection.localDescription;
    if (description) this.#send(/** @type {Description} */ (description.type), description);
  }

  /** @param {Description | "candidate"} kind @param {unknown} payload */
  #send(kind, payload) {
    this.#outbox.run(kind, payload, () => this.#signal(kind, payload), 'out');
  }

  /** @param {RTCDataChannel} channel */
  #adopt(channel) {
    const handleOpen = () => {
      if (this.#channel?.readyState === 'open') return;
      this.#channel = channel;
      this.#trace('channel', 'open');
      for (const text of this.#queue.splice(0)) {
        try {
          channel.send(text);
        } catch (error) {
          this.#fail('unsent', error); // too large, which only shows now
        }
      }
      this.#tell('state', null);
    };
    channel.onopen = handleOpen;
    channel.onclose = () => {
      if (channel !== this.#channel) return;
      this.#trace('channel', 'closed');
      this.#tell('state', null);
      this.#tell('end', null);
    };
    channel.onmessage = ({ data }) => this.#tell('message', data);
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
    this.#tell('state', null);
  }

  /** Sees to it that what is under way comes to an end. */
  #watch() {
    if (!this.#begun || this.#repairTimer !== undefined) return;
    if (this.connection.signalingState === 'closed') return;
    const most = Math.min(REPAIR_MOST, REPAIR_FIRST * 2 ** this.#repairs);
    // The chance in it keeps two peers from meeting in glare at every try.
    this.#repairTimer = setTimeout(() => this.#repair(), most * (0.75 + Math.random() / 2));
  }

  #repair() {
    clearTimeout(this.#repairTimer);
    this.#repairTimer = undefined;
    const waiting = this.#planned || this.#inbox.busy || this.#outbox.busy; // for somebody's click
    if (!waiting) {
      this.#repairs += 1;
      this.resync();
    }
    this.#watch();
  }

  /** @param {string} code @param {unknown} error */
  #fail(code, error) {
    if (this.connection.signalingState === 'closed') return; // closing fails what is under way
    this.#tell('error', { code, message: error instanceof Error ? error.message : String(error) });
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
