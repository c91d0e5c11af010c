// @ts-check
/** The data channel for text, with a queue for messages sent before the channel is open. */

/** @import { PeerContext } from "./parts.d.ts" */

const PROTOCOL = 'partyline'; // distinguishes our channel from a channel of the application
const MAX_QUEUED_TEXTS = 64;

export class ChannelQueue {
  static LABEL = 'chat';

  #context;
  #reportUnsent;
  /**
   * The channel on which we send. Glare can create a second channel, which is only used to receive.
   * @type {RTCDataChannel=}
   */
  #channel;
  /** @type {string[]} */
  #queue = [];

  /**
   * @param {Pick<PeerContext, "emit" | "trace">} context
   * @param {(error: unknown) => void} reportUnsent called for each unsendable queued message
   */
  constructor(context, reportUnsent) {
    this.#context = context;
    this.#reportUnsent = reportUnsent;
  }

  get isOpen() {
    return this.#channel?.readyState === 'open';
  }

  /** Whether the channel is closed. False while no channel exists. */
  get isClosed() {
    return this.#channel?.readyState === 'closed';
  }

  /** @param {string} text */
  send(text) {
    if (this.isOpen) this.#channel?.send(text);
    else if (this.#queue.length < MAX_QUEUED_TEXTS) this.#queue.push(text);
    else {
      throw new DOMException(
        `${MAX_QUEUED_TEXTS} texts are queued already, which is the limit: wait for peer.ready`,
        'OperationError',
      );
    }
  }

  clear() {
    this.#queue = [];
  }

  /** @param {RTCPeerConnection} connection */
  static open(connection) {
    return connection.createDataChannel(ChannelQueue.LABEL, { protocol: PROTOCOL });
  }

  /** @param {RTCDataChannel} channel that `open` has returned */
  use(channel) {
    this.#context.trace('create-channel', ChannelQueue.LABEL);
    this.#attach(channel);
  }

  /**
   * Uses a channel that the peer has created, if it is not a channel of the application.
   * @param {RTCDataChannel} channel
   * @param {boolean} isLibrary whether the peer uses this library. Other clients do not set the
   *   protocol of the channel.
   * @returns {boolean} whether the channel is used
   */
  accept(channel, isLibrary) {
    const isOurs =
      channel.label === ChannelQueue.LABEL &&
      (channel.protocol === PROTOCOL || (channel.protocol === '' && !isLibrary));
    if (isOurs) this.#attach(channel);
    return isOurs;
  }

  /** @param {RTCDataChannel} channel */
  #attach(channel) {
    channel.addEventListener('open', () => this.#handleOpen(channel));
    channel.addEventListener('close', () => this.#handleClose(channel));
    channel.addEventListener('message', ({ data }) => this.#context.emit('message', data));
    if (channel.readyState === 'open') this.#handleOpen(channel);
  }

  /** @param {RTCDataChannel} channel */
  #handleOpen(channel) {
    if (this.isOpen) return;
    this.#channel = channel;
    this.#context.trace('channel-state', 'open');
    for (const text of this.#queue.splice(0)) {
      try {
        channel.send(text);
      } catch (error) {
        // The message exceeds the size limit, which is unknown until the channel is open.
        this.#reportUnsent(error);
      }
    }
    this.#context.emit('state', null);
  }

  /** @param {RTCDataChannel} channel */
  #handleClose(channel) {
    if (channel !== this.#channel) return;
    this.#context.trace('channel-state', 'closed');
    this.#context.emit('state', null);
    this.#context.emit('channel-closed', null);
  }
}
