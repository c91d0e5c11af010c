// @ts-check
/**
 * One `RTCPeerConnection`: the W3C's perfect negotiation with its three flags
 * (https://www.w3.org/TR/webrtc/#perfect-negotiation-example), on a line that can be lost:
 *
 * 1. *A description may be said twice*, as its origin (`o=`, RFC 9429 §5.2.2) shows: an offer gets
 *    its answer again, an answer is dropped. So whoever is in doubt says it again.
 * 2. *It may come from a stranger*, a new page or connection of the same id, as its certificate
 *    shows. That takes a new `Peer`.
 * 3. *What does not get connected is tried again*, ever more slowly.
 */

/** @import { Description, Surroundings } from "./parts.d.ts" */

const CHANNEL = 'chat';
const QUEUE_MOST = 64; // messages waiting for the channel to open
const EARLY_MOST = 64; // candidates waiting for their description
const REPAIR_FIRST = 8_000; // a sound negotiation takes less
const REPAIR_MOST = 60_000;

export class Negotiation {
  /** @readonly */ connection;

  #around;
  #inbox;
  #outbox;
  #begun = false; // until it is, nothing is offered: tracks wait
  #opened = false; // ours is the first offer
  #wanted = false; // the browser has asked for an offer
  #planned = false; // one is being made, step by step
  #makingOffer = false;
  #ignoreOffer = false;
  #isSettingRemoteAnswerPending = false;
  /** The last one that we set. @type {{ type: string, origin: string, certificate?: string }=} */
  #heard;
  #coming = ''; // the last description, which may still wait
  /** @type {RTCIceCandidateInit[]} */
  #early = [];
  /** The one to send on: glare may make two. @type {RTCDataChannel=} */
  #channel;
  /** @type {string[]} */
  #queue = [];
  #repairs = 0; // in a row, without success
  /** @type {ReturnType<typeof setTimeout>=} */
  #repairTimer;

  /** @param {Surroundings} around */
  constructor(around) {
    const { configuration, trace, tell, pace } = around;
    this.#around = around;
    this.#inbox = new Lane(pace);
    this.#outbox = new Lane(pace);
    const connection = new RTCPeerConnection(configuration);
    this.connection = connection;
    trace('create-connection', configuration);
    connection.onnegotiationneeded = () => {
      this.#wanted = true;
      // The first offer is for one side to make: in glare, Chromium 156 rolls back its search for
      // candidates as well, and never takes it up again.
      if (this.#begun && (this.#opened || this.#heard)) this.#makeOffer();
    };
    connection.onicecandidate = ({ candidate }) => {
      if (!candidate) return;
      trace('local-candidate', candidate);
      this.#send('candidate', candidate);
    };
    connection.ontrack = (event) => {
      trace('track', event.track);
      tell('track', event);
    };
    connection.ondatachannel = ({ channel }) => channel.label === CHANNEL && this.#adopt(channel);
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

  begin() {
    this.#begun = true;
    this.#watch();
  }

  get ready() {
    return this.#channel?.readyState === 'open';
  }

  get connected() {
    return (
      this.connection.connectionState === 'connected' && this.#channel?.readyState !== 'closed'
    );
  }

  /** It may yet come back without anybody's help. */
  get recoverable() {
    return this.connected || (this.ready && this.connection.connectionState === 'disconnected');
  }

  /** @param {string} text */
  send(text) {
    if (this.connection.signalingState === 'closed') {
      throw new DOMException('the connection is closed: nothing can be sent', 'InvalidStateError');
    }
    if (this.ready) this.#channel?.send(text);
    else if (this.#queue.length < QUEUE_MOST) this.#queue.push(text);
    else throw new DOMException(`${QUEUE_MOST} messages wait already`, 'OperationError');
  }

  /** Offers. */
  open() {
    const act = () => {
      if (this.connection.signalingState === 'closed') return;
      this.#opened = true;
      this.#around.trace('create-channel', CHANNEL);
      this.#adopt(this.connection.createDataChannel(CHANNEL));
      // For a track the browser has asked already, and does not do so twice.
      if (this.#wanted) this.#makeOffer();
    };
    return this.#inbox.run(act, 'create-channel', CHANNEL);
  }

  /** @param {string} type @param {any} payload */
  handleSignal(type, payload) {
    const act = () => this.#handle(type, payload);
    if (type === 'candidate') return this.#inbox.run(act, 'add-candidate', payload);
    const coming = `${type} ${line(String(payload?.sdp), 'o=')}`;
    if (this.#inbox.busy && coming === this.#coming) return; // said again, while it waits
    this.#coming = coming;
    return this.#inbox.run(act, 'set-remote-description', payload);
  }

  /** @param {string} type @param {any} payload */
  async #handle(type, payload) {
    try {
      if (type === 'candidate') await this.#handleCandidate(payload);
      else await this.#handleDescription(type === 'offer' ? type : 'answer', String(payload?.sdp));
    } catch (error) {
      this.#fail('negotiation', error);
    }
  }

  /** Says again what may not have arrived, starts over what is not connected. */
  resync() {
    const { signalingState, connectionState, localDescription } = this.connection;
    if (this.#answered || signalingState === 'have-local-offer') this.#describe();
    if (signalingState === 'stable' && connectionState !== 'connected') {
      // After the answer: an impolite peer that waits for it would ignore an offer.
      if (localDescription) this.connection.restartIce();
      else this.open();
    }
  }

  /** The last offer was theirs, and has our answer. */
  get #answered() {
    const { signalingState, localDescription } = this.connection;
    return signalingState === 'stable' && localDescription?.type === 'answer';
  }

  close() {
    clearTimeout(this.#repairTimer);
    if (this.connection.signalingState !== 'closed')
      this.#around.trace('connection-state', 'closed');
    this.connection.close();
    this.#queue = [];
  }

  async #makeOffer() {
    if (this.#planned) return;
    try {
      const pause = this.#around.pace('create-offer', null);
      if (pause) {
        this.#planned = true;
        const made = await this.#make(pause, 'offer').finally(() => (this.#planned = false));
        if (!made) return;
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
   * Step by step, a description is made first, and then it is the same that the browser sets
   * (https://www.w3.org/TR/webrtc/#dom-peerconnection-setlocaldescription). Gives false if it is
   * not needed any more.
   * @param {Promise<void>} pause
   * @param {Description} type
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
    this.#around.trace(`create-${type}`, description);
    await this.#around.pace('set-local-description', description);
    return due();
  }

  async #setLocal() {
    await this.connection.setLocalDescription();
    const description = this.connection.localDescription;
    if (description) this.#around.trace('set-local-description', description);
    this.#describe();
  }

  /** @param {Description} type @param {string} sdp */
  async #handleDescription(type, sdp) {
    const description = { type, sdp };
    const { connection } = this;
    const before = this.#heard;
    const origin = line(sdp, 'o=') ?? sdp;
    const certificate = line(sdp, 'a=fingerprint:');

    if (before?.type === type && before.origin === origin) {
      if (type === 'offer' && this.#answered) this.#describe();
      return;
    }
    if (before?.certificate && certificate && before.certificate !== certificate)
      return this.#around.tell('stranger', description);

    const readyForOffer =
      !this.#makingOffer &&
      (connection.signalingState === 'stable' || this.#isSettingRemoteAnswerPending);
    const offerCollision = type === 'offer' && !readyForOffer;
    this.#ignoreOffer = !this.#around.isPolite() && offerCollision;
    if (this.#ignoreOffer) {
      this.#around.trace('ignore-offer', description);
      // The polite one gives way if it has our offer, which may have got lost.
      if (connection.signalingState === 'have-local-offer') this.#describe();
      return;
    }
    // Too late, and no harm.
    if (type === 'answer' && connection.signalingState !== 'have-local-offer') return;

    this.#heard = { type, origin, certificate };
    this.#isSettingRemoteAnswerPending = type === 'answer';
    try {
      await connection.setRemoteDescription(description); // rolls an offer of ours back
      this.#around.trace('set-remote-description', description);
    } catch (error) {
      this.#heard = before;
      // What does not fit what was agreed is not from whom that was agreed with.
      const misfit = type === 'offer' && before && connection.signalingState !== 'closed';
      if (misfit) return this.#around.tell('stranger', description);
      throw error;
    } finally {
      this.#isSettingRemoteAnswerPending = false;
    }
    for (const candidate of this.#early.splice(0)) this.#handle('candidate', candidate);
    if (type === 'offer') {
      const pause = this.#around.pace('create-answer', null);
      if (!pause || (await this.#make(pause, 'answer'))) await this.#setLocal();
    }
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  async #handleCandidate(candidate) {
    if (!candidate) return;
    try {
      if (!this.#heard) throw new DOMException('no description yet');
      await this.connection.addIceCandidate(candidate);
      this.#around.trace('add-candidate', candidate);
    } catch (error) {
      if (error instanceof TypeError) throw error; // no candidate at all; else it may be early
      if (this.#ignoreOffer || this.#early.length >= EARLY_MOST) return;
      this.#early.push(candidate);
      this.#around.trace('queue-candidate', candidate);
    }
  }

  #describe() {
    const description = this.connection.localDescription;
    if (description) this.#send(/** @type {Description} */ (description.type), description);
  }

  /** @param {Description | "candidate"} type @param {unknown} payload */
  #send(type, payload) {
    this.#outbox.run(() => this.#around.signal(type, payload), type, payload, 'out');
  }

  /** @param {RTCDataChannel} channel */
  #adopt(channel) {
    const handleOpen = () => {
      if (this.ready) return;
      this.#channel = channel;
      this.#around.trace('channel-state', 'open');
      for (const text of this.#queue.splice(0)) {
        try {
          channel.send(text);
        } catch (error) {
          this.#fail('unsent', error); // too large, which only shows now
        }
      }
      this.#around.tell('state');
    };
    channel.onopen = handleOpen;
    channel.onclose = () => {
      if (channel !== this.#channel) return;
      this.#around.trace('channel-state', 'closed');
      this.#around.tell('state');
      this.#around.tell('end');
    };
    channel.onmessage = ({ data }) => this.#around.tell('message', data);
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
      if (connectionState === 'failed' && this.#repairs === 0) this.#repair();
    }
    this.#around.tell('state');
  }

  #watch() {
    if (!this.#begun || this.#repairTimer !== undefined) return;
    if (this.connection.signalingState === 'closed') return;
    const most = Math.min(REPAIR_MOST, REPAIR_FIRST * 2 ** this.#repairs);
    // By chance, lest two meet in glare at every try.
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
    this.#around.tell('error', {
      code,
      message: error instanceof Error ? error.message : String(error),
    });
  }
}

/** The first line that starts so. @param {string} sdp @param {string} start */
function line(sdp, start) {
  return sdp.split(/\r?\n/).find((text) => text.startsWith(start));
}

/** What comes in or goes out waits: one thing after another, each when the pace lets it. */
class Lane {
  #pace;
  /** @type {Promise<void> | null} */
  #last = null;

  /** @param {Surroundings["pace"]} pace */
  constructor(pace) {
    this.#pace = pace;
  }

  get busy() {
    return this.#last !== null;
  }

  /** @param {() => void | Promise<void>} act @param {Parameters<Surroundings["pace"]>} step */
  run(act, ...step) {
    const turn = this.#last ? this.#last.then(() => this.#pace(...step)) : this.#pace(...step);
    if (!turn) return act();
    const last = turn.then(act).finally(() => {
      if (this.#last === last) this.#last = null;
    });
    this.#last = last;
    return last;
  }
}
