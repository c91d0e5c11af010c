// @ts-check
/**
 * Clients that run in a page and implement the seed documents without the library. Each client
 * writes a log for the test. The log contains sent frames (`> `), received frames (`< `), HTTP
 * responses (`= `) and events of the peer connections.
 *
 * This file has no imports, because a test serves no other file of this folder to the page.
 */

/**
 * @typedef {object} Link
 * @property {RTCPeerConnection} connection
 * @property {RTCDataChannel} channel the channel for sending
 * @property {(RTCIceCandidateInit | null)[]} early candidates that arrived before the description
 */

/** The base class of all clients. It creates the peer connections and handles signals. */
class Device {
  /** @type {string[]} */
  log = [];
  /** @type {Map<string, Link>} */
  links = new Map();
  turn = Promise.resolve();
  /** @type {RTCConfiguration} */
  configuration = {};
  /** The media stream that is sent to every peer. @type {MediaStream | undefined} */
  stream;

  /** @param {string} room @param {string} [id] */
  constructor(room, id = '') {
    this.room = room;
    this.id = id;
  }

  /** @param {string} _type @param {string} _to @param {unknown} _payload */
  signal(_type, _to, _payload) {}

  /** @param {string} id */
  link(id) {
    const connection = new RTCPeerConnection(this.configuration);
    const channel = connection.createDataChannel('chat');
    channel.onopen = () => this.log.push(`open ${id}`);
    channel.onmessage = ({ data }) => this.log.push(`message ${id} ${data} (on our channel)`);
    connection.ondatachannel = ({ channel }) => {
      channel.onmessage = ({ data }) => this.log.push(`message ${id} ${data}`);
    };
    connection.ontrack = ({ track }) => this.log.push(`track ${id} ${track.kind}`);
    connection.onicecandidate = ({ candidate }) => this.signal('candidate', id, candidate);
    const { stream } = this;
    if (stream) stream.getTracks().forEach((track) => connection.addTrack(track, stream));
    const link = { connection, channel, early: [] };
    this.links.set(id, link);
    return link;
  }

  /**
   * Makes an offer after all earlier signals have been handled. Otherwise the other side's offer could
   * be handled between the creation and the use of this offer.
   * @param {string} id
   */
  request(id) {
    this.turn = this.turn.then(() => this.offer(id));
    return this.turn;
  }

  /** @param {string} id */
  async offer(id) {
    const { connection } = this.link(id);
    const offer = await connection.createOffer();
    await connection.setLocalDescription(offer);
    this.signal('offer', id, offer);
  }

  /**
   * Handles a signal after all earlier signals have been handled.
   * @param {string} type
   * @param {string} from
   * @param {any} payload
   */
  handle(type, from, payload) {
    this.turn = this.turn.then(() => this.take(type, from, payload));
    return this.turn;
  }

  /** @param {string} type @param {string} from @param {any} payload */
  async take(type, from, payload) {
    const { connection, early } = this.takeBack(type, from) ?? this.link(from);
    if (type === 'candidate') {
      if (connection.remoteDescription) await connection.addIceCandidate(payload);
      else early.push(payload);
      return;
    }
    await connection.setRemoteDescription(payload);
    for (const candidate of early.splice(0)) await connection.addIceCandidate(candidate);
    if (type === 'offer') {
      const answer = await connection.createAnswer();
      await connection.setLocalDescription(answer);
      this.signal('answer', from, answer);
    }
  }

  /**
   * Returns the existing link. If both sides have sent an offer, replaces the link instead of
   * rolling the offer back: after a rollback, Chromium 156 never gathers candidates again.
   * @param {string} type
   * @param {string} from
   */
  takeBack(type, from) {
    const link = this.links.get(from);
    if (type !== 'offer' || link?.connection.signalingState !== 'have-local-offer') return link;
    link.connection.onicecandidate = null;
    return Object.assign(this.link(from), { early: link.early });
  }

  /** @param {string} id @param {string} text */
  send(id, text) {
    this.links.get(id)?.channel.send(text);
  }
}

/**
 * A WebSocket client that ignores received frames, and sends only what the test sends. By default,
 * it uses the native dialect.
 */
export class Plain extends Device {
  /** @param {string} room @param {string} [id] @param {string} [dialect] */
  constructor(room, id, dialect = 'native') {
    super(room, id);
    const url = new URL(`/parties/main/${room}?dialect=${dialect}`, location.href);
    url.protocol = 'ws:';
    if (id) url.searchParams.set('_pk', id);
    this.socket = new WebSocket(url);
    this.socket.onmessage = ({ data }) => {
      this.log.push(`< ${data}`);
      this.receiveFrame(JSON.parse(data));
    };
  }

  /** @param {any} _frame */
  receiveFrame(_frame) {}

  /** @param {object} frame */
  sendFrame(frame) {
    const text = JSON.stringify(frame);
    this.log.push(`> ${text}`);
    this.socket.send(text);
  }

  /** Closes the WebSocket. Resolves when the server has closed it, too. @returns {Promise<void>} */
  leave() {
    return new Promise((resolve) => {
      this.socket.onclose = () => resolve();
      this.socket.close();
    });
  }
}

/**
 * A client of document 000. It sends an offer to each peer in the room, and answers every offer.
 */
export class Forum extends Plain {
  /** @param {string} room @param {string} [id] */
  constructor(room, id) {
    super(room, id, 'forum');
  }

  /** @override @param {string} type @param {string} toPeerId @param {unknown} payload */
  signal(type, toPeerId, payload) {
    const action = `forward-${type === 'candidate' ? 'icecandidate' : type}`;
    this.sendFrame({ action, [type]: payload, toPeerId });
  }

  /** @override @param {any} frame */
  receiveFrame(frame) {
    const { type, fromPeerId } = frame;
    if (type === 'connected-peers') for (const id of frame.peerIds) this.request(id);
    if (!fromPeerId) return;
    const signal = type === 'icecandidate' ? 'candidate' : type;
    this.handle(signal, fromPeerId, frame[signal]);
  }
}

/**
 * A client of document 001. `request` stands for the user's click that requests a connection, and
 * `accept` for the click that accepts a request.
 */
export class Lobby extends Plain {
  /** @type {Map<string, unknown>} */
  offers = new Map();

  /** @param {string} room @param {string} [id] */
  constructor(room, id) {
    super(room, id, 'lobby');
  }

  /**
   * Sends only descriptions, as the document requires. A description is sent after gathering is
   * complete, so that it contains "all the data that the other needs".
   *
   * @override
   * @param {string} type @param {string} toId @param {unknown} payload
   */
  signal(type, toId, payload) {
    const description = this.links.get(toId)?.connection.localDescription;
    const complete = type === 'candidate' && payload === null;
    if (complete && description)
      this.sendFrame({ toId, fromId: this.id, [description.type]: description });
  }

  /** @override @param {any} frame */
  receiveFrame({ kind, id, fromId, offer, answer, candidate }) {
    if (kind === 'self-connected') this.id = id;
    if (offer) this.offers.set(fromId, offer);
    if (answer) this.handle('answer', fromId, answer);
    if (candidate) this.handle('candidate', fromId, candidate);
  }

  /** @param {string} id */
  accept(id) {
    return this.handle('offer', id, this.offers.get(id));
  }
}

/** A device of document 004, "using SSE". It sends an offer to every new peer. */
export class Http extends Device {
  /**
   * Settles after the last request. Each request waits for the previous request, because concurrent
   * requests may be reordered.
   */
  #posted = Promise.resolve();

  async findServers() {
    const response = await fetch('/iceServers');
    const servers = await response.json();
    this.configuration = { iceServers: [servers] };
    return servers;
  }

  register() {
    return this.post('register');
  }

  listen() {
    this.events = new EventSource(`/events/${this.room}/${this.id}`);
    this.events.onmessage = ({ data }) => {
      this.log.push(`< ${data}`);
      this.receiveFrame(JSON.parse(data));
    };
  }

  /** @override @param {string} signal @param {string} target @param {unknown} payload */
  signal(signal, target, payload) {
    const type = signal === 'candidate' ? 'ice-candidate' : signal;
    this.#posted = this.#posted.then(() => this.post('message', { target, type, payload }));
  }

  /** @param {any} event */
  receiveFrame({ type, senderId, payload }) {
    if (type === 'new-peer') this.request(senderId);
    const signal = type === 'ice-candidate' ? 'candidate' : type;
    if (['offer', 'answer', 'candidate'].includes(signal)) this.handle(signal, senderId, payload);
  }

  /** @param {string} what @param {object} [message] */
  async post(what, message) {
    const body = message && JSON.stringify(message);
    this.log.push(`> ${body ?? what}`);
    const response = await fetch(`/${what}/${this.room}/${this.id}`, { method: 'POST', body });
    this.log.push(`= ${response.status} ${await response.text()}`);
  }
}

/**
 * A peer of document 003, which implements perfect negotiation (WebRTC 1.0, section 10.7). The
 * server decides which peer is polite.
 */
export class Perfect extends Plain {
  #makingOffer = false;
  #ignoreOffer = false;
  #settingAnswer = false;

  /** @override @param {string} type @param {string} to @param {unknown} payload */
  signal(type, to, payload) {
    this.sendFrame({ type, to, payload });
  }

  /** @override @param {any} frame */
  async receiveFrame({ type, id, peers, polite, from, payload }) {
    if (type === 'welcome') for (const peer of peers) this.meet(peer.id, peer.polite, true);
    else if (type === 'peer-joined') this.meet(id, polite, false);
    else if (['offer', 'answer'].includes(type)) await this.describe(from, payload);
    else if (type === 'candidate') {
      try {
        await this.peer?.addIceCandidate(payload);
      } catch (error) {
        if (!this.#ignoreOffer) throw error;
      }
    }
  }

  /** @param {string} id @param {boolean} polite @param {boolean} first */
  meet(id, polite, first) {
    this.polite = polite;
    const peer = (this.peer = new RTCPeerConnection());
    peer.onicecandidate = ({ candidate }) => this.signal('candidate', id, candidate);
    peer.ontrack = ({ track }) => this.log.push(`track ${id} ${track.kind}`);
    peer.onnegotiationneeded = async () => {
      this.#makingOffer = true;
      await peer.setLocalDescription();
      this.#makingOffer = false;
      this.signal(peer.localDescription?.type ?? '', id, peer.localDescription);
    };
    peer.onsignalingstatechange = () => this.log.push(`state ${peer.signalingState}`);
    peer.ondatachannel = ({ channel }) => this.#use(channel, id);
    if (first) this.#use(peer.createDataChannel('chat'), id);
  }

  /** @param {string} from @param {any} description */
  async describe(from, description) {
    const { peer } = this;
    if (!peer) return;
    const offered = description.type === 'offer';
    const stable = peer.signalingState === 'stable' || this.#settingAnswer;
    this.#ignoreOffer = offered && !this.polite && (this.#makingOffer || !stable);
    if (this.#ignoreOffer) return;
    this.#settingAnswer = !offered;
    await peer.setRemoteDescription(description);
    this.#settingAnswer = false;
    if (!offered) return;
    await peer.setLocalDescription();
    this.signal('answer', from, peer.localDescription);
  }

  /** @param {RTCDataChannel} channel @param {string} id */
  #use(channel, id) {
    this.channel = channel;
    channel.onmessage = ({ data }) => this.log.push(`message ${id} ${data}`);
    const opened = () => this.log.push(`open ${id}`);
    if (channel.readyState === 'open') opened();
    else channel.onopen = opened;
  }
}
