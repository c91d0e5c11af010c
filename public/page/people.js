// @ts-check
/**
 * Who is here, by which name, how each is connected; and in a lobby, who asks whom.
 *
 * Names and the id of everyone's own stream go round as a signal of this page's own, `hello`.
 */

import { tell } from './chat.js';
import { button, clearProblem, html, on, part, remedy, setText, showProblem } from './dom.js';
import { look } from './inside.js';
import { remove, showName, showState, tile } from './stage.js';

/** @import { Peer, Room } from "../room.js" */

/** Our camera and microphone. */
export const own = new MediaStream();

const PATH_WITHIN = 15_000; // the library tries anew, so the browser may never give up

/** What their `hello` said. @type {Map<string, { name: string, stream: unknown }>} */
const hellos = new Map();
/** Who has a connection: to ask a peer for it would make one. */
const begun = new Set();
/** Whose connection was lost, or never came about. */
const lost = new Set();
/** Whose coming was told, by the name that their `hello` says. */
const arrived = new WeakSet();

/** @param {string} id */
export function nameOf(id) {
  return hellos.get(id)?.name || short(id);
}

/** The id of its own stream, as it says. @param {string} id */
export function ownStreamOf(id) {
  return hellos.get(id)?.stream;
}

/** @param {Peer} peer */
export function connectionOf(peer) {
  return peer.relation === 'accepted' && begun.has(peer.id) ? peer.connection : null;
}

/** @param {Room} room @param {{ id: string, name: string }} who @param {boolean} lobby */
export function startPeople(room, { id, name }, lobby) {
  showName('self', id, `${name || id} (you)`);
  on(room, 'trace', ({ peer: id, kind }) => {
    if (kind === 'create-connection') begun.add(id);
    if (kind !== 'set-remote-description') return;
    setTimeout(() => {
      const peer = room.peers.get(id ?? '');
      const connection = peer && connectionOf(peer);
      const byStep = !html('steps').hidden; // takes longer
      if (connection && connection.connectionState !== 'connected' && !byStep)
        showNoPath(peer, nameOf(peer.id), connection);
    }, PATH_WITHIN);
  });
  on(room, 'signal', ({ from, kind, payload }) => {
    if (kind !== 'hello') return;
    hellos.set(from, { name: tidy(payload?.name), stream: payload?.stream });
    const peer = room.peers.get(from);
    if (!peer) return;
    showPeer(peer, lobby);
    arrive(peer);
  });
  on(room, 'peer', ({ peer }) => {
    room.signal('hello', { name, stream: own.id }, peer.id);
    showPeer(peer, lobby);
    showCount(room);
  });
  on(room, 'change', ({ peer }) => {
    showPeer(peer, lobby);
    if (peer.ready) arrive(peer);
  });
  on(room, 'request', ({ peer }) => tell(`${nameOf(peer.id)} asks to connect with you`));
  on(room, 'relation', ({ peer, relation, before }) => {
    if (relation === 'none' || relation === 'declined') begun.delete(peer.id);
    const said = wordsFor(nameOf(peer.id), relation, before);
    if (said) tell(said);
    showPeer(peer, lobby);
  });
  on(room, 'leave', ({ peer }) => {
    remove(peer);
    begun.delete(peer.id);
    calm(peer);
    if (arrived.has(peer)) tell(`${nameOf(peer.id)} is gone`);
    hellos.delete(peer.id);
    showCount(room);
  });
}

/** @param {Peer} peer */
function arrive(peer) {
  if (!arrived.has(peer)) tell(`${nameOf(peer.id)} is here`);
  arrived.add(peer);
}

/** @param {Peer} peer @param {boolean} lobby */
function showPeer(peer, lobby) {
  const name = nameOf(peer.id);
  showName(peer, peer.id, name);
  const connection = connectionOf(peer);
  const state = connection?.connectionState ?? peer.relation;
  const words = {
    none: 'not connected',
    requested: 'has not answered yet',
    asked: 'asks to connect with you',
    declined: 'has declined',
    accepted: 'waits for a step',
    new: 'waiting for its offer',
    connecting: 'connecting',
    connected: peer.ready ? 'connected' : 'connected, chat not open',
    disconnected: 'connection lost',
    failed: 'no connection, trying again',
    closed: 'closed',
  }[state];
  showState(peer, state, words);
  showChoices(peer, name, lobby);
  if (connection) showTrouble(peer, name, connection);
  else calm(peer);
}

/** @param {Peer} peer @param {string} name @param {boolean} lobby */
function showChoices(peer, name, lobby) {
  const choices = part(tile(peer), '.choices');
  if (choices.dataset.relation === peer.relation + name) return;
  choices.dataset.relation = peer.relation + name;
  const hadFocus = choices.contains(document.activeElement);
  const inside = button('Look inside', () => look(peer.id));
  const offers = {
    none: [button('Ask to connect', () => peer.request())],
    requested: [button('Take it back', () => peer.cancel())],
    asked: [button('Accept', () => peer.accept()), button('Decline', () => peer.decline())],
    declined: [button('Ask again', () => peer.request())],
    accepted: lobby ? [inside, button('Hang up', () => peer.cancel())] : [inside],
  }[peer.relation];
  for (const offer of offers) offer.setAttribute('aria-label', `${offer.textContent}: ${name}`);
  choices.replaceChildren(...offers);
  if (hadFocus) offers[0].focus();
}

/** @param {string} name @param {string} relation @param {string} before */
function wordsFor(name, relation, before) {
  if (relation === 'declined') return `${name} has declined`;
  if (relation === 'none' && before === 'asked') return `The request of ${name} is over`;
  if (relation === 'none' && before === 'accepted') return `The connection with ${name} is over`;
  return '';
}

/** @param {Peer} peer @param {string} name @param {RTCPeerConnection} connection */
function showTrouble(peer, name, connection) {
  const { connectionState } = connection;
  if (connectionState === 'connected') {
    if (lost.has(peer)) tell(`${name} is back`);
    return calm(peer);
  }
  if (connectionState === 'disconnected') {
    lost.add(peer);
    const words = 'It is mended by itself as soon as both networks let it.';
    showProblem(`peer ${peer.id}`, `The connection with ${name} is lost. ${words}`);
  }
  if (connectionState === 'failed') showNoPath(peer, name, connection);
}

/** @param {Peer} peer @param {string} name @param {RTCPeerConnection} connection */
function showNoPath(peer, name, connection) {
  lost.add(peer);
  const relays = JSON.stringify(connection.getConfiguration().iceServers).includes('turn');
  clearProblem(`peer ${peer.id}`);
  showProblem(
    `peer ${peer.id}`,
    `There is no path between you and ${name}. ` +
      (relays ? 'Not even the TURN server reaches both.' : 'A TURN server is needed.'),
    remedy('What that means', '/help.html#turn'),
  );
}

/** @param {Peer} peer */
function calm(peer) {
  lost.delete(peer);
  clearProblem(`peer ${peer.id}`);
}

/** @param {Room} room */
export function showCount({ peers, state }) {
  const others = peers.size === 1 ? '1 other' : `${peers.size} others`;
  setText(html('count'), state === 'joined' && peers.size ? `, with ${others}` : '');
}

/** An id that the server made has 128 random bits: its start will do. @param {string} id */
function short(id) {
  return id.length > 20 ? `${id.slice(0, 12)}…` : id;
}

/** A name as it can be shown. @param {unknown} name */
export function tidy(name) {
  return (typeof name === 'string' ? name : '')
    .replace(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, 40);
}
