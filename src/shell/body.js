// @ts-check
/**
 * Reads the bodies of requests in JavaScript, because WebAssembly memory never shrinks. Only
 * complete bodies are copied into WebAssembly memory.
 *
 * A body reserves memory before it is read, so clients that never finish their bodies cannot fill
 * the memory of the isolate.
 */

/** The time for one body, in milliseconds. The slowest client needs 6 KiB/s for the largest body. */
const TIMEOUT = 10_000;
/** The memory that a small body reserves. It also limits the number of bodies. */
const MIN_RESERVED = 4 * 1024;
/** 8 bodies of 64 KiB, or 128 ICE candidates that a peer posts at the same time. */
const MAX_OF_PEER = 512 * 1024;
/** 64 bodies of 64 KiB, so one peer cannot exclude the others in its room. */
const MAX_OF_ROOM = 4 * 1024 * 1024;
/** 8 full rooms, and a quarter of the memory that Cloudflare allows an isolate. */
const MAX_OF_ISOLATE = 32 * 1024 * 1024;

/** The reserved memory of all rooms in this isolate, in bytes. */
let reserved = 0;

/** Rejects invalid UTF-8, and keeps a byte order mark, which the JSON reader refuses. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bodies in progress of one room, or of the requests about live sessions in this isolate. */
export class Bodies {
  #reserved = 0;
  /** @type {Map<string, number>} */
  #reservedOfPeer = new Map();

  /**
   * Reads a body. Resolves with its text, or with the HTTP status of the refusal. Never rejects.
   * @param {Request} request
   * @param {string} peer the id of the sender, or its network
   * @param {number} limit the maximum size of a body, in bytes
   * @returns {Promise<string | number>}
   */
  async read(request, peer, limit) {
    if (!request.body) return '';
    const length = Number(request.headers.get('Content-Length') ?? limit);
    if (!(length <= limit)) return 413;
    const size = Math.max(length, MIN_RESERVED);
    if (
      (this.#reservedOfPeer.get(peer) ?? 0) + size > MAX_OF_PEER ||
      this.#reserved + size > MAX_OF_ROOM ||
      reserved + size > MAX_OF_ISOLATE
    )
      return 429;
    this.#reserve(peer, size);
    try {
      return await readText(request.body, length);
    } finally {
      this.#reserve(peer, -size);
    }
  }

  /** @param {string} peer @param {number} size negative to release memory */
  #reserve(peer, size) {
    const ofPeer = (this.#reservedOfPeer.get(peer) ?? 0) + size;
    if (ofPeer > 0) this.#reservedOfPeer.set(peer, ofPeer);
    else this.#reservedOfPeer.delete(peer);
    this.#reserved += size;
    reserved += size;
  }
}

/**
 * Resolves with the text of a body, or with the HTTP status of the refusal. Never rejects.
 * @param {ReadableStream} body
 * @param {number} length the maximum size of this body
 * @returns {Promise<string | number>}
 */
export async function readText(body, length) {
  const reader = body.getReader({ mode: 'byob' });
  // If the body has one byte more than allowed, it is too large.
  const reading = reader.readAtLeast(length + 1, new Uint8Array(length + 1));
  /** @type {number | null} */
  let timer = null;
  const timeout = /** @type {Promise<void>} */ (
    new Promise((resolve) => (timer = setTimeout(resolve, TIMEOUT)))
  );
  try {
    const read = await Promise.race([reading, timeout]);
    if (!read) return 408;
    const { value: bytes = new Uint8Array() } = read;
    return bytes.length > length ? 413 : decode(bytes);
  } catch {
    // The client has disconnected, so nobody receives this status.
    return 408;
  } finally {
    // A pending timer would keep the room in memory.
    clearTimeout(timer);
    // Stops the upload of a refused body. The results are not needed.
    reading.catch(() => {});
    reader.cancel().catch(() => {});
  }
}

/** @param {Uint8Array} bytes */
function decode(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    return 400;
  }
}
