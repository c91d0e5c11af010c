// @ts-check
/**
 * Messages between two pages with this library: their frames, and the limits of the receiver. The
 * section "Messages of room.js" in docs/protocol.md describes the frames.
 */

/** @import { Header, Message } from "./parts.d.ts" */

/** The first byte of a frame. */
export const HEAD = 0;
export const BODY = 1;
export const CANCEL = 2;
export const REFUSED = 3;
/** Bytes of a frame. Each browser accepts more, and a short text waits for one frame at most. */
export const MAX_FRAME = 64_000;
/** The receiver refuses more incomplete messages of one peer. */
export const MAX_PARALLEL = 16;
/** Bytes of all incomplete messages of one peer, without the largest of them. */
export const MAX_PARALLEL_BYTES = 2 ** 26;

const MAX_HEADER = 16_384;
/** Bytes of JSON. `[{},{}…]` takes 21 times as much in V8, which ends a page with 4 GB of objects. */
const MAX_JSON = 2 ** 25;
const INVALID = 'invalid frame, or too many incomplete messages';
/** Bytes of a received Blob that are collected before the browser may move them to the disk. */
const BLOB_PART = 2 ** 22;

export const toBytes = (/** @type {string} */ text) => new TextEncoder().encode(text);
const toText = (/** @type {Uint8Array} */ bytes) =>
  new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);

/** Returns the JSON of a value. @param {unknown} data @returns {string} */
export function toJson(data) {
  const text = JSON.stringify(data);
  if (text === undefined)
    throw new TypeError(`cannot send the type ${typeof data}: pass JSON, binary data or a Blob`);
  return text;
}

/**
 * Returns a copy of binary data, which the application may change after the call, or undefined.
 * @param {any} data
 */
export function copyBytes(data) {
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) {
    const { buffer = data, byteOffset, byteLength } = /** @type {any} */ (data);
    return new Uint8Array(buffer, byteOffset, byteLength).slice();
  }
}

/**
 * Encodes a message, once for all its receivers.
 * @param {unknown} data
 * @param {{ as?: string, metadata?: unknown, ask?: boolean, reply?: number }} [fields] of the header.
 *   Default of `as`: as the type of `data` requires
 * @returns {Message}
 */
export function encode(data, { as, ...extra } = {}) {
  const blob = data instanceof Blob ? data : undefined;
  const binary = copyBytes(data);
  const isText = typeof data === 'string' && !as;
  const text = blob || binary ? undefined : isText ? data : toJson(data);
  const content = blob ?? binary ?? toBytes(text ?? '');
  const size = content instanceof Blob ? content.size : content.length;
  as ??= blob ? 'blob' : binary ? 'binary' : isText ? 'text' : 'json';
  const { type, name } = /** @type {Partial<File>} */ (blob ?? {});
  const header = toBytes(JSON.stringify({ as, size, type, name, ...extra }));
  if (header.length > MAX_HEADER)
    throw new RangeError(
      `the metadata and name have ${header.length} bytes: expected at most ${MAX_HEADER}`,
    );
  const isBare = Object.values(extra).every((value) => value === undefined);
  return { as, content, header, isBare, size, text };
}

/** @param {number} kind @param {number} id @param {(Uint8Array | number[])[]} parts */
export function frame(kind, id, ...parts) {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 5));
  bytes[0] = kind;
  new DataView(bytes.buffer).setUint32(1, id);
  let at = 5;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The incomplete messages of one peer. The peer can send anything. */
export class Incoming {
  /**
   * `bytes` has place for more than the `length` bytes that it contains. `blobs`: what precedes them.
   * @type {Map<number, { header: Header, bytes: Uint8Array<ArrayBuffer>, length: number,
   *   received: number, blobs: Blob[] }>}
   */
  #messages = new Map();
  #maxSize;
  #handlers;

  /**
   * @param {number} maxSize bytes of a message
   * @param {object} handlers
   * @param {(id: number, reason: string) => unknown} handlers.refuse
   * @param {(header: Header, received: number) => void} handlers.progress
   * @param {(header: Header, data: unknown, id: number) => void} handlers.deliver
   */
  constructor(maxSize, handlers) {
    this.#maxSize = maxSize;
    this.#handlers = handlers;
  }

  /** @param {number} kind @param {number} id @param {Uint8Array} bytes what follows the id */
  receive(kind, id, bytes) {
    try {
      if (kind === HEAD) this.#begin(id, bytes);
      else if (kind === BODY) this.#append(id, bytes);
      else this.#messages.delete(id);
    } catch (error) {
      this.#messages.delete(id);
      this.#handlers.refuse(id, /** @type {Error} */ (error).message);
    }
  }

  clear() {
    this.#messages.clear();
  }

  /** @param {number} id @param {Uint8Array} bytes */
  #begin(id, bytes) {
    const end = 2 + bytes[0] * 256 + bytes[1];
    /** @type {Header} */
    const header = JSON.parse(toText(bytes.subarray(2, end)));
    const { as, size } = header;
    if (!['text', 'json', 'binary', 'blob', 'streams'].includes(as) || !(end <= bytes.length))
      throw new RangeError(INVALID);
    const isJson = as === 'json' || as === 'streams';
    const limit = isJson ? Math.min(this.#maxSize, MAX_JSON) : this.#maxSize;
    const rule = limit === MAX_JSON ? 'for JSON: send a Blob' : "the receiver's maxMessageSize";
    if (!Number.isInteger(size) || size < 0 || size > limit)
      throw new RangeError(`${size} bytes: expected at most ${limit}, ${rule}`);
    let sum = size;
    for (const other of this.#messages.values()) sum += other.header.size;
    if (
      this.#messages.has(id) ||
      this.#messages.size >= MAX_PARALLEL ||
      sum > this.#maxSize + MAX_PARALLEL_BYTES
    )
      throw new RangeError(INVALID);
    const empty = new Uint8Array();
    this.#messages.set(id, { header, bytes: empty, length: 0, received: 0, blobs: [] });
    this.#append(id, bytes.subarray(end));
  }

  /** @param {number} id @param {Uint8Array} bytes */
  #append(id, bytes) {
    const message = this.#messages.get(id);
    if (!message) return; // refused or cancelled
    const { header, received } = message;
    const { as, size } = header;
    message.received += bytes.length;
    if (message.received > size) throw new RangeError(INVALID);
    if (as === 'blob' && message.length >= BLOB_PART) {
      message.blobs.push(new Blob([message.bytes.subarray(0, message.length)]));
      message.length = 0;
    }
    // The array grows with what arrives, because a peer may announce more than it sends. Frames are
    // not kept, because a peer may send frames of one byte.
    const end = message.length + bytes.length;
    if (end > message.bytes.length) {
      const left = size - received + message.length;
      const grown = new Uint8Array(Math.min(left, Math.max(end, 2 * message.bytes.length)));
      grown.set(message.bytes.subarray(0, message.length));
      message.bytes = grown;
    }
    message.bytes.set(bytes, message.length);
    message.length = end;
    const isComplete = message.received === size;
    if (!isComplete || received) this.#handlers.progress(header, message.received);
    if (!isComplete) return;
    this.#messages.delete(id);
    this.#handlers.deliver(
      header,
      decode(header, message.bytes.subarray(0, end), message.blobs),
      id,
    );
  }
}

/** @param {Header} header @param {Uint8Array<ArrayBuffer>} bytes @param {Blob[]} blobs */
function decode({ as, type, name }, bytes, blobs) {
  if (as === 'text') return toText(bytes);
  if (as === 'binary') return bytes.buffer;
  if (as !== 'blob') return JSON.parse(toText(bytes));
  const parts = [...blobs, bytes];
  return typeof name === 'string' ? new File(parts, name, { type }) : new Blob(parts, { type });
}
