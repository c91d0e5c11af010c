// @ts-check
/**
 * The packets of Engine.IO (protocol revision 4). A text packet begins with the digit of its type. A
 * binary packet is always a message. In the body of an HTTP request or response, a binary packet is
 * base64 with the prefix `b`.
 */

/** @typedef {string | ArrayBuffer} Packet */
/** @typedef {string | ArrayBuffer} Message the content of a packet of the type MESSAGE */

/** The types of packets. */
export const OPEN = '0';
export const CLOSE = '1';
export const PING = '2';
export const PONG = '3';
export const MESSAGE = '4';
export const UPGRADE = '5';
export const NOOP = '6';

/** The ping and the pong with which a client tests its WebSocket before it stops polling. */
export const PROBE = '2probe';
export const PROBED = '3probe';

/** Separates the packets in the body of an HTTP request or response. */
const SEPARATOR = '\x1e';

/** Returns the size of a packet, in bytes or UTF-16 units. @param {Packet} packet */
export const sizeOf = (packet) => (typeof packet === 'string' ? packet.length : packet.byteLength);

/** @param {Message} message @returns {Packet} */
export const messagePacket = (message) =>
  typeof message === 'string' ? MESSAGE + message : message;

/** Returns the body of a response. @param {Packet[]} packets */
export function encodePayload(packets) {
  const encode = (/** @type {Packet} */ packet) =>
    typeof packet === 'string' ? packet : `b${toBase64(new Uint8Array(packet))}`;
  return packets.map(encode).join(SEPARATOR);
}

/**
 * Returns the packets in the body of a request. An invalid packet becomes an empty string, which is
 * no packet either.
 * @param {string} body
 */
export function decodePayload(body) {
  return body.split(SEPARATOR).map((packet) => (packet[0] === 'b' ? fromBase64(packet) : packet));
}

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}

/** @param {string} packet */
function fromBase64(packet) {
  try {
    return Uint8Array.from(atob(packet.slice(1)), (character) => character.charCodeAt(0)).buffer;
  } catch {
    return '';
  }
}
