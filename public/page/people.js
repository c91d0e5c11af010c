// @ts-check
/**
 * The people in the room: a tile for each peer, with its name, connection state and buttons. In a
 * lobby, the buttons send, accept and decline connection requests.
 */

import {
  byId,
  clearProblem,
  createButton,
  helpLink,
  on,
  query,
  setText,
  showProblem,
} from './dom.js';
import { isStepByStep } from './handshake.js';
import { openInside } from './inside.js';
import { connectionOf, nameOf, onHello } from './roster.js';
import { ensureTile, removeTile, showName } from './stage.js';
import { announce } from './talk.js';
import { PEER_TEXT } from './texts.js';
import { openVerification, updateVerification } from './verify.js';

/** @import { Peer, Room } from "../room.js" */

/**
 * Timeout for a connection attempt, in milliseconds. After the timeout, the page reports that there
 * is no path, because a browser may stay in `connecting` and never report `failed`.
 */
const CONNECT_TIMEOUT = 15_000;

/** Peers whose connection was lost or never established. @type {Set<Peer>} */
const lostPeers = new Set();
/**
 * Peers whose arrival the chat has announced. The chat announces a peer when its `hello` arrives,
 * because `hello` contains the name. Other clients send no `hello`: the chat announces these peers
 * when they are connected.
 * @type {WeakSet<Peer>}
 */
const announcedPeers = new WeakSet();

/** @param {Room} room @param {string} name our display name, or an empty string @param {boolean} lobby */
export function startPeople(room, name, lobby) {
  const showSelf = () => {
    const id = room.id ?? '';
    const own = name || (id && nameOf({ id }));
    showName('self', id, own ? `${own} (you)` : 'You');
  };
  showSelf();
  on(room, 'state', showSelf); // the first `welcome` contains our id
  on(room, 'trace', ({ peer: id, type }) => {
    if (type !== 'set-remote-description') return;
    setTimeout(() => {
      const peer = room.peers.get(id ?? '');
      const connection = peer && connectionOf(peer);
      // In step-by-step mode, the user decides how long a connection takes.
      if (connection && connection.connectionState !== 'connected' && !isStepByStep())
        showNoPath(peer);
    }, CONNECT_TIMEOUT);
  });
  onHello((peer) => {
    showPeer(peer, lobby);
    announceArrival(peer);
  });
  on(room, 'peer', ({ peer }) => {
    showPeer(peer, lobby);
    showCount(room);
  });
  on(room, 'change', ({ peer }) => {
    showPeer(peer, lobby);
    if (peer.ready) announceArrival(peer);
  });
  on(room, 'request', ({ peer }) => announce(`${nameOf(peer)} wants to connect`));
  on(room, 'relation', ({ peer, relation, previous }) => {
    const name = nameOf(peer);
    const ended = relation === 'none' && previous;
    if (relation === 'declined') announce(`${name} declined`);
    if (ended === 'asked') announce(`${name} cancelled the request`);
    if (ended === 'accepted') announce(`Call with ${name} ended`);
    showPeer(peer, lobby);
  });
  on(room, 'leave', ({ peer }) => {
    removeTile(peer);
    updateVerification(peer);
    clearPeerProblem(peer);
    if (announcedPeers.has(peer)) announce(`${nameOf(peer)} left`);
    showCount(room);
  });
}

/** @param {Peer} peer */
function announceArrival(peer) {
  if (!announcedPeers.has(peer)) announce(`${nameOf(peer)} joined`);
  announcedPeers.add(peer);
}

/** @param {Peer} peer @param {boolean} lobby */
function showPeer(peer, lobby) {
  const name = nameOf(peer);
  showName(peer, peer.id, name);
  const connection = connectionOf(peer);
  const state = connection?.connectionState ?? peer.relation;
  const line = query(ensureTile(peer), '.connection');
  const chatPending = state === 'connected' && !peer.ready;
  line.dataset.state = state;
  setText(line, chatPending ? 'connecting chat…' : PEER_TEXT[state]);
  showChoices(peer, name, lobby, state === 'connected');
  updateVerification(peer);
  if (state === 'connected' && lostPeers.has(peer)) announce(`${name} reconnected`);
  if (state === 'connected' || !connection) clearPeerProblem(peer);
  if (state === 'failed') showNoPath(peer);
  if (state === 'disconnected') showLost(peer);
}

/**
 * Shows the buttons for the relation. Replaces the buttons only when they change, because a replaced
 * button loses the keyboard focus.
 * @param {Peer} peer
 * @param {string} name
 * @param {boolean} lobby
 * @param {boolean} connected
 */
function showChoices(peer, name, lobby, connected) {
  const choices = query(ensureTile(peer), '.choices');
  const shown = `${peer.relation} ${connected} ${name}`;
  if (choices.dataset.shown === shown) return;
  choices.dataset.shown = shown;
  const hadFocus = choices.contains(document.activeElement);
  const inside = createButton('Look inside', () => openInside(peer.id));
  const buttons = {
    none: [createButton('Ask to connect', () => peer.request())],
    requested: [createButton('Cancel request', () => peer.cancel())],
    asked: [
      createButton('Accept', () => peer.accept()),
      createButton('Decline', () => peer.decline()),
    ],
    declined: [createButton('Ask again', () => peer.request())],
    accepted: lobby ? [inside, createButton('Hang up', () => peer.cancel())] : [inside],
  }[peer.relation];
  if (connected) buttons.push(createButton('Verify', () => openVerification(peer)));
  for (const button of buttons) button.setAttribute('aria-label', `${button.textContent}: ${name}`);
  choices.replaceChildren(...buttons);
  if (hadFocus) buttons[0].focus();
}

/** @param {Peer} peer */
function showLost(peer) {
  lostPeers.add(peer);
  showProblem(problemKey(peer), `Connection to ${nameOf(peer)} lost. Reconnecting…`);
}

/** @param {Peer} peer */
function showNoPath(peer) {
  lostPeers.add(peer);
  const { iceServers } = peer.connection.getConfiguration();
  const hasTurn = JSON.stringify(iceServers).includes('turn');
  const relay = hasTurn ? ' The relay couldn’t connect you either.' : '';
  showProblem(
    problemKey(peer),
    `Your networks block a direct connection to ${nameOf(peer)}.${relay} Try mobile data or other Wi-Fi.`,
    helpLink('Details for admins', '/help.html#turn'),
  );
}

/** @param {Peer} peer */
function clearPeerProblem(peer) {
  lostPeers.delete(peer);
  clearProblem(problemKey(peer));
}

/** @param {Peer} peer */
const problemKey = ({ id }) => `peer ${id}`;

/** Shows the number of people in the room. @param {Room} room */
export function showCount({ peers, state }) {
  const count = peers.size ? `${peers.size + 1} people here` : 'Only you are here';
  setText(byId('count'), state === 'joined' ? count : '');
}
