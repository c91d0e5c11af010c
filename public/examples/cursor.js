// @ts-check
import { Room } from '../room.js';

location.hash ||= crypto.getRandomValues(new Uint32Array(2)).join('-'); // share the URL with others
const room = new Room(`cursor ${location.hash}`);
// A lost position is not sent again, because the next one replaces it.
const positions = room.channel('position', { ordered: false, maxRetransmits: 0 });
/** @type {Map<unknown, HTMLElement>} */
const cursors = new Map();

room.on('peer', ({ peer }) => {
  const cursor = document.createElement('b');
  cursor.textContent = `➤ ${peer.id.slice(0, 8)}`;
  cursors.set(peer, cursor);
  document.body.append(cursor);
});
room.on('leave', ({ peer }) => cursors.get(peer)?.remove());
positions.on('message', ({ peer, data: [x, y] }) => {
  const style = { position: 'fixed', left: `${x}vw`, top: `${y}vh` };
  Object.assign(cursors.get(peer)?.style ?? {}, style);
});
addEventListener('pointermove', ({ clientX, clientY }) => {
  positions.send([(100 * clientX) / innerWidth, (100 * clientY) / innerHeight]);
});
