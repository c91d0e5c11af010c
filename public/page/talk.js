// @ts-check
/**
 * The chat and the call. The chat marks unread messages and messages that wait for a connection. In
 * the call, camera and microphone share one stream, whose id is in the `hello` signal
 * (`roster.js`). All other streams are shared screens.
 */

import {
  appendRows,
  byId,
  clearProblem,
  cloneTemplate,
  createButton,
  createElement,
  isAtEnd,
  linkified,
  on,
  query,
  setText,
  setTime,
  showProblem,
} from './dom.js';
import { nameOf, ownStream, ownStreamIdOf } from './roster.js';
import { ensureTile, removeTile, showName, showStream } from './stage.js';
import { DEVICE_ERROR_TEXT, pausedText } from './texts.js';

/**
 * @import { Peer, Room } from "../room.js"
 * @typedef {HTMLButtonElement} Toggle
 */

/** Maximum number of messages in the chat. The oldest message is removed first. */
const MAX_MESSAGES = 500;

const log = byId('log');
/**
 * Our messages that wait for data channels, each with the peers whose channel is not open yet.
 * @type {Map<Element, Set<Peer>>}
 */
const lateMessages = new Map();
const unreadMark = createElement('p', 'new', 'New');
let unreadCount = 0;
let title = document.title;

/** Shared screens of other peers, each with its owner. @type {Map<MediaStream, Peer>} */
const theirScreens = new Map();
/** The screen that we share. @type {MediaStream | null} */
let ownScreen = null;
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
  const field = byId('text', HTMLInputElement);
  byId('say', HTMLFormElement).onsubmit = (event) => {
    event.preventDefault();
    const text = field.value;
    field.value = '';
    sendText(text);
  };
  on(room, 'message', ({ peer, data }) => {
    addMessage('theirs', nameOf(peer), String(data));
    countUnread();
  });
  on(room, 'change', ({ peer }) => {
    if (peer.ready) resolveLate(peer);
    updateComposer();
  });
  on(room, 'peer', updateComposer);
  on(room, 'leave', ({ peer }) => {
    resolveLate(peer, `Not delivered: ${nameOf(peer)} left`);
    updateComposer();
  });
  on(room, 'state', updateComposer);
  log.onscroll = document.onvisibilitychange = window.onfocus = markRead;
  new ResizeObserver(markRead).observe(log); // also fires when the view is shown
  updateComposer();
}

/** Adds a system message, for example that a peer has joined. @param {string} text */
export function announce(text) {
  addMessage('nobody', '', text);
  // Screen readers do not read the log while the other view hides it.
  if (!log.clientHeight) setText(byId('news'), text);
}

/** @param {string} text */
function sendText(text) {
  const row = addMessage('mine', 'You', text);
  const late = new Set();
  for (const peer of acceptedPeers()) {
    try {
      peer.send(text);
      if (!peer.ready) late.add(peer);
    } catch {
      announce(`Not sent to ${nameOf(peer)}: too many unsent messages`);
    }
  }
  if (late.size) lateMessages.set(row, late);
  showLate(row);
}

/**
 * Stops waiting for a peer, after the data channel has sent the messages or the messages are lost.
 * @param {Peer} peer
 * @param {string} [lostText] text to show with each lost message
 */
function resolveLate(peer, lostText) {
  for (const [row, late] of lateMessages) {
    if (!late.delete(peer)) continue;
    if (lostText) row.append(createElement('span', 'late', lostText));
    showLate(row);
    if (!late.size) lateMessages.delete(row);
  }
}

/** @param {Element} row */
function showLate(row) {
  const names = [...(lateMessages.get(row) ?? [])].map(nameOf);
  query(row, '.late').textContent = names.length ? `Sending to ${names.join(', ')}…` : '';
}

/** Returns the peers that receive our messages, now or when they are connected. */
function acceptedPeers() {
  return [...room.peers.values()].filter(({ relation }) => relation === 'accepted');
}

/** Enables or disables the message field, and explains why a message cannot be delivered yet. */
function updateComposer() {
  const peers = acceptedPeers();
  const someReady = peers.some(({ ready }) => ready);
  const isOver = room.state === 'closed' && !someReady;
  let text = someReady ? '' : 'Messages are sent once you’re connected.';
  if (!peers.length) text = 'Connect to someone to chat.';
  if (!room.peers.size) text = 'You’re the only one here.';
  if (isOver) text = 'You’re not connected to this room.';
  setText(byId('can-go'), text);
  byId('text', HTMLInputElement).disabled = isOver;
  byId('send', HTMLButtonElement).disabled = isOver || !peers.length;
}

/** @param {"mine" | "theirs" | "nobody"} author @param {string} name @param {string} text */
function addMessage(author, name, text) {
  const row = cloneTemplate('line');
  const now = new Date();
  row.dataset.whose = author;
  query(row, '.name').textContent = name;
  query(row, '.text').append(...linkified(text));
  setTime(row, now, now.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
  if (author === 'mine') log.scrollTop = log.scrollHeight;
  appendRows(log, MAX_MESSAGES, row);
  return row;
}

/** Returns whether the user can see the end of the chat. */
function canSeeEnd() {
  return (
    document.visibilityState === 'visible' &&
    document.hasFocus() &&
    log.clientHeight > 0 &&
    isAtEnd(log)
  );
}

function countUnread() {
  if (canSeeEnd()) return unreadMark.remove();
  if (!unreadCount) log.lastElementChild?.before(unreadMark);
  showUnread(unreadCount + 1);
}

/**
 * Resets the counter. The "New" marker stays until a message arrives while the user sees the end of
 * the chat.
 */
function markRead() {
  if (unreadCount && canSeeEnd()) showUnread(0);
}

/** @param {number} count */
function showUnread(count) {
  unreadCount = count;
  setText(byId('unread'), count ? `${count}` : '');
  document.title = count ? `(${count}) ${title}` : title;
}

function startCall() {
  for (const [device, kind] of [
    ['camera', 'video'],
    ['microphone', 'audio'],
  ]) {
    setUpToggle(device, async (toggle) => {
      const track = ownStream.getTracks().find((track) => track.kind === kind);
      if (track) return stopTrack(toggle, track, ownStream);
      const granted = await navigator.mediaDevices.getUserMedia({ [kind]: true });
      startTrack(toggle, granted.getTracks()[0], ownStream);
    });
  }
  // Browsers of phones cannot capture the screen.
  byId('screen').hidden = Boolean(
    navigator.mediaDevices && !navigator.mediaDevices.getDisplayMedia,
  );
  setUpToggle('screen', async (toggle) => {
    const shared = ownScreen;
    if (shared) return shared.getTracks().forEach((track) => stopTrack(toggle, track, shared));
    ownScreen = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: true });
    for (const track of ownScreen.getTracks()) startTrack(toggle, track, ownScreen);
    showName(ownScreen, '', 'Your screen');
    showScreen(ownScreen).muted = true;
  });
  ensureTile('self').classList.add('mirrored');
  on(room, 'peer', ({ peer }) => {
    for (const stream of ownScreen ? [ownStream, ownScreen] : [ownStream])
      for (const track of stream.getTracks()) sendTrack(peer, track, stream);
  });
  on(room, 'track', ({ peer, streams }) =>
    streams.forEach((stream) => receiveStream(peer, stream)),
  );
  on(room, 'leave', ({ peer }) => {
    for (const [stream, owner] of theirScreens) if (owner === peer) removeScreen(stream);
  });
}

/** @param {string} device @param {(toggle: Toggle) => Promise<unknown>} press */
function setUpToggle(device, press) {
  const toggle = byId(device, HTMLButtonElement);
  on(room, 'close', () => updateToggle(toggle));
  toggle.onclick = async () => {
    if (toggle.ariaDisabled === 'true') return;
    toggle.ariaDisabled = 'true'; // disabled while the browser asks the user for permission
    try {
      await press(toggle);
      clearProblem(device);
    } catch (error) {
      showProblem(device, deviceErrorText(device, error));
    }
    updateToggle(toggle);
  };
}

/**
 * Disables a button that is off after the room is closed: without the server, no new track can be
 * negotiated. Sets `aria-disabled`, because keyboard users cannot focus a `disabled` button and
 * would not learn the reason.
 * @param {Toggle} toggle
 */
function updateToggle(toggle) {
  const isOver = room.state === 'closed';
  toggle.ariaDisabled = String(isOver && toggle.ariaPressed === 'false');
  const text = 'You can’t start sharing without the server.';
  if (isOver) setText(byId('can-share'), text);
}

/** @param {Toggle} toggle @param {MediaStreamTrack} track @param {MediaStream} stream */
function startTrack(toggle, track, stream) {
  stream.addTrack(track);
  // The user has unplugged the device, or has stopped sharing with the browser's own button.
  track.onended = () => stopTrack(toggle, track, stream);
  // Safari pauses the camera and the microphone of a page while another page uses them.
  if (stream === ownStream) {
    track.onmute = () => showProblem(toggle.id, pausedText(toggle.id));
    track.onunmute = () => clearProblem(toggle.id);
  }
  for (const peer of room.peers.values()) sendTrack(peer, track, stream);
  toggle.ariaPressed = 'true';
  if (stream === ownStream) showStream('self', ownStream).muted = true;
}

/** @param {Toggle} toggle @param {MediaStreamTrack} track @param {MediaStream} stream */
function stopTrack(toggle, track, stream) {
  track.stop();
  stream.removeTrack(track);
  for (const { connection } of room.peers.values()) {
    const sender = connection.getSenders().find((sender) => sender.track === track);
    if (sender && connection.signalingState !== 'closed') connection.removeTrack(sender);
  }
  toggle.ariaPressed = 'false';
  updateToggle(toggle);
  if (stream === ownStream) return showStream('self', ownStream);
  removeTile(stream);
  ownScreen = null;
}

/** @param {Peer} peer @param {MediaStreamTrack} track @param {MediaStream} stream */
function sendTrack({ connection }, track, stream) {
  // Reuse an idle transceiver: `addTrack` would add an m-line to the SDP at every toggle.
  const idle = connection
    .getTransceivers()
    .find(
      ({ sender, receiver, direction }) =>
        !sender.track && receiver.track.kind === track.kind && direction !== 'stopped',
    );
  if (!idle) return connection.addTrack(track, stream);
  idle.sender.replaceTrack(track);
  idle.sender.setStreams(stream);
  idle.direction = 'sendrecv';
}

/** @param {Peer} peer @param {MediaStream} stream */
function receiveStream(peer, stream) {
  // Without a `hello`, the page cannot distinguish a shared screen from the camera, and shows the
  // stream as the camera.
  const isScreen = stream.id !== (ownStreamIdOf(peer) ?? stream.id);
  const show = () => {
    if (!isScreen) return playVideo(showStream(peer, stream));
    if (!stream.getVideoTracks().length) return removeScreen(stream);
    theirScreens.set(stream, peer);
    showName(stream, peer.id, `${nameOf(peer)}’s screen`);
    playVideo(showScreen(stream));
  };
  stream.onaddtrack = stream.onremovetrack = show;
  for (const track of stream.getTracks()) track.onmute = track.onunmute = show;
  show();
}

/** @param {MediaStream} stream */
function showScreen(stream) {
  ensureTile(stream).classList.add('screen');
  return showStream(stream, stream);
}

/** @param {MediaStream} stream */
function removeScreen(stream) {
  theirScreens.delete(stream);
  removeTile(stream);
}

/** @param {HTMLVideoElement} video */
async function playVideo(video) {
  try {
    await video.play();
  } catch (error) {
    // An AbortError means that a newer stream has replaced this stream.
    if (/** @type {Error} */ (error).name !== 'NotAllowedError') return;
    const playAll = createButton('Tap to hear', () => {
      clearProblem('play');
      for (const video of document.querySelectorAll('video')) video.play();
    });
    showProblem('play', 'The sound is off.', playAll);
  }
}

/** @param {string} device @param {unknown} error */
function deviceErrorText(device, error) {
  // Browsers define `mediaDevices` in secure contexts only.
  if (!navigator.mediaDevices) {
    return `Browsers allow the ${device} only on https pages and on localhost. Open this page over https.`;
  }
  const { name, message } = /** @type {Error} */ (error);
  return DEVICE_ERROR_TEXT[name]?.(device) ?? `The ${device} did not start: ${message}`;
}
