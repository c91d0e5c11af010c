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
/** Bytes of the messages that have not begun. Each counts what its objects take in Chromium, too. */
const MAX_QUEUED = 2 ** 24;
const OVERHEAD = 800;
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
      refuse: (id, reason) => this.#canSend && this.#notify(REFUSED, id, reason),
      progress: ({ metadata, size }, received) =>
        context.emit('progress', { received, total: size, metadata }),
      deliver: ({ as, ask, metadata, reply }, data, id) => {
        const asked = reply === undefined ? undefined : this.#pending.get(reply);
        if (as === 'streams') context.emit('streams', data);
        else if (ask) {
          const answer = (/** @type {unknown} */ data) => {
            const message = encode(data, { reply: id });
            // A peer that asks and does not read must not throw into the application.
            const sent = (async () => this.send(message))();
            sent.catch(() => {});
            return sent;
          };
          context.emit('ask', { data, reply: answer });
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
        `${this.#queued} bytes are queued: await the promises of send()`,
        'OperationError',
      );
    const id = (this.#lastId = (this.#lastId + 1) >>> 0);
    /** @type {Promise<any>} */
    const promise = new Promise((resolve, reject) => {
      /** @type {Transfer} */
      const transfer = {
        id,
        frames: this.#frames(message, id, onProgress),
        size: message.size,
        cost: OVERHEAD + (message.content instanceof Blob ? 0 : message.size),
        isAsk,
        resolve,
        reject,
        stop: () => signals.forEach((signal) => signal?.removeEventListener('abort', abort)),
      };
      const abort = () => {
        const signal = signals.find((signal) => signal?.aborted);
        if (signal) this.#fail(transfer, signal.reason);
      };
      for (const signal of signals) signal?.addEventListener('abort', abort);
      this.#pending.set(id, transfer);
      this.#queued += transfer.cost;
      (isShort(message) ? this.#short : this.#long).add(transfer);
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
      this.#fail(transfer, new DOMException('the connection has ended', 'NetworkError'));
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
    channel.binaryType = 'arraybuffer'; // the default of older browsers is "blob"
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
        const { done, value } = transfer.frames.next(transfer.slice);
        if (done && transfer.isAsk) this.#dequeue(transfer);
        else if (done) this.#settle(transfer, () => transfer.resolve());
        else if (value instanceof Promise) {
          transfer.isReading = true;
          value.then(
            (slice) => {
              Object.assign(transfer, { slice, isReading: false });
              this.#pump();
            },
            (error) => this.#fail(transfer, error), // for example, the file has changed
          );
        } else this.#channel?.send(/** @type {any} */ (value));
      } catch (error) {
        this.#fail(transfer, error);
        this.#context.emit('error', { code: 'unsent', message: String(error) });
      }
    }
  }

  /** Returns the message that sends the next frame. @returns {Transfer | undefined} */
  #next() {
    for (const transfer of this.#short) return transfer;
    let next = /** @type {Transfer | undefined} */ (this.#long.values().next().value);
    if (next) {
      // The same limits as in the receiver: beyond them, long messages wait for each other.
      const sizes = [next, ...this.#begun].map(({ size }) => size);
      const bytes = sizes.reduce((sum, size) => sum + size) - Math.max(...sizes);
      if (sizes.length > MAX_PARALLEL || bytes > MAX_PARALLEL_BYTES) next = undefined;
    }
    next ??= [...this.#begun].find(({ isReading }) => !isReading);
    if (next) {
      this.#dequeue(next);
      this.#begun.add(next); // behind the others
    }
    return next;
  }

  /**
   * Yields what is sent for a message. Yields a promise to read the next slice of a Blob, and gets the
   * slice back. Continues when the browser has taken a frame and has room for another one.
   * @param {Message} message
   * @param {number} id
   * @param {TransferOptions["onProgress"]} onProgress
   * @returns {Generator<string | Uint8Array | Promise<ArrayBuffer>, void, any>}
   */
  *#frames(message, id, onProgress) {
    const { as, content, header, isBare, size, text } = message;
    const hasFrames = this.#hasFrames();
    if (!hasFrames && as === 'streams') return;
    if (!hasFrames && (!isBare || size > MAX_FOREIGN))
      throw new DOMException(
        `without room.js, this peer takes only data of up to ${MAX_FOREIGN} bytes`,
        'NotSupportedError',
      );
    const isText =
      isBare && text !== undefined && (!hasFrames || (as === 'text' && isShort(message)));
    let prefix = [header.length >> 8, header.length & 255, ...header];
    let slice = content instanceof Blob ? new Uint8Array() : content;
    let start = 0; // of the slice
    let sent = 0;
    do {
      if (content instanceof Blob && sent === start + slice.length && sent < size) {
        start = sent;
        slice = new Uint8Array(yield content.slice(sent, sent + BLOB_SLICE).arrayBuffer());
      }
      const from = sent - start;
      const part = hasFrames ? slice.subarray(from, from + MAX_FRAME - 5 - prefix.length) : slice;
      if (isText) yield text;
      else yield hasFrames ? frame(prefix.length ? HEAD : BODY, id, prefix, part) : part;
      sent = isText ? size : sent + part.length;
      prefix = [];
      // As a promise callback: an exception of the application must not stop the queue.
      if (onProgress) Promise.resolve({ sent, total: size }).then(onProgress);
    } while (sent < size);
  }

  /** @param {Transfer} transfer @param {unknown} error */
  #fail(transfer, error) {
    // The receiver ignores it if it does not know the message.
    if (this.#hasFrames()) this.#notify(CANCEL, transfer.id);
    this.#settle(transfer, () => transfer.reject(error));
  }

  /** @param {number} kind @param {number} id @param {string} [reason] */
  #notify(kind, id, reason = '') {
    try {
      this.#channel?.send(frame(kind, id, toBytes(reason)));
    } catch {
      // The channel is not open, or the peer's description permits no frame of this size.
    }
  }

  /** Forgets a message before `settle` is called. @param {Transfer} transfer @param {() => void} settle */
  #settle(transfer, settle) {
    this.#dequeue(transfer);
    this.#pending.delete(transfer.id);
    transfer.stop();
    settle();
  }

  /** @param {Transfer} transfer */
  #dequeue(transfer) {
    if (this.#short.delete(transfer) || this.#long.delete(transfer)) this.#queued -= transfer.cost;
    this.#begun.delete(transfer);
  }
}

/** Whether a message fits into one frame, and need not be read first. @param {Message} message */
const isShort = ({ content, header, size }) =>
  !(content instanceof Blob) && size + header.length + 7 <= MAX_FRAME;
