// @ts-check
import { Room } from '../room.js';

location.hash ||= crypto.getRandomValues(new Uint32Array(2)).join('-'); // share the URL with others
const local = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
/** @type {Map<unknown, HTMLVideoElement>} */
const videos = new Map();

/** @param {unknown} owner @param {MediaStream} stream */
function show(owner, stream) {
  const video = videos.get(owner) ?? document.createElement('video');
  videos.set(owner, video);
  Object.assign(video, { srcObject: stream, autoplay: true, playsInline: true, width: 320 });
  video.muted = stream === local;
  document.body.append(video);
}

show('me', local);
const room = new Room(`call ${location.hash}`);
room.addEventListener('peer', ({ detail: { peer } }) => {
  for (const track of local.getTracks()) peer.connection.addTrack(track, local);
});
room.addEventListener('track', ({ detail: { peer, streams } }) => show(peer, streams[0]));
room.addEventListener('leave', ({ detail: { peer } }) => videos.get(peer)?.remove());
