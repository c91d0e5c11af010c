// @ts-check
/**
 * Named channels, for example for the positions of a game. Each side creates a data channel for what
 * it sends, on every connection, and receives on the one that the peer has created.
 */

import { emit, Events } from './events.js';
import { copyBytes, MAX_FRAME, toBytes, toJson } from './message-frames.js';

/**
 * @import { ChannelOptions } from "./room.js"
 * @import { Peer } from "./peer.js"
 *
 * `queue`: what waits for `channel` to open, with `bytes` bytes.
 * @typedef {{ channel?: RTCDataChannel, queue: (string | Uint8Array<ArrayBuffer>)[], bytes: number }} Link
 */

/** The protocol of the data channels. */
export const PROTOCOL = 'partyline.channel';
/** Bytes that wait for one peer. */
const MAX_WAITING = 2 ** 20;

export class Channels {
  /** @type {Map<string, Channel>} */
  #all = new Map();
  #peers;

  /** @param {ReadonlyMap<string, Peer>} peers */
  constructor(peers) {
    this.#peers = peers;
  }

  /** @param {string} name @param {ChannelOptions} [options] */
  open(name, options) {
    return this.#all.get(`${name}`) ?? new Channel(`${name}`, this.#all, this.#peers, options);
  }

  /** Must be called after each change of a connection. @param {Peer} peer */
  connect(peer) {
    for (const channel of this.#all.values()) channel.connect(peer);
  }

  /** Receives on a data channel that a peer has created. @param {Peer} peer @param {RTCDataChannel} channel */
  accept(peer, channel) {
    channel.binaryType = 'arraybuffer';
    channel.addEventListener('message', ({ data }) =>
      this.#all.get(channel.label)?.receive(peer, data),
    );
  }
}

class Channel extends Events {
  /** @readonly */ name;

  #peers;
  #options;
  #all;
  /** @type {WeakMap<RTCPeerConnection, Link>} */
  #links = new WeakMap();

  /**
   * @param {string} name
   * @param {Map<string, Channel>} all the open channels, by name
   * @param {ReadonlyMap<string, Peer>} peers
   * @param {ChannelOptions} [options]
   */
  constructor(name, all, peers, { ordered = true, maxRetransmits } = {}) {
    super();
    if (maxRetransmits !== undefined && !(maxRetransmits >= 0 && maxRetransmits <= 65_535))
      throw new RangeError(`invalid maxRetransmits ${maxRetransmits}: expected 0 to 65535`);
    if (toBytes(name).length > 65_535)
      throw new RangeError('the name of the channel is too long: expected at most 65535 bytes');
    this.name = name;
    this.#peers = peers;
    this.#options = { ordered, maxRetransmits, protocol: PROTOCOL };
    this.#all = all.set(name, this);
    for (const peer of peers.values()) this.connect(peer);
  }

  /** @param {unknown} data @param {Peer | string} [to] */
  send(data, to) {
    const body = copyBytes(data) ?? toJson(data);
    const bytes = typeof body === 'string' ? toBytes(body).length : body.length;
    if (bytes > MAX_FRAME || data instanceof Blob)
      throw new TypeError(
        `a channel takes JSON or binary data of up to ${MAX_FRAME} bytes: use peer.send()`,
      );
    const only = typeof to === 'string' ? this.#peers.get(to) : to;
    const isKnown = only && this.#peers.get(only.id) === only;
    if (this.#all.get(this.name) !== this || (to !== undefined && !isKnown))
      throw new DOMException('the channel is closed or the peer has left', 'InvalidStateError');
    let isFull = false;
    for (const peer of only ? [only] : this.#peers.values())
      if (!this.#sendTo(peer, body, bytes)) isFull = true;
    if (isFull && this.#options.maxRetransmits === undefined)
      throw new DOMException(
        `more than ${MAX_WAITING} bytes wait for a peer: send less`,
        'OperationError',
      );
  }

  close() {
    if (this.#all.get(this.name) === this) this.#all.delete(this.name);
    for (const { negotiation } of this.#peers.values())
      if (negotiation) this.#link(negotiation.connection).channel?.close();
  }

  /** Creates the data channel to a peer, if the connection is open and has none. @param {Peer} peer */
  connect({ negotiation }) {
    // Clients without this library could mistake the channel for the one for messages.
    if (!negotiation?.ready || !negotiation.hasFrames) return;
    const { connection } = negotiation;
    const link = this.#link(connection);
    if (link.channel) return;
    const channel = connection.createDataChannel(this.name, this.#options);
    link.channel = channel;
    const flush = () => link.queue.splice(0).forEach((body) => transmit(channel, body));
    channel.addEventListener('open', flush);
    if (channel.readyState === 'open') flush();
  }

  /** @param {Peer} peer @param {string | ArrayBuffer} data */
  receive(peer, data) {
    try {
      emit(this, 'message', { peer, data: typeof data === 'string' ? JSON.parse(data) : data });
    } catch {
      // The peer did not send JSON.
    }
  }

  /**
   * Returns false if too much waits for the peer.
   * @param {Peer} peer
   * @param {string | Uint8Array<ArrayBuffer>} body
   * @param {number} bytes
   */
  #sendTo({ negotiation, relation }, body, bytes) {
    if (!negotiation || relation !== 'accepted') return true;
    const link = this.#link(negotiation.connection);
    const { channel } = link;
    // An open connection without a channel: a client without this library.
    const state = channel?.readyState ?? (negotiation.ready ? 'closed' : 'connecting');
    if (channel && state === 'open') {
      if (channel.bufferedAmount > MAX_WAITING) return false;
      transmit(channel, body);
    } else if (state === 'connecting' && this.#options.maxRetransmits === undefined) {
      if (link.bytes > MAX_WAITING) return false;
      link.queue.push(body);
      link.bytes += bytes;
    }
    return true;
  }

  /** @param {RTCPeerConnection} connection */
  #link(connection) {
    let link = this.#links.get(connection);
    if (!link) this.#links.set(connection, (link = { queue: [], bytes: 0 }));
    return link;
  }
}

/** @param {RTCDataChannel} channel @param {string | Uint8Array<ArrayBuffer>} body */
function transmit(channel, body) {
  try {
    channel.send(/** @type {any} */ (body));
  } catch {
    // The peer's description permits no message of this size. It must not cost the other peers theirs.
  }
}
