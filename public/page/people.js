// @ts-check
/**
 * Who is here, by which name, how each is connected, and in a lobby, who asks whom; each in a tile.
 * Names and stream ids go round as a signal of this page's own, `hello`.
 *
 * Tiles and what is in them are placed by `transform` alone: they glide, and no layout shifts.
 */

import { button, clearProblem, fromTemplate, html, on } from './dom.js';
import { part, remedy, setText, showProblem } from './dom.js';
import { look } from './inside.js';
import { tell } from './talk.js';

/** @import { Peer, Room } from "../room.js" */

/** Our camera and microphone. */
export const own = new MediaStream();

const GAP = 12;
const LOWEST = 128; // with more people than fit, the stage scrolls
const PATH_WITHIN = 15_000; // the browser may never give up

/** By peer, or what else has one. @type {Map<unknown, HTMLElement>} */
const tiles = new Map();
const stage = html('stage');
new ResizeObserver(place).observe(stage);

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
  return hellos.get(id)?.name || (id.length > 20 ? `${id.slice(0, 12)}…` : id);
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
  on(room, 'trace', ({ peer: id, type }) => {
    if (type === 'create-connection') begun.add(id);
    if (type !== 'set-remote-description') return;
    setTimeout(() => {
      const peer = room.peers.get(id ?? '');
      const connection = peer && connectionOf(peer);
      const byStep = !html('steps').hidden; // takes longer
      if (connection && connection.connectionState !== 'connected' && !byStep) showNoPath(peer);
    }, PATH_WITHIN);
  });
  on(room, 'signal', ({ from, type, payload }) => {
    if (type !== 'hello') return;
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
  on(room, 'relation', ({ peer, relation, previous }) => {
    if (relation === 'none' || relation === 'declined') begun.delete(peer.id);
    const name = nameOf(peer.id);
    const over = relation === 'none' && previous;
    if (relation === 'declined') tell(`${name} has declined`);
    if (over === 'asked') tell(`The request of ${name} is over`);
    if (over === 'accepted') tell(`The connection with ${name} is over`);
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
  const line = part(tile(peer), '.connection');
  line.dataset.state = state;
  setText(line, words);
  showChoices(peer, name, lobby);
  if (state === 'connected' && lost.has(peer)) tell(`${name} is back`);
  if (state === 'connected' || !connection) calm(peer);
  if (state === 'failed') showNoPath(peer);
  if (state !== 'disconnected') return;
  lost.add(peer);
  const soon = 'It is mended by itself as soon as both networks let it.';
  showProblem(`peer ${peer.id}`, `The connection with ${name} is lost. ${soon}`);
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

/** @param {Peer} peer */
function showNoPath(peer) {
  lost.add(peer);
  const { iceServers } = peer.connection.getConfiguration();
  const hasRelay = JSON.stringify(iceServers).includes('turn');
  const words = hasRelay ? 'Not even the TURN server reaches both.' : 'A TURN server is needed.';
  clearProblem(`peer ${peer.id}`);
  showProblem(
    `peer ${peer.id}`,
    `There is no path between you and ${nameOf(peer.id)}. ${words}`,
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

/** A name as it can be shown. @param {unknown} name */
export function tidy(name) {
  return (typeof name === 'string' ? name : '')
    .replace(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, 40);
}

/** Made if there is none. @param {unknown} key */
export function tile(key) {
  const known = tiles.get(key);
  if (known) return known;
  const made = fromTemplate('tile');
  add(key, made);
  // A picture that has stopped must not stay as if it were live.
  for (const type of ['resize', 'emptied', 'loadeddata'])
    videoIn(made).addEventListener(type, () => showPicture(made));
  return made;
}

/** @param {HTMLElement} tile */
function videoIn(tile) {
  return /** @type {HTMLVideoElement} */ (part(tile, 'video'));
}

/** @param {unknown} key @param {HTMLElement} made */
export function add(key, made) {
  tiles.set(key, made);
  stage.append(made);
  place();
}

/** @param {unknown} key */
export function remove(key) {
  tiles.get(key)?.remove();
  if (tiles.delete(key)) place();
}

/** @param {unknown} key @param {string} id @param {string} name */
export function showName(key, id, name, title = id) {
  const made = tile(key);
  const face = part(made, '.face');
  setText(face, [...name][0] ?? '');
  face.style.setProperty('--hue', `${hue(id)}`);
  setText(part(made, '.name'), name);
  part(made, '.name').title = title;
}

/** @param {unknown} key @param {MediaStream | null} stream */
export function showStream(key, stream) {
  const made = tile(key);
  const video = videoIn(made);
  if (video.srcObject !== stream) video.srcObject = stream;
  showPicture(made);
  return video;
}

/** Shows the face unless there is a picture. @param {HTMLElement} tile */
function showPicture(tile) {
  const { srcObject, readyState } = videoIn(tile);
  const stream = /** @type {MediaStream | null} */ (srcObject);
  const live = (/** @type {MediaStreamTrack} */ track) => track.readyState === 'live';
  // Not by `muted`: when offers have crossed, Chromium leaves that on a track whose pictures come.
  const comes = readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  tile.classList.toggle('pictured', Boolean(comes && stream?.getVideoTracks().some(live)));
  tile.classList.toggle('heard', Boolean(stream?.getAudioTracks().some(live)));
}

function place() {
  const { clientWidth: width, clientHeight: height } = stage;
  const count = tiles.size;
  if (!width || !count) return;
  let [columns, w, h] = [1, 0, 0];
  for (let tried = 1; tried <= count; tried += 1) {
    // The largest that a tile can be, between 4:3 and 16:9.
    const roomW = each(width, tried);
    const roomH = Math.max(1, each(height, Math.ceil(count / tried)));
    const [itsW, itsH] = [Math.min(roomW, (roomH * 16) / 9), Math.min(roomH, (roomW * 3) / 4)];
    if (itsW * itsH > w * h) [columns, w, h] = [tried, itsW, itsH];
  }
  if (h < LOWEST) {
    [w, h] = [Math.min(width, (LOWEST * 4) / 3), LOWEST];
    columns = Math.floor((width + GAP) / (w + GAP));
  }
  const rows = Math.ceil(count / columns);
  [...tiles.values()].forEach(({ style }, index) => {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, count - row * columns);
    const x = start(width, w, inRow) + (index % columns) * (w + GAP);
    const y = start(height, h, rows) + row * (h + GAP);
    style.width = `${w}px`;
    style.height = `${h}px`;
    style.setProperty('--scale', `${Math.min(1, h / 320)}`);
    style.transform = `translate(${x}px, ${y}px)`;
  });
}

/** How long each of them is. @param {number} all @param {number} many */
const each = (all, many) => (all + GAP) / many - GAP;

/** Where they begin. @param {number} all @param {number} each @param {number} many */
const start = (all, each, many) => Math.max(0, (all + GAP - many * (each + GAP)) / 2);

/** @param {string} id */
const hue = (id) => [...id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 360, 0);
