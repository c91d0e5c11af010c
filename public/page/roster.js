// @ts-check
/**
 * Who is in the room: display names, stream ids, and which peers have a connection. Other modules
 * of the page import this one, which imports only `dom.js`.
 *
 * Names and stream ids travel in `hello`, a signal type of this page.
 */

import { on } from './dom.js';

/** @import { Peer, Room } from "../room.js" */

/** Longest display name, in UTF-16 units. The form of `index.html` has the same limit. */
const MAX_NAME_LENGTH = 40;
/** A peer without a name is shown by its id, which may have 64 characters. Tiles fit about 20. */
const MAX_SHOWN_ID_LENGTH = 20;
const SHORT_ID_LENGTH = 12;

/** Our camera and microphone. */
export const ownStream = new MediaStream();

/** The last `hello` of each peer. @type {WeakMap<Pick<Peer, "id">, { name: string, streamId: unknown }>} */
const hellos = new WeakMap();
/** Ids of the peers with a connection. Reading `peer.connection` would create one. */
const idsWithConnection = new Set();

/**
 * Follows the room. Call this before other modules listen to it, because their listeners read what
 * these listeners store.
 * @param {Room} room
 * @param {string} name our display name, empty if we have none
 */
export function startRoster(room, name) {
  on(room, 'trace', ({ peer: id, type }) => {
    if (type === 'create-connection') idsWithConnection.add(id);
  });
  on(room, 'signal', ({ from, type, payload }) => {
    const peer = room.peers.get(from);
    if (type !== 'hello' || !peer) return;
    hellos.set(peer, { name: sanitizeName(payload?.name), streamId: payload?.stream });
  });
  on(room, 'peer', ({ peer }) => {
    room.signal('hello', { name, stream: ownStream.id }, peer.id);
  });
  on(room, 'relation', ({ peer, relation }) => {
    if (relation === 'none' || relation === 'declined') idsWithConnection.delete(peer.id);
  });
  on(room, 'leave', ({ peer }) => idsWithConnection.delete(peer.id));
}

/** The display name of a peer, or its shortened id. @param {Pick<Peer, "id">} peer */
export function nameOf(peer) {
  const { id } = peer;
  const shortId = id.length > MAX_SHOWN_ID_LENGTH ? `${id.slice(0, SHORT_ID_LENGTH)}…` : id;
  return hellos.get(peer)?.name || shortId;
}

/**
 * The id of the stream with the peer's camera and microphone. Any other stream is a shared screen.
 * The value comes from the peer and can be of any type.
 * @param {Peer} peer
 */
export function ownStreamIdOf(peer) {
  return hellos.get(peer)?.streamId;
}

/** The peer's connection, or null. Never creates one. @param {Peer} peer */
export function connectionOf(peer) {
  return peer.relation === 'accepted' && idsWithConnection.has(peer.id) ? peer.connection : null;
}

/**
 * Makes a display name safe to show: one line, without control characters or direction overrides.
 * @param {unknown} name
 */
export function sanitizeName(name) {
  return (typeof name === 'string' ? name : '')
    .replace(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, MAX_NAME_LENGTH);
}
