// @ts-check
/**
 * A WebSocket client over plain TCP. It can send malformed frames, and can end a connection without
 * a Close frame, which WebSocket libraries do not allow. The client never replies to a frame
 * automatically.
 */
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { reset } from './tcp-proxy.mjs';
import { joinPath, within } from './peer.mjs';

export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
/** Added to an opcode, marks the payload as compressed (RFC 7692 §6). */
export const COMPRESSED = 0x40;

/** @typedef {{ opcode: number, payload: Buffer }} Frame */

export class RawWebSocket {
  #buffer = Buffer.alloc(0);
  #changed = () => {};

  /** @param {net.Socket} tcp */
  constructor(tcp) {
    this.tcp = tcp;
    /** The response to the upgrade. */
    this.head = '';
    this.ended = false;
    /** Resolves when the server has closed the connection. @type {Promise<void>} */
    this.gone = new Promise((resolve) => {
      tcp.on('close', () => {
        this.ended = true;
        resolve();
        this.#changed();
      });
    });
    tcp.on('error', () => {}); // errors are ignored, because a `close` event always follows
    tcp.on('data', (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#changed();
    });
  }

  /**
   * Opens a connection and upgrades it to a WebSocket.
   * @param {import('./workerd.mjs').Server} server
   * @param {string} room
   * @param {import('./peer.mjs').Join} join
   * @param {string} [headers] more headers of the request, each with `\r\n` at its end
   */
  static async connect(server, room, join, headers = '') {
    const tcp = net.connect({ host: '127.0.0.1', port: server.port });
    await once(tcp, 'connect');
    const socket = new RawWebSocket(tcp);
    tcp.write(
      `GET ${joinPath(room, join)} HTTP/1.1\r\nHost: ${server.host}\r\n` +
        'Connection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
        `${headers}\r\n`,
    );
    const head = await within(socket.#take(endOfHead), 'the server answers the upgrade');
    if (!head.toString().startsWith('HTTP/1.1 101'))
      throw new Error(`the upgrade was refused: ${head}`);
    socket.head = head.toString();
    return socket;
  }

  /**
   * Sends one frame. The payload is masked, because RFC 6455, section 5.1 requires it of clients.
   * @param {number} opcode
   * @param {string | Buffer} [payload]
   */
  send(opcode, payload = '') {
    const data = Buffer.from(payload);
    const head =
      data.length < 126
        ? Buffer.from([0x80 | opcode, 0x80 | data.length])
        : Buffer.from([0x80 | opcode, 0x80 | 126, data.length >> 8, data.length & 0xff]);
    const mask = randomBytes(4);
    this.tcp.write(Buffer.concat([head, mask, data.map((byte, i) => byte ^ mask[i % 4])]));
  }

  /** Sends a text frame: a string unchanged, any other value as JSON. @param {unknown} frame */
  sendText(frame) {
    this.send(TEXT, typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /**
   * Sends a Close frame with a valid or invalid code. If the code is omitted, the payload is empty.
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code, reason = '') {
    if (code === undefined) return this.send(CLOSE);
    this.send(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]));
  }

  /** @returns {Promise<Frame>} */
  async next() {
    const frame = await within(this.#take(endOfFrame), 'a frame arrives');
    const start = frame[1] < 126 ? 2 : frame[1] === 126 ? 4 : 10;
    return { opcode: frame[0] & 0x0f, payload: frame.subarray(start) };
  }

  /** Reads the next frame, which must be text, and parses it as JSON. @returns {Promise<any>} */
  async receive() {
    const { opcode, payload } = await this.next();
    if (opcode !== TEXT)
      throw new Error(`expected a text frame, got opcode ${opcode}: ${payload.toString('hex')}`);
    return JSON.parse(payload.toString());
  }

  /**
   * Reads the next frame, which must be a Close frame. Returns the code 1005 if the payload is
   * empty.
   */
  async closing() {
    const { opcode, payload } = await this.next();
    if (opcode !== CLOSE)
      throw new Error(`expected a Close frame, got opcode ${opcode}: ${payload}`);
    return {
      code: payload.length < 2 ? 1005 : payload.readUInt16BE(0),
      reason: payload.subarray(2).toString(),
    };
  }

  /** Resets the connection without a Close frame. */
  destroy() {
    reset(this.tcp);
  }

  /**
   * Waits until the buffer contains a complete HTTP head or frame, removes it from the buffer, and
   * returns it.
   * @param {(buffer: Buffer) => number} end returns the length of the head or frame, or -1 if it is
   *   incomplete
   */
  async #take(end) {
    for (;;) {
      const length = end(this.#buffer);
      if (length >= 0) {
        const taken = this.#buffer.subarray(0, length);
        this.#buffer = this.#buffer.subarray(length);
        return taken;
      }
      if (this.ended) throw new Error('the connection ended');
      await new Promise(
        (/** @type {(value?: unknown) => void} */ resolve) => (this.#changed = resolve),
      );
    }
  }
}

/** @param {Buffer} buffer */
function endOfHead(buffer) {
  const at = buffer.indexOf('\r\n\r\n');
  return at < 0 ? -1 : at + 4;
}

/** @param {Buffer} buffer */
function endOfFrame(buffer) {
  if (buffer.length < 2) return -1;
  const short = buffer[1] & 0x7f;
  const start = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (buffer.length < start) return -1;
  const length =
    short < 126
      ? short
      : short === 126
        ? buffer.readUInt16BE(2)
        : Number(buffer.readBigUInt64BE(2));
  return buffer.length < start + length ? -1 : start + length;
}
