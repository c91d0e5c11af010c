// @ts-check
/** The two views, talk and inside, and which peer the second one is about. */

import { element, html, on } from './dom.js';
import { nameOf } from './people.js';

/** @typedef {import("./people.js").Peer} Peer */

/** Called with the one chosen, or null. @type {((peer: Peer | null) => void)[]} */
const listeners = [];
const select = element('chosen', HTMLSelectElement);
/** @type {Peer | null} */
let chosen = null;

/** @param {import("../room.js").Room} room */
export function startViews(room) {
  addEventListener('hashchange', showView);
  showView();
  const update = () => {
    const peers = [...room.peers.values()];
    const options = peers.map(({ id }) => new Option(nameOf(id), id, false, id === chosen?.id));
    const same = [...select.options].map((option) => option.value + option.text).join();
    if (same !== options.map((option) => option.value + option.text).join())
      select.replaceChildren(...options);
    select.disabled = peers.length === 0;
    choose(peers.find(({ id }) => id === chosen?.id) ?? peers[0] ?? null);
  };
  select.onchange = () => choose(room.peers.get(select.value) ?? null);
  for (const type of /** @type {const} */ (['peer', 'leave', 'signal'])) on(room, type, update);
  update();
}

/** @param {(peer: Peer | null) => void} listener */
export function onChosen(listener) {
  listeners.push(listener);
  listener(chosen);
}

/** Shows the inside of the connection with one. @param {string} id */
export function look(id) {
  select.value = id;
  select.dispatchEvent(new Event('change'));
  location.hash = 'inside';
  select.focus();
}

/** @param {Peer | null} peer */
function choose(peer) {
  if (peer === chosen) return;
  chosen = peer;
  if (peer) select.value = peer.id;
  for (const listener of listeners) listener(peer);
}

function showView() {
  const view = location.hash === '#inside' ? 'inside' : 'talk';
  for (const name of ['talk', 'inside']) {
    html(`${name}-view`).hidden = name !== view;
    const link = document.querySelector(`#views [href="#${name}"]`);
    if (name === view) link?.setAttribute('aria-current', 'page');
    else link?.removeAttribute('aria-current');
  }
}
