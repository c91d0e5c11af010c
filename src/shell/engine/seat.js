// @ts-check
/**
 * The seat of a Socket.IO client: the peer id and the key with which it returns.
 *
 * Socket.IO has a field for this: the `pid` in the reply to a CONNECT packet. When socket.io-client
 * (4.6 and newer) reconnects, it sends the `pid` back in `auth`, without any code of the application.
 * Each `pid` is new, because socket.io-client sets `recovered` if it gets the same `pid` again, which
 * would promise that no event was lost.
 */

import { toBase64 } from './packet.js';

/**
 * @typedef {object} Peer
 * @property {string} [id] undefined: the room chooses an id
 * @property {string} [key] undefined: other clients may take over the id
 * @property {string} [token]
 * @property {string} [sid] the last session of the peer, if its client polled
 * @property {string} [socket] the number of the WebSocket to the room, from which the peer can move
 */

/**
 * Reads the payload of a CONNECT packet: `{"id","key","token","pid"}`, all optional. Returns undefined
 * if it is not a JSON object.
 * @param {string} payload
 * @returns {Peer | undefined}
 */
export function readSeat(payload) {
  const auth = parse(payload || '{}');
  if (typeof auth !== 'object' || auth === null) return undefined;
  const last = auth.pid === undefined ? {} : readPid(auth.pid);
  const id = text(auth.id) ?? last.id;
  const { key: lastKey, sid } = id === last.id ? last : {};
  // An id that the application chose is open to every client, as in the other dialects, unless the
  // application sets a key.
  const ownKey = id === undefined ? random() : undefined;
  const key = text(auth.key) ?? lastKey ?? ownKey;
  return { id, key, token: text(auth.token), sid };
}

/** Returns the `pid` with which the peer can return to its seat. @param {Peer} peer */
export function seatOf({ id, key, sid }) {
  return toBase64Url(JSON.stringify({ nonce: random(), id, key, sid }));
}

/** @param {unknown} pid @returns {Peer} */
function readPid(pid) {
  const seat = parse(fromBase64Url(String(pid))) ?? {};
  const [id, key, sid] = [seat.id, seat.key, seat.sid].map(text);
  return { id, key, sid: sid && SID.test(sid) ? sid : undefined };
}

/** A session id, as `random` returns it. */
const SID = /^[\w-]{22}$/;

/** Returns a random text of 128 bits. */
export function random() {
  return urlSafe(toBase64(crypto.getRandomValues(new Uint8Array(16))));
}

/** Returns the base64url of UTF-8, without padding. @param {string} value */
export function toBase64Url(value) {
  return urlSafe(toBase64(new TextEncoder().encode(value)));
}

/** @param {string} value */
function fromBase64Url(value) {
  try {
    const binary = atob(value.replaceAll('-', '+').replaceAll('_', '/'));
    return new TextDecoder().decode(Uint8Array.from(binary, (byte) => byte.charCodeAt(0)));
  } catch {
    return '';
  }
}

/** @param {string} base64 */
const urlSafe = (base64) => base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');

/** @param {unknown} value */
const text = (value) => (value === undefined || value === null ? undefined : String(value));

/** @param {string} json @returns {any} */
function parse(json) {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
