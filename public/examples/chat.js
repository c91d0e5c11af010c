// @ts-check
import { Room } from '../room.js';

location.hash ||= crypto.getRandomValues(new Uint32Array(2)).join('-'); // share the URL with others
const [join, write] = document.forms;
/** @param {string} text shown as text: innerHTML would render markup from other people */
const show = (text) => document.body.append(text, document.createElement('br'));

join.onsubmit = (event) => {
  event.preventDefault();
  const name = String(new FormData(join).get('name'));
  const room = new Room(`chat ${location.hash}`, { name });
  room.on('peer', ({ peer }) => show(`${peer.name} joined`));
  room.on('leave', ({ peer }) => show(`${peer.name} left`));
  room.on('message', ({ peer, data }) => show(`${peer.name}: ${data}`));
  write.onsubmit = (event) => {
    event.preventDefault();
    const text = String(new FormData(write).get('text'));
    room.send(text);
    show(`${name}: ${text}`);
    write.reset();
  };
  [join.hidden, write.hidden] = [true, false];
};
