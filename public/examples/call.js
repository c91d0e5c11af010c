// @ts-check
import { Room } from '../room.js';

location.hash ||= crypto.getRandomValues(new Uint32Array(2)).join('-'); // share the URL with others
const [theirs, mine] = document.querySelectorAll('video');
const [microphone, camera] = document.querySelectorAll('input');
const local = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
const room = new Room(`call ${location.hash}`, { maxPeers: 2 });
const show = (/** @type {string} */ text) => document.querySelector('p')?.replaceChildren(text);
const showMuted = (/** @type {{ muted: { audio: boolean, video: boolean } }} */ { muted }) =>
  show(`Their microphone: ${muted.audio ? 'off' : 'on'}, camera: ${muted.video ? 'off' : 'on'}`);
mine.srcObject = local;
room.addStream(local);
room.on('track', ({ streams }) => (theirs.srcObject = streams[0]));
room.on('track', showMuted);
room.on('mute', showMuted);
room.on('leave', () => show('The other person has left.'));
room.on('close', ({ reason }) => show(reason === 'room-full' ? 'Two people are here.' : reason));
onchange = () => room.mute(local, { audio: microphone.checked, video: camera.checked });
const [track] = local.getVideoTracks();
document.getElementsByTagName('button')[0].onclick = async () => {
  const [screen] = (await navigator.mediaDevices.getDisplayMedia()).getVideoTracks();
  room.replaceTrack(local.getVideoTracks()[0], screen);
  screen.onended = () => room.replaceTrack(screen, track);
};
