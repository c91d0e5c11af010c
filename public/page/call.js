// @ts-check
/**
 * Sound and pictures: our tracks to all who are there, theirs to the stage. Everyone has one stream
 * of their own, whose id the `hello` names (`people.js`); any other is a screen.
 */

import { button, clearProblem, element, html, on, setText, showProblem } from './dom.js';
import { nameOf, own, ownStreamOf, remove, showName, showStream, tile } from './people.js';

/** @import { Peer, Room } from "../room.js" */

/** By the name of the error. @type {Record<string, (what: string) => string>} */
const DEVICE = {
  NotAllowedError: (what) =>
    `The browser was not allowed to use the ${what}. Allow it with the sign beside the address, then try again.`,
  NotFoundError: (what) => `No ${what} was found. Plug one in, then try again.`,
  NotReadableError: (what) => `The ${what} is in use by another program. Close it there, then try again.`,
};

/** Theirs, each with whose it is. @type {Map<MediaStream, Peer>} */
const screens = new Map();
/** Ours, while it is shared. @type {MediaStream | null} */
let screen = null;
/** @type {Room} */
let room;

/** @param {Room} entered */
export function startCall(entered) {
  room = entered;
  for (const [what, kind] of [['camera', 'video'], ['microphone', 'audio']]) {
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

/** @param {string} what @param {(control: HTMLButtonElement) => Promise<unknown>} press */
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
 * @param {HTMLButtonElement} control
 */
function allow(control) {
  const over = room.state === 'closed';
  control.ariaDisabled = String(over && control.ariaPressed === 'false');
  if (over) setText(html('can-share'), 'Nothing new can be shared: that would take the server.');
}

/** @param {HTMLButtonElement} control @param {MediaStreamTrack} track @param {MediaStream} stream */
function start(control, track, stream) {
  stream.addTrack(track);
  track.onended = () => stop(control, track, stream); // unplugged, or the browser's own button
  for (const peer of room.peers.values()) send(peer, track, stream);
  control.ariaPressed = 'true';
  if (stream === own) showStream('self', own).muted = true;
}

/** @param {HTMLButtonElement} control @param {MediaStreamTrack} track @param {MediaStream} stream */
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
    if (/** @type {Error} */ (error).name !== 'NotAllowedError') return; // a newer picture came first
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
