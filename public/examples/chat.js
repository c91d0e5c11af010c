// @ts-check
import { Room } from '../room.js';

location.hash ||= crypto.getRandomValues(new Uint32Array(2)).join('-'); // share the URL with others
const room = new Room(`chat ${location.hash}`);

/** @param {string} text */
function show(text) {
  const line = document.createElement('p');
  line.textContent = text; // innerHTML would render markup from other people
  document.body.append(line);
}

room.addEventListener('peer', ({ detail: { peer } }) => show(`${peer.id} joined`));
room.addEventListener('leave', ({ detail: { peer } }) => show(`${peer.id} left`));
room.addEventListener('message', ({ detail: { peer, data } }) => show(`${peer.id}: ${data}`));
document.forms[0].onsubmit = (event) => {
  event.preventDefault();
  const text = String(new FormData(document.forms[0]).get('text'));
  for (const peer of room.peers.values()) peer.send(text);
  show(`me: ${text}`);
  document.forms[0].reset();
};
