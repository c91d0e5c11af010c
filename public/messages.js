// @ts-check
/**
 * The data channel for messages (`chat`). Messages wait in a queue until the channel is open, and
 * while its buffer is full. Frames of long messages alternate, and short messages go before them.
 */

import {
  BODY,
  CANCEL,
  encode,
  frame,
  HEAD,
  Incoming,
  MAX_FRAME,
  MAX_PARALLEL,
  MAX_PARALLEL_BYTES,
  REFUSED,
  toBytes,
} from './message-frames.js';

/** @import { Message, PeerContext, Transfer, TransferOptions } from "./parts.d.ts" */

const PROTOCOL = 'partyline'; // distinguishes our channel from a channel of the application
/** Bytes in the buffer of the browser. The next short message waits for them on a slow network. */
const HIGH_WATER = 2 ** 18;
const LOW_WATER = 2 ** 16;
/** Bytes of the messages that have not begun. Each counts some bytes more, for its object. */
const MAX_QUEUED = 2 ** 24;
const OVERHEAD = 100;
/** Bytes of a Blob that are read at once. */
const BLOB_SLICE = 2 ** 20;
/** Bytes of a message to a client without frames, which is the limit of Chromium. */
const MAX_FOREIGN = 2 ** 18;

export class Messages {
  static LABEL = 'chat';

  #context;
  #hasFrames;
  #incoming;
  /**
   * The channel on which we send. Glare can create a second channel, which is only used to receive.
   * @type {RTCDataChannel=}
   */
  #channel;
  #isEnded = false;
  #lastId = 0;
  #queued = 0; // bytes
  /** Messages whose promise is pending, by id: also those that wait for a reply. @type {Map<number, Transfer>} */
  #pending = new Map();
  /** Messages of one frame that have not been sent. @type {Set<Transfer>} */
  #short = new Set();
  /** Blobs and messages of several frames that have not begun. @type {Set<Transfer>} */
  #long = new Set();
  /** Blobs and messages of several frames that have begun. The first is the next to send a frame. @type {Set<Transfer>} */
  #begun = new Set();

  /**
   * @param {Pick<PeerContext, "emit" | "trace" | "maxMessageSize">} context
   * @param {() => boolean} hasFrames whether the peer understands frames
   */
  constructor(context, hasFrames) {
    this.#context = context;
    this.#hasFrames = hasFrames;
    this.#incoming = new Incoming(context.maxMessageSize, {
      // A peer that does not read cannot fill our buffer with refusals.
      refuse: (id, reason) => this.#canSend && this.#transmit(frame(REFUSED, id, toBytes(reason))),
      progress: ({ as, metadata, reply, size }, received) => {
        if (as !== 'streams' && reply === undefined)
          context.emit('progress', { received, total: size, metadata });
      },
      deliver: ({ as, ask, metadata, reply }, data, id) => {
        const asked = reply === undefined ? undefined : this.#pending.get(reply);
        if (as === 'streams') context.emit('streams', data);
        else if (ask) {
          const answer = (/** @type {unknown} */ data) => this.send(encode(data, { reply: id }));
          context.emit('ask', { data, metadata, reply: answer });
        } else if (reply === undefined) context.emit('message', { data, metadata });
        else if (asked?.isAsk) this.#settle(asked, () => asked.resolve(data));
      },
    });
  }

  get isOpen() {
    return this.#channel?.readyState === 'open';
  }

  /** Whether the channel is closed. False while no channel exists. */
  get isClosed() {
    return this.#channel?.readyState === 'closed';
  }

  get #canSend() {
    return this.isOpen && Number(this.#channel?.bufferedAmount) < HIGH_WATER;
  }

  /**
   * Returns a promise that resolves when the browser has the last frame, or with the reply if the
   * message asks for one.
   * @param {Message} message
   * @param {TransferOptions} [options]
   * @returns {Promise<any>}
   */
  send(message, { signals = [], onProgress, isAsk = false } = {}) {
    // A table of streams has no caller that could wait.
    if (this.#queued > MAX_QUEUED && message.as !== 'streams')
      throw new DOMException(
        `more than ${MAX_QUEUED} bytes are queued: await the promises of send()`,
        'OperationError',
      );
    const { content, header, size } = message;
    const isBlob = content instanceof Blob;
    this.#lastId = (this.#lastId + 1) >>> 0;
    /** @type {Promise<any>} */
    const promise = new Promise((resolve, reject) => {
      /** @type {Transfer} */
      const transfer = {
        id: this.#lastId,
        message,
        cost: OVERHEAD + (isBlob ? 0 : size),
        window: isBlob ? new Uint8Array() : content,
        windowStart: 0,
        sent: -1,
        isReading: false,
        isAsk,
        onProgress,
        resolve,
        reject,
        stop: () => signals.forEach((signal) => signal?.removeEventListener('abort', abort)),
      };
      const abort = () => {
        const signal = signals.find((signal) => signal?.aborted);
        if (signal) this.#fail(transfer, signal.reason);
      };
      for (const signal of signals) signal?.addEventListener('abort', abort);
      this.#pending.set(transfer.id, transfer);
      this.#queued += transfer.cost;
      const isShort = !isBlob && size + header.length + 7 <= MAX_FRAME;
      (isShort ? this.#short : this.#long).add(transfer);
      abort();
    });
    promise.catch(() => {}); // the application need not await it
    if (this.#isEnded) this.close();
    this.#pump();
    return promise;
  }

  /** Rejects all promises, because the connection has ended. */
  close() {
    this.#isEnded = true;
    this.#incoming.clear();
    for (const transfer of this.#pending.values())
      this.#fail(
        transfer,
        new DOMException('the connection with this peer has ended', 'NetworkError'),
      );
  }

  /** @param {RTCPeerConnection} connection */
  static open(connection) {
    return connection.createDataChannel(Messages.LABEL, { protocol: PROTOCOL });
  }

  /** @param {RTCDataChannel} channel that `open` has returned */
  use(channel) {
    this.#context.trace('create-channel', Messages.LABEL);
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
      channel.label === Messages.LABEL &&
      (channel.protocol === PROTOCOL || (channel.protocol === '' && !isLibrary));
    if (isOurs) this.#attach(channel);
    return isOurs;
  }

  /** @param {RTCDataChannel} channel */
  #attach(channel) {
    channel.binaryType = 'arraybuffer'; // the default of Firefox 153 is "blob"
    channel.bufferedAmountLowThreshold = LOW_WATER;
    channel.addEventListener('open', () => this.#handleOpen(channel));
    channel.addEventListener('close', () => this.#handleClose(channel));
    channel.addEventListener('message', ({ data }) => this.#receive(data));
    channel.addEventListener('bufferedamountlow', () => this.#pump());
    if (channel.readyState === 'open') this.#handleOpen(channel);
  }

  /** @param {RTCDataChannel} channel */
  #handleOpen(channel) {
    if (this.isOpen) return;
    this.#channel = channel;
    this.#isEnded = false;
    this.#context.trace('channel-state', 'open');
    this.#pump();
    this.#context.emit('state', null);
  }

  /** @param {RTCDataChannel} channel */
  #handleClose(channel) {
    if (channel !== this.#channel) return;
    this.#context.trace('channel-state', 'closed');
    this.close();
    this.#context.emit('state', null);
    this.#context.emit('channel-closed', null);
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    if (typeof data === 'string' || !this.#hasFrames())
      return this.#context.emit('message', { data, metadata: undefined });
    const bytes = new Uint8Array(data);
    if (bytes.length < 5) return;
    const id = new DataView(bytes.buffer).getUint32(1); // werift passes a Buffer as `data`
    const rest = bytes.subarray(5);
    if (bytes[0] !== REFUSED) return this.#incoming.receive(bytes[0], id, rest);
    const transfer = this.#pending.get(id);
    const reason = new TextDecoder().decode(rest.subarray(0, 500));
    if (transfer) this.#fail(transfer, new DOMException(reason, 'OperationError'));
  }

  /** Sends frames until the buffer is full. */
  #pump() {
    while (this.#canSend) {
      const transfer = this.#next();
      if (!transfer) return;
      try {
        this.#advance(transfer);
      } catch (error) {
        this.#fail(transfer, error);
        this.#context.emit('error', { code: 'unsent', message: String(error) });
      }
    }
  }

  /** Returns the message that sends the next frame. @returns {Transfer | undefined} */
  #next() {
    for (const transfer of this.#short) return transfer;
    for (const transfer of this.#long) {
      // The same limits as in the receiver: beyond them, long messages wait for each other.
      const sizes = [transfer, ...this.#begun].map(({ message }) => message.size);
      const bytes = sizes.reduce((sum, size) => sum + size) - Math.max(...sizes);
      if (sizes.length <= MAX_PARALLEL && bytes <= MAX_PARALLEL_BYTES) return transfer;
      break;
    }
    for (const transfer of this.#begun) if (!transfer.isReading) return transfer;
  }

  /** Sends the next frame of a message, or reads the next part of a Blob. @param {Transfer} transfer */
  #advance(transfer) {
    const { id, message, sent, window, windowStart } = transfer;
    const { as, content, header, isBare, size, text } = message;
    const hasFrames = this.#hasFrames();
    const isShort = this.#short.has(transfer);
    this.#dequeue(transfer);
    if (!hasFrames && as === 'streams') return this.#complete(transfer);
    if (!hasFrames && (!isBare || size > MAX_FOREIGN))
      throw new DOMException(
        `this peer does not use room.js: it takes only data of up to ${MAX_FOREIGN} bytes`,
        'NotSupportedError',
      );
    if (isBare && text !== undefined && (!hasFrames || (isShort && as === 'text'))) {
      this.#transmit(text);
      return this.#complete(transfer);
    }
    this.#begun.add(transfer); // behind the others
    const next = Math.max(sent, 0);
    if (next === windowStart + window.length && next < size) return this.#read(transfer, next);
    if (!hasFrames) {
      this.#transmit(window);
      return this.#complete(transfer);
    }
    const prefix = sent < 0 ? [header.length >> 8, header.length & 255, ...header] : [];
    const start = next - windowStart;
    const part = window.subarray(start, start + MAX_FRAME - 5 - prefix.length);
    this.#transmit(frame(sent < 0 ? HEAD : BODY, id, prefix, part));
    transfer.sent = next + part.length;
    if (transfer.sent === size) this.#complete(transfer);
    else this.#report(transfer);
  }

  /** Reads the next part of a Blob. @param {Transfer} transfer @param {number} start */
  #read(transfer, start) {
    const blob = /** @type {Blob} */ (transfer.message.content);
    transfer.isReading = true;
    blob
      .slice(start, start + BLOB_SLICE)
      .arrayBuffer()
      .then(
        (buffer) => {
          transfer.window = new Uint8Array(buffer);
          transfer.windowStart = start;
          transfer.isReading = false;
          this.#pump();
        },
        (error) => this.#fail(transfer, error), // for example, the file has changed
      );
  }

  /** @param {Transfer} transfer */
  #report({ message, onProgress, sent }) {
    const progress = { sent, total: message.size };
    // As a promise callback: an exception of the application must not stop the queue.
    if (onProgress) Promise.resolve(progress).then(onProgress);
  }

  /** The browser has the last frame. @param {Transfer} transfer */
  #complete(transfer) {
    transfer.sent = transfer.message.size;
    this.#report(transfer);
    if (transfer.isAsk) this.#begun.delete(transfer);
    else this.#settle(transfer, () => transfer.resolve());
  }

  /** @param {Transfer} transfer @param {unknown} error */
  #fail(transfer, error) {
    if (this.#begun.has(transfer) && this.isOpen) this.#transmit(frame(CANCEL, transfer.id));
    this.#settle(transfer, () => transfer.reject(error));
  }

  /** Forgets a message before `settle` is called. @param {Transfer} transfer @param {() => void} settle */
  #settle(transfer, settle) {
    this.#dequeue(transfer);
    this.#begun.delete(transfer);
    this.#pending.delete(transfer.id);
    transfer.stop();
    settle();
  }

  /** @param {Transfer} transfer */
  #dequeue(transfer) {
    if (this.#short.delete(transfer) || this.#long.delete(transfer)) this.#queued -= transfer.cost;
    this.#begun.delete(transfer);
  }

  /** @param {string | Uint8Array<ArrayBuffer>} data */
  #transmit(data) {
    this.#channel?.send(/** @type {any} */ (data));
  }
}
