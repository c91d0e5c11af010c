// @ts-check
/**
 * Sound and pictures: our tracks to all who are there, theirs to the stage.
 *
 * A track is added to a connection that is up, or taken off it: the library negotiates anew, nobody
 * reconnects. Everyone has one stream of their own, camera and microphone, whose id the `hello`
 * names (`people.js`); whatever comes in another stream is a screen.
 */

import { button, element, on } from './dom.js';
import { nameOf, own, ownStreamOf } from './people.js';
import { clearProblem, deviceWords, showProblem } from './problems.js';
import { remove, showName, showStream, tile } from './stage.js';

/**
 * @typedef {import("../room.js").Room} Room
 * @typedef {import("./people.js").Peer} Peer
 */

/** Their screens, each with whose it is. @type {Map<MediaStream, Peer>} */
const screens = new Map();
/** Ours, while it is shared. @type {MediaStream | null} */
let screen = null;

/** @param {Room} room */
export function startCall(room) {
  for (const kind of /** @type {const} */ (['video', 'audio'])) {
    const what = kind === 'video' ? 'camera' : 'microphone';
    onToggle(room, what, async (control) => {
      const [track] = own.getTracks().filter((track) => track.kind === kind);
      if (track) return stop(room, control, track, own);
      const got = await navigator.mediaDevices.getUserMedia({ [kind]: true });
      start(room, control, got.getTracks()[0], own);
    });
  }
  onToggle(room, 'screen', async (control) => {
    if (screen) return screen.getTracks().forEach((track) => stop(room, control, track, screen));
    screen = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: true });
    for (const track of screen.getTracks()) start(room, control, track, screen);
    showName(screen, '', 'Your screen');
    showScreen(screen).muted = true;
  });
  tile('self').classList.add('mirrored');
  on(room, 'peer', ({ peer }) => {
    for (const track of own.getTracks()) send(peer, track, own);
    for (const track of screen?.getTracks() ?? []) send(peer, track, screen);
  });
  on(room, 'track', ({ peer, streams }) => streams.forEach((stream) => receive(peer, stream)));
  on(room, 'leave', ({ peer }) => {
    for (const [stream, whose] of screens) if (whose === peer) drop(stream);
  });
}

/**
 * @param {Room} room
 * @param {string} what
 * @param {(control: HTMLButtonElement) => Promise<unknown>} press
 */
function onToggle(room, what, press) {
  const control = element(what, HTMLButtonElement);
  // Nothing new can be negotiated without the server; what is on can still be turned off.
  const allow = () => {
    const over = room.state === 'closed';
    control.disabled = over && control.getAttribute('aria-pressed') !== 'true';
    if (over) control.title = 'Without the server nothing new can be shared.';
  };
  on(room, 'close', allow);
  control.onclick = async () => {
    control.disabled = true; // one at a time: the browser may be asking its user
    try {
      await press(control);
      clearProblem(what);
    } catch (error) {
      showProblem(what, deviceWords(what, error));
    }
    allow();
    control.focus();
  };
}

/**
 * @param {Room} room
 * @param {Element} control
 * @param {MediaStreamTrack} track
 * @param {MediaStream} stream
 */
function start(room, control, track, stream) {
  stream.addTrack(track);
  track.onended = () => stop(room, control, track, stream); // unplugged, or the browser's own button
  for (const peer of room.peers.values()) send(peer, track, stream);
  control.setAttribute('aria-pressed', 'true');
  if (stream === own) showStream('self', own).muted = true;
}

/**
 * @param {Room} room
 * @param {Element} control
 * @param {MediaStreamTrack} track
 * @param {MediaStream | null} stream
 */
function stop(room, control, track, stream) {
  track.stop();
  stream?.removeTrack(track);
  for (const { connection } of room.peers.values()) {
    const sender = connection.getSenders().find((sender) => sender.track === track);
    if (sender && connection.signalingState !== 'closed') connection.removeTrack(sender);
  }
  control.setAttribute('aria-pressed', 'false');
  if (stream === own) return showStream('self', own);
  remove(stream);
  screen = null;
}

/**
 * Takes a place in the session that is free, ours from before or the other half of theirs: with
 * `addTrack` each press of a button would make the session longer.
 *
 * @param {Peer} peer
 * @param {MediaStreamTrack} track
 * @param {MediaStream | null} stream
 */
function send({ connection }, track, stream) {
  if (!stream) return;
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
  const first = ownStreamOf(peer.id) ?? stream.id;
  const isScreen = stream.id !== first;
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
    if (/** @type {Error} */ (error).name !== 'NotAllowedError') return; // a newer picture came first
    const again = button('Play', () => {
      clearProblem('play');
      for (const each of document.querySelectorAll('video')) each.play();
    });
    showProblem('play', 'The browser keeps the sound off until you ask for it.', again);
  }
}
