// @ts-check
/**
 * What people say to each other: text, with what is not read yet and what cannot go yet; sound and
 * pictures. Everyone has one stream of their own, whose id the `hello` names (`people.js`); any
 * other is a screen.
 */

import {
  append,
  button,
  clearProblem,
  element,
  fromTemplate,
  html,
  isAtEnd,
  make,
  on,
  part,
  setText,
  setTime,
  showProblem,
} from './dom.js';
import { nameOf, own, ownStreamOf, remove, showName, showStream, tile } from './people.js';

/**
 * @import { Peer, Room } from "../room.js"
 * @typedef {HTMLButtonElement} Control
 */

const LINES_MOST = 500;

const log = html('log');
/** Lines of ours, and those whose channel they wait for. @type {Map<Element, Set<Peer>>} */
const waiting = new Map();
const newLine = make('p', 'new', 'New');
let unread = 0;
let title = document.title;

/** By the name of the error. @type {Record<string, (what: string) => string>} */
const DEVICE = {
  NotAllowedError: (what) =>
    `The browser was not allowed to use the ${what}. Allow it beside the address, then try again.`,
  NotFoundError: (what) => `No ${what} was found. Plug one in, then try again.`,
  NotReadableError: (what) =>
    `The ${what} is in use by another program. Close it there, then try again.`,
};

/** Theirs, each with whose it is. @type {Map<MediaStream, Peer>} */
const screens = new Map();
/** Ours, while it is shared. @type {MediaStream | null} */
let screen = null;
/** @type {Room} */
let room;

/** @param {Room} entered */
export function startTalk(entered) {
  room = entered;
  startChat();
  startCall();
}

function startChat() {
  title = document.title = `${room.name} · partyline`;
  const field = element('text', HTMLInputElement);
  element('say', HTMLFormElement).onsubmit = (event) => {
    event.preventDefault();
    const text = field.value;
    field.value = '';
    write(text);
  };
  on(room, 'message', ({ peer, data }) => {
    say('theirs', nameOf(peer.id), String(data));
    noteUnread();
  });
  on(room, 'change', ({ peer }) => {
    if (peer.ready) settle(peer);
    showWhetherItCanGo();
  });
  on(room, 'peer', showWhetherItCanGo);
  on(room, 'leave', ({ peer }) => {
    settle(peer, `${nameOf(peer.id)} left before it could go`);
    showWhetherItCanGo();
  });
  on(room, 'state', showWhetherItCanGo);
  log.onscroll = document.onvisibilitychange = window.onfocus = read;
  new ResizeObserver(read).observe(log); // the view is shown
  showWhetherItCanGo();
}

/** @param {string} text that somebody came, or went */
export function tell(text) {
  say('nobody', '', text);
  if (!log.clientHeight) setText(html('news'), text); // the other view is shown
}

/** @param {string} text */
function write(text) {
  const row = say('mine', 'You', text);
  const late = new Set();
  for (const peer of readers()) {
    try {
      peer.send(text);
      if (!peer.ready) late.add(peer);
    } catch {
      tell(`${nameOf(peer.id)} does not get it: too much waits already`);
    }
  }
  if (late.size) waiting.set(row, late);
  showLate(row);
}

/** What waited for it has gone, or is lost. @param {Peer} peer @param {string} [lost] */
function settle(peer, lost) {
  for (const [row, late] of waiting) {
    if (!late.delete(peer)) continue;
    if (lost) row.append(make('span', 'late', lost));
    showLate(row);
    if (!late.size) waiting.delete(row);
  }
}

/** @param {Element} row */
function showLate(row) {
  const names = [...(waiting.get(row) ?? [])].map(({ id }) => nameOf(id));
  part(row, '.late').textContent = names.length ? `Waits for ${names.join(', ')}` : '';
}

/** Whom we are connected with, or soon will be. */
function readers() {
  return [...room.peers.values()].filter(({ relation }) => relation === 'accepted');
}

function showWhetherItCanGo() {
  const peers = readers();
  const some = peers.some(({ ready }) => ready);
  const over = room.state === 'closed' && !some;
  let words = some ? '' : 'What you send waits for a connection.';
  if (!peers.length) words = 'You are connected with nobody yet.';
  if (!room.peers.size) words = 'Nobody is here to read it yet.';
  if (over) words = 'The room is closed.';
  setText(html('can-go'), words);
  element('text', HTMLInputElement).disabled = over;
  element('send', HTMLButtonElement).disabled = over || !peers.length;
}

/** @param {"mine" | "theirs" | "nobody"} whose @param {string} name @param {string} text */
function say(whose, name, text) {
  const row = fromTemplate('line');
  const now = new Date();
  row.dataset.whose = whose;
  part(row, '.name').textContent = name;
  part(row, '.text').textContent = text;
  setTime(row, now, now.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
  if (whose === 'mine') log.scrollTop = log.scrollHeight;
  append(log, row, LINES_MOST);
  return row;
}

function isRead() {
  return (
    document.visibilityState === 'visible' &&
    document.hasFocus() &&
    log.clientHeight &&
    isAtEnd(log)
  );
}

function noteUnread() {
  if (isRead()) return newLine.remove();
  if (!unread) log.lastElementChild?.before(newLine);
  showUnread(unread + 1);
}

function read() {
  if (unread && isRead()) showUnread(0); // the mark stays until the next message is read at once
}

/** @param {number} count */
function showUnread(count) {
  unread = count;
  setText(html('unread'), unread ? `${unread}` : '');
  document.title = unread ? `(${unread}) ${title}` : title;
}

function startCall() {
  for (const [what, kind] of [
    ['camera', 'video'],
    ['microphone', 'audio'],
  ]) {
    onToggle(what, async (control) => {
      const track = own.getTracks().find((track) => track.kind === kind);
      if (track) return stop(control, track, own);
      const got = await navigator.mediaDevices.getUserMedia({ [kind]: true });
      start(control, got.getTracks()[0], own);
    });
  }
  onToggle('screen', async (control) => {
    const shared = screen;
    if (shared) return shared.getTracks().forEach((track) => stop(control, track, shared));
    screen = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: true });
    for (const track of screen.getTracks()) start(control, track, screen);
    showName(screen, '', 'Your screen');
    showScreen(screen).muted = true;
  });
  tile('self').classList.add('mirrored');
  on(room, 'peer', ({ peer }) => {
    for (const stream of screen ? [own, screen] : [own])
      for (const track of stream.getTracks()) send(peer, track, stream);
  });
  on(room, 'track', ({ peer, streams }) => streams.forEach((stream) => receive(peer, stream)));
  on(room, 'leave', ({ peer }) => {
    for (const [stream, whose] of screens) if (whose === peer) drop(stream);
  });
}

/** @param {string} what @param {(control: Control) => Promise<unknown>} press */
function onToggle(what, press) {
  const control = element(what, HTMLButtonElement);
  on(room, 'close', () => allow(control));
  control.onclick = async () => {
    if (control.ariaDisabled === 'true') return;
    control.ariaDisabled = 'true'; // one at a time: the browser may be asking its user
    try {
      await press(control);
      clearProblem(what);
    } catch (error) {
      showProblem(what, deviceWords(what, error));
    }
    allow(control);
  };
}

/**
 * Nothing new can be agreed on without the server; what is on can still be turned off. Not
 * `disabled`, which would keep the keyboard from learning why.
 * @param {Control} control
 */
function allow(control) {
  const over = room.state === 'closed';
  control.ariaDisabled = String(over && control.ariaPressed === 'false');
  if (over) setText(html('can-share'), 'Nothing new can be shared: that would take the server.');
}

/** @param {Control} control @param {MediaStreamTrack} track @param {MediaStream} stream */
function start(control, track, stream) {
  stream.addTrack(track);
  track.onended = () => stop(control, track, stream); // unplugged, or the browser's own button
  for (const peer of room.peers.values()) send(peer, track, stream);
  control.ariaPressed = 'true';
  if (stream === own) showStream('self', own).muted = true;
}

/** @param {Control} control @param {MediaStreamTrack} track @param {MediaStream} stream */
function stop(control, track, stream) {
  track.stop();
  stream.removeTrack(track);
  for (const { connection } of room.peers.values()) {
    const sender = connection.getSenders().find((sender) => sender.track === track);
    if (sender && connection.signalingState !== 'closed') connection.removeTrack(sender);
  }
  control.ariaPressed = 'false';
  allow(control);
  if (stream === own) return showStream('self', own);
  remove(stream);
  screen = null;
}

/** @param {Peer} peer @param {MediaStreamTrack} track @param {MediaStream} stream */
function send({ connection }, track, stream) {
  // A place that is free: with `addTrack` the session would grow with each press.
  const free = connection
    .getTransceivers()
    .find(
      ({ sender, receiver, direction }) =>
        !sender.track && receiver.track.kind === track.kind && direction !== 'stopped',
    );
  if (!free) return connection.addTrack(track, stream);
  free.sender.replaceTrack(track);
  free.sender.setStreams(stream);
  free.direction = 'sendrecv';
}

/** @param {Peer} peer @param {MediaStream} stream */
function receive(peer, stream) {
  const isScreen = stream.id !== (ownStreamOf(peer.id) ?? stream.id);
  const show = () => {
    if (!isScreen) return play(showStream(peer, stream));
    if (!stream.getVideoTracks().length) return drop(stream);
    screens.set(stream, peer);
    showName(stream, peer.id, `${nameOf(peer.id)}’s screen`);
    play(showScreen(stream));
  };
  stream.onaddtrack = stream.onremovetrack = show;
  for (const track of stream.getTracks()) track.onmute = track.onunmute = show;
  show();
}

/** @param {MediaStream} stream */
function showScreen(stream) {
  tile(stream).classList.add('screen');
  return showStream(stream, stream);
}

/** @param {MediaStream} stream */
function drop(stream) {
  screens.delete(stream);
  remove(stream);
}

/** @param {HTMLVideoElement} video */
async function play(video) {
  try {
    await video.play();
  } catch (error) {
    // Otherwise a newer picture came first.
    if (/** @type {Error} */ (error).name !== 'NotAllowedError') return;
    const again = button('Play', () => {
      clearProblem('play');
      for (const each of document.querySelectorAll('video')) each.play();
    });
    showProblem('play', 'The browser keeps the sound off until you ask for it.', again);
  }
}

/** @param {string} what @param {unknown} error */
function deviceWords(what, error) {
  if (!navigator.mediaDevices) {
    return `The ${what} can be used over https and on localhost only. Open this page there.`;
  }
  const { name, message } = /** @type {Error} */ (error);
  return DEVICE[name]?.(what) ?? `The ${what} cannot be used: ${message}`;
}
