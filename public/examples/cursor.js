// @ts-check
import { Room } from '../room.js';

location.hash ||= crypto.getRandomValues(new Uint32Array(2)).join('-'); // share the URL with others
const room = new Room(`cursor ${location.hash}`);
/** @type {Map<unknown, HTMLElement>} */
const cursors = new Map();

room.addEventListener('peer', ({ detail: { peer } }) => {
  const cursor = document.createElement('b');
  cursor.textContent = `➤ ${peer.id.slice(0, 8)}`;
  cursors.set(peer, cursor);
  document.body.append(cursor);
});
room.addEventListener('leave', ({ detail: { peer } }) => cursors.get(peer)?.remove());
room.addEventListener('message', ({ detail: { peer, data } }) => {
  const [x, y] = String(data).split(' ').map(Number);
  const style = { position: 'fixed', left: `${x}vw`, top: `${y}vh` };
  Object.assign(cursors.get(peer)?.style ?? {}, style);
});
addEventListener('pointermove', ({ clientX, clientY }) => {
  const position = `${(100 * clientX) / innerWidth} ${(100 * clientY) / innerHeight}`;
  for (const peer of room.peers.values()) if (peer.ready) peer.send(position);
});
