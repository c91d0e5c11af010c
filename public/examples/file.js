// @ts-check
import { Room } from '../room.js';

location.hash ||= crypto.getRandomValues(new Uint32Array(2)).join('-'); // share the URL with others
const room = new Room(`file ${location.hash}`);
/** The progress bar of each peer, for files in both directions. @type {Map<unknown, HTMLElement>} */
const bars = new Map();
/** @param {unknown} peer @param {number} value @param {number} max */
const show = (peer, value, max) => Object.assign(bars.get(peer) ?? {}, { value, max });

room.on('peer', ({ peer }) => {
  bars.set(peer, Object.assign(document.createElement('progress'), { value: 0 }));
  document.body.append(document.createElement('p'), `${peer.id} `, bars.get(peer) ?? '');
});
room.on('progress', ({ peer, received, total }) => show(peer, received, total));
room.on('message', ({ peer, data }) => {
  if (!(data instanceof File)) return;
  const blob = new Blob([data], { type: 'application/octet-stream' }); // never opened as a page
  const link = { href: URL.createObjectURL(blob), download: data.name, textContent: data.name };
  bars.get(peer)?.after(' ', Object.assign(document.createElement('a'), link));
});
document.forms[0].onchange = () => {
  const file = new FormData(document.forms[0]).get('file');
  room.send(file, { onProgress: ({ peer, sent, total }) => show(peer, sent, total) });
};
