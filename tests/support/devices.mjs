// @ts-check
/**
 * Clients that run in a page, as the documents describe them: a line to the server, connections,
 * and nothing of ours. Each keeps a log for the test: `> ` and what it said, `< ` and what it
 * heard, both as they were, `= ` and what a request was answered, and what became of its
 * connections.
 *
 * The page itself imports this file, which therefore imports nothing.
 */

/**
 * @typedef {object} Link
 * @property {RTCPeerConnection} connection
 * @property {RTCDataChannel} channel the one that this side sends on
 * @property {(RTCIceCandidateInit | null)[]} early candidates that came before their description
 */

/** What they have in common: how two connect, once either can say something to the other. */
class Device {
  /** @type {string[]} */
  log = [];
  /** @type {Map<string, Link>} */
  links = new Map();
  turn = Promise.resolve();
  /** @type {RTCConfiguration} */
  configuration = {};
  /** What it sends to everybody. @type {MediaStream | undefined} */
  stream;

  /** @param {string} room @param {string} [id] */
  constructor(room, id = '') {
    this.room = room;
    this.id = id;
  }

  /** @param {string} _kind @param {string} _to @param {unknown} _payload */
  signal(_kind, _to, _payload) {}

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

  /** @param {string} id */
  async request(id) {
    const { connection } = this.link(id);
    const offer = await connection.createOffer();
    await connection.setLocalDescription(offer);
    this.signal('offer', id, offer);
  }

  /** One after the other. @param {string} kind @param {string} from @param {any} payload */
  handle(kind, from, payload) {
    this.turn = this.turn.then(() => this.take(kind, from, payload));
    return this.turn;
  }

  /** @param {string} kind @param {string} from @param {any} payload */
  async take(kind, from, payload) {
    const { connection, early } = this.takeBack(kind, from) ?? this.link(from);
    if (kind === 'candidate') {
      if (connection.remoteDescription) await connection.addIceCandidate(payload);
      else early.push(payload);
      return;
    }
    await connection.setRemoteDescription(payload);
    for (const candidate of early.splice(0)) await connection.addIceCandidate(candidate);
    if (kind === 'offer') {
      const answer = await connection.createAnswer();
      await connection.setLocalDescription(answer);
      this.signal('answer', from, answer);
    }
  }

  /**
   * The link that there is. Where both have offered, another one takes its place: Chromium 156 would
   * take back the search for candidates with its offer, and never take it up again. What the old one
   * is in the midst of comes to nothing.
   * @param {string} kind
   * @param {string} from
   */
  takeBack(kind, from) {
    const link = this.links.get(from);
    if (kind !== 'offer' || link?.connection.signalingState !== 'have-local-offer') return link;
    link.connection.onicecandidate = null;
    return Object.assign(this.link(from), { early: link.early });
  }

  /** @param {string} id @param {string} text */
  send(id, text) {
    this.links.get(id)?.channel.send(text);
  }
}

/** One on a WebSocket. By itself it speaks the native dialect, and does nothing untold. */
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
      this.hear(JSON.parse(data));
    };
  }

  /** @param {any} _frame */
  hear(_frame) {}

  /** @param {object} frame */
  say(frame) {
    const text = JSON.stringify(frame);
    this.log.push(`> ${text}`);
    this.socket.send(text);
  }

  /** @returns {Promise<void>} when the server has answered the Close frame */
  leave() {
    return new Promise((resolve) => {
      this.socket.onclose = () => resolve();
      this.socket.close();
    });
  }
}

/** A client of 000: it offers to all who are there, and answers whoever comes. */
export class Forum extends Plain {
  /** @param {string} room @param {string} [id] */
  constructor(room, id) {
    super(room, id, 'forum');
  }

  /** @override @param {string} kind @param {string} toPeerId @param {unknown} payload */
  signal(kind, toPeerId, payload) {
    const spelled = kind === 'candidate' ? 'icecandidate' : kind;
    this.say({ action: `forward-${spelled}`, [kind]: payload, toPeerId });
  }

  /** @override @param {any} frame */
  hear(frame) {
    const { type, fromPeerId } = frame;
    if (type === 'connected-peers') for (const id of frame.peerIds) this.request(id);
    if (!fromPeerId) return;
    const kind = type === 'icecandidate' ? 'candidate' : type;
    this.handle(kind, fromPeerId, frame[kind]);
  }
}

/** A user of 001, who clicks to request, and clicks to accept. */
export class Lobby extends Plain {
  /** @type {Map<string, unknown>} */
  offers = new Map();

  /** @param {string} room @param {string} [id] */
  constructor(room, id) {
    super(room, id, 'lobby');
  }

  /**
   * Says descriptions alone, as the document does: so they wait for the candidates, to have "all
   * the data that the other needs".
   *
   * @override
   * @param {string} kind @param {string} toId @param {unknown} payload
   */
  signal(kind, toId, payload) {
    const description = this.links.get(toId)?.connection.localDescription;
    const complete = kind === 'candidate' && payload === null;
    if (complete && description)
      this.say({ toId, fromId: this.id, [description.type]: description });
  }

  /** @override @param {any} frame */
  hear({ kind, id, fromId, offer, answer, candidate }) {
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

/** A device of 004, "using SSE": it offers to whoever is new. */
export class Http extends Device {
  /** One request after the other: of two at once, either may arrive first. */
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
      this.hear(JSON.parse(data));
    };
  }

  /** @override @param {string} kind @param {string} target @param {unknown} payload */
  signal(kind, target, payload) {
    const type = kind === 'candidate' ? 'ice-candidate' : kind;
    this.#posted = this.#posted.then(() => this.post('message', { target, type, payload }));
  }

  /** @param {any} event */
  hear({ type, senderId, payload }) {
    if (type === 'new-peer') this.request(senderId);
    const kind = type === 'ice-candidate' ? 'candidate' : type;
    if (['offer', 'answer', 'candidate'].includes(kind)) this.handle(kind, senderId, payload);
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
 * A peer of 003: perfect negotiation as textbooks have it (WebRTC 1.0, section 10.7), who is polite
 * as the server says.
 */
export class Perfect extends Plain {
  #makingOffer = false;
  #ignoreOffer = false;
  #settingAnswer = false;

  /** @override @param {string} type @param {string} to @param {unknown} payload */
  signal(type, to, payload) {
    this.say({ type, to, payload });
  }

  /** @override @param {any} frame */
  async hear({ type, id, peers, polite, from, payload }) {
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
