// @ts-check
import { Room } from '../room.js';

location.hash ||= crypto.getRandomValues(new Uint32Array(2)).join('-'); // whoever has the link
const ours = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
/** @type {Map<unknown, HTMLVideoElement>} */
const videos = new Map();

/** @param {unknown} whose @param {MediaStream} stream */
function show(whose, stream) {
  const video = videos.get(whose) ?? document.createElement('video');
  videos.set(whose, video);
  Object.assign(video, { srcObject: stream, autoplay: true, playsInline: true, width: 320 });
  video.muted = stream === ours;
  document.body.append(video);
}

show('me', ours);
const room = new Room(`call ${location.hash}`);
room.addEventListener('peer', ({ detail: { peer } }) => {
  for (const track of ours.getTracks()) peer.connection.addTrack(track, ours);
});
room.addEventListener('track', ({ detail: { peer, streams } }) => show(peer, streams[0]));
room.addEventListener('leave', ({ detail: { peer } }) => videos.get(peer)?.remove());
