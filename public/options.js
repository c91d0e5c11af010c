// @ts-check
/** Checks the name of a room and the options of `Room`, and builds the URL of a room. */

import { isToken } from './token.js';

/** @import { RoomOptions } from "./room.js" */

/** The types of the options. @type {Record<string, string | undefined>} */
const TYPES = {
  host: 'string',
  id: 'string',
  key: 'string',
  token: 'string or function',
  iceServers: 'array',
  iceTransportPolicy: 'string',
  connect: 'string',
  pace: 'function',
  name: 'string',
  metadata: 'string, number, boolean, object or array',
  maxPeers: 'number',
  RTCPeerConnection: 'function',
  WebSocket: 'function',
  maxMessageSize: 'number',
  limitVideo: 'boolean',
};

/** @param {RoomOptions} options */
export function checkOptions(options) {
  if (Object(options) !== options)
    throw new TypeError(`invalid options ${quote(options)}: expected an object`);
  for (const [name, value] of Object.entries(options)) {
    const expected = TYPES[name];
    if (!expected) {
      throw new TypeError(
        `unknown option ${quote(name)}: expected one of ${Object.keys(TYPES).join(', ')}`,
      );
    }
    const type = Array.isArray(value) ? 'array' : typeof value;
    if (value !== undefined && !expected.includes(type)) {
      throw new TypeError(`the option ${name} has the type ${type}: expected ${expected}`);
    }
  }
  const { id, token, connect = 'always', iceTransportPolicy = 'all' } = options;
  if (id !== undefined && !/^[\w.:-][\w.~:-]{0,63}$/.test(id)) {
    throw new RangeError(
      `invalid peer id ${quote(id)}: expected 1 to 64 characters of A-Z a-z 0-9 . _ ~ : -, without ~ at ` +
        'the start',
    );
  }
  if (token !== undefined && typeof token !== 'function' && !isToken(token)) {
    // Do not quote the token: it is a secret, and error messages end up in logs.
    throw new RangeError(
      'invalid token: expected a JWT exactly as it was issued, or a function that returns one',
    );
  }
  for (const name of /** @type {const} */ (['maxPeers', 'maxMessageSize'])) {
    const value = options[name] ?? 1;
    if (!(value >= 1)) throw new RangeError(`invalid option ${name} ${value}: expected at least 1`);
  }
  checkChoice('connect', connect, 'always', 'on-request');
  checkChoice('iceTransportPolicy', iceTransportPolicy, 'all', 'relay');
}

/** @param {string} name @param {string} value @param {string} first @param {string} second */
function checkChoice(name, value, first, second) {
  if (value !== first && value !== second) {
    throw new RangeError(
      `invalid option ${name} ${quote(value)}: expected "${first}" or "${second}"`,
    );
  }
}

/**
 * Returns the JSON of the options that other peers see, or nothing if there are none.
 * @param {RoomOptions} options
 */
export function encodeMeta(options) {
  const { name, metadata } = options;
  // Half of a surrogate pair, as in a name that was cut, is no valid JSON for the server.
  const json = JSON.stringify({ name, metadata }).replace(/\\ud[89a-f]../g, '\\ufffd');
  const { length } = new TextEncoder().encode(json);
  if (length <= 1_024) return json === '{}' ? '' : json;
  throw new RangeError(`name and metadata have ${length} bytes as JSON: the limit is 1,024`);
}

/**
 * Normalizes the name of a room. The same name can be typed as different characters: `é` as one, or
 * as `e` and an accent, for example in file names of macOS. The server compares bytes.
 * @param {string} name
 */
export function normalizeName(name) {
  const text = String(name ?? '');
  // Firefox replaces a lone surrogate with U+FFFD, so `roomUrl` could no longer refuse the name.
  return /\p{Cs}/u.test(text) ? text : text.normalize('NFC');
}

/** @param {string} name a normalized name @param {string | undefined} host */
export function roomUrl(name, host = ownOrigin()) {
  const bytes = new TextEncoder().encode(name).length;
  // URL parsers remove the path segments "." and ".."
  // (https://url.spec.whatwg.org/#double-dot-path-segment). The server refuses "*".
  if (bytes < 1 || bytes > 128 || /\p{Cc}|\p{Cs}|^(\.\.?|\*)$/u.test(name)) {
    throw new RangeError(
      `invalid room name ${quote(name)}: expected 1 to 128 bytes of UTF-8, no control characters, ` +
        'and none of ".", ".." and "*"',
    );
  }
  const local = /^(localhost|127\.[\d.]+|\[::1])(:|$)/.test(host);
  const base = new URL(host.includes('://') ? host : `${local ? 'ws' : 'wss'}://${host}`);
  base.protocol = base.protocol.replace('http', 'ws');
  return new URL(`/parties/main/${encodeURIComponent(name)}`, base);
}

/** Returns the origin of this file, which is the server if the file is not part of a bundle. */
function ownOrigin() {
  const { origin, pathname } = new URL(import.meta.url);
  if (/\/(options|room\.min)\.js$/.test(pathname) && origin !== 'null') return origin;
  throw new TypeError(
    'the option host is missing: a bundle or a local file does not know the server; pass the host ' +
      'of your Worker',
  );
}

/** Returns the URL of a path on the server of a room. @param {string} path @param {URL} room */
export function httpUrl(path, room) {
  const url = new URL(path, room);
  url.protocol = url.protocol.replace('ws', 'http');
  return url;
}

/** Quotes a value for an error message, shortened to 140 characters. @param {unknown} value */
function quote(value) {
  const text = String(value);
  return JSON.stringify(text.length > 140 ? `${text.slice(0, 140)}…` : text);
}
