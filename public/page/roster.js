// @ts-check
/**
 * The roster: display names, stream ids, and which peers have a connection. Names and stream ids
 * arrive in `hello`, a signal type of the built-in page.
 */

import { on, oncePerFrame } from './dom.js';

/** @import { Peer, Room } from "../room.js" */

/**
 * Maximum length of a display name, in UTF-16 code units. The form in `index.html` has the same
 * limit.
 */
const MAX_NAME_LENGTH = 40;
/** Longer names are cut before they are cleaned, because a peer can send 64 KiB. */
const MAX_RAW_NAME_LENGTH = 1_000;
/** Maximum length of a displayed id. An id may have 64 characters, but a tile fits about 20. */
const MAX_SHOWN_ID_LENGTH = 20;
const SHORT_ID_LENGTH = 12;
/** An id that the server has made out of a key. */
const ID_FROM_KEY = /^k\.[\w-]{22}$/;
// One byte selects a syllable: 4 bits select the consonant and 2 bits the vowel.
const CONSONANTS = 'bdfghjklmnprstvz';
const VOWELS = 'aiou';

/** The stream of our camera and microphone. */
export const ownStream = new MediaStream();

/** The last `hello` of each peer. @type {WeakMap<Pick<Peer, "id">, { name: string, streamId: unknown }>} */
const hellos = new WeakMap();
/**
 * Ids of the peers with a connection. Reading `peer.connection` instead would create a connection.
 */
const idsWithConnection = new Set();
/** Callbacks for each `hello`. @type {((peer: Peer) => void)[]} */
const listeners = [];
/** The peers whose name has changed since the last frame. @type {Set<Peer>} */
const renamed = new Set();

/**
 * Updates the roster from the events of a room. Call this function before other modules add
 * listeners, because these listeners read the roster.
 * @param {Room} room
 * @param {string} name our display name, or an empty string
 */
export function startRoster(room, name) {
  on(room, 'trace', ({ peer: id, type }) => {
    if (type === 'create-connection') idsWithConnection.add(id);
  });
  on(room, 'signal', ({ from, type, payload }) => {
    const peer = room.peers.get(from);
    if (type !== 'hello' || !peer) return;
    const isFirst = !hellos.has(peer);
    hellos.set(peer, { name: sanitizeName(payload?.name), streamId: payload?.stream });
    if (isFirst) return listeners.forEach((listener) => listener(peer));
    renamed.add(peer);
    showRenamed();
  });
  on(room, 'peer', ({ peer }) => {
    room.signal('hello', { name, stream: ownStream.id }, peer.id);
  });
  on(room, 'relation', ({ peer, relation }) => {
    if (relation === 'none' || relation === 'declined') idsWithConnection.delete(peer.id);
  });
  on(room, 'leave', ({ peer }) => idsWithConnection.delete(peer.id));
  const showRenamed = oncePerFrame(() => {
    for (const peer of renamed)
      if (room.peers.get(peer.id) === peer) listeners.forEach((listener) => listener(peer));
    renamed.clear();
  });
}

/**
 * Calls the listener when the name of a peer is known or has changed.
 * @param {(peer: Peer) => void} listener
 */
export function onHello(listener) {
  listeners.push(listener);
}

/** Returns the display name of a peer, or a short name for its id. @param {Pick<Peer, "id">} peer */
export function nameOf(peer) {
  return hellos.get(peer)?.name || shortName(peer.id);
}

/** @param {string} id */
function shortName(id) {
  const bytes = new TextEncoder().encode(id);
  if (ID_FROM_KEY.test(id))
    return `${pronounceable(bytes.slice(2, 4))}-${pronounceable(bytes.slice(4, 6))}`;
  return id.length > MAX_SHOWN_ID_LENGTH ? `${id.slice(0, SHORT_ID_LENGTH)}…` : id;
}

/** Returns a word with a syllable for each byte, which people can read aloud. @param {Uint8Array} bytes */
export function pronounceable(bytes) {
  return [...bytes].map((byte) => CONSONANTS[byte & 15] + VOWELS[(byte >> 4) & 3]).join('');
}

/**
 * Returns the id of the stream with the peer's camera and microphone. All other streams are shared
 * screens. The id is unchecked: a peer can send a value of any type.
 * @param {Peer} peer
 */
export function ownStreamIdOf(peer) {
  return hellos.get(peer)?.streamId;
}

/**
 * Returns the peer's connection, or null. Unlike `peer.connection`, this function creates no
 * connection.
 * @param {Peer} peer
 */
export function connectionOf(peer) {
  return peer.relation === 'accepted' && idsWithConnection.has(peer.id) ? peer.connection : null;
}

/**
 * Makes a display name safe to show: one line, without control characters or direction overrides.
 * @param {unknown} name
 */
export function sanitizeName(name) {
  return (typeof name === 'string' ? name : '')
    .slice(0, MAX_RAW_NAME_LENGTH)
    .replace(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, MAX_NAME_LENGTH);
}
