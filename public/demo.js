// @ts-check
/**
 * The page: `/` starts or joins a room, `/?room=demo` is in one. It shows what `Room` tells it.
 *
 * Whatever comes from others, ids and chat alike, becomes `textContent`, never markup. Query
 * parameters: `room`, and optionally `id` (the name to be known by) and `token` (of a server that
 * asks for one).
 */

import { Room } from './room.js';

/**
 * @typedef {import("./room.js").RoomEvents} RoomEvents
 * @typedef {RoomEvents["leave"]["peer"]} Peer
 */

const LINES_MOST = 500;

/** What a close code means for the one who reads it; `again` says when the next try is. */
const TROUBLE = /** @type {Record<number, (again: string, message: string) => string>} */ ({
  1000: () => 'You have left the room.',
  1009: () => 'Something this page sent was too large for the server, which has closed the line.',
  4001: () =>
    'You have joined again in another tab or window, which has taken your place. ' +
    'Reload to take it back.',
  4003: (again) => `The room is full. ${again}`,
  4008: (again) => `This page sent too much at once, and the server has closed the line. ${again}`,
  4009: () => 'This name is taken: somebody else in the room has it. Leave, and join with another.',
  4010: (_, message) => `You may not enter this room${message && `: ${message}`}.`,
});

/** @template {Element} T @param {string} id @param {new () => T} type @returns {T} */
function element(id, type) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no ${type.name} #${id}`);
}

/** @param {string} id @returns {Element} the first element of a template's new copy */
function fromTemplate(id) {
  const copy = element(id, HTMLTemplateElement).content.cloneNode(true);
  return /** @type {Element} */ (/** @type {DocumentFragment} */ (copy).firstElementChild);
}

/** @param {Element} parent @param {string} selector @returns {HTMLElement} */
function part(parent, selector) {
  return /** @type {HTMLElement} */ (parent.querySelector(selector));
}

/** In the list of people. @type {Map<Peer | "self", Element>} */
const rows = new Map();

const query = new URLSearchParams(location.search);
const roomName = query.get('room');
if (roomName) enter(roomName);
else start();

function start() {
  const nameField = element('room-name', HTMLInputElement);
  element('suggest', HTMLButtonElement).onclick = () => {
    nameField.value = randomName();
    nameField.focus();
  };
  // An empty field would be sent as `id=`; without one the server makes an id.
  const idField = element('own-id', HTMLInputElement);
  element('join', HTMLFormElement).onsubmit = () => void (idField.disabled = idField.value === '');
  element('start', HTMLElement).hidden = false;
}

/** @param {string} name */
function enter(name) {
  const id = query.get('id') || undefined;
  const key = id && keptKey(name, id);
  const token = query.get('token') ?? undefined;
  /** @type {Room} */
  let room;
  try {
    room = new Room(name, { id, key, token });
  } catch (error) {
    showTrouble(`You cannot join with this address: ${/** @type {Error} */ (error).message}.`);
    return start();
  }
  document.title = `${name} · partyline`;
  element('room-title', HTMLElement).textContent = name;
  element('room-title', HTMLElement).title = name;
  element('room', HTMLElement).hidden = false;
  showStatus('connecting', 'Joining');
  showSelf(room);
  setUpLink(name);
  setUpChat(room);

  on(room, 'state', (state) => {
    showState(state);
    showSelf(room);
  });
  on(room, 'close', ({ code, message }) => {
    showTrouble(TROUBLE[code]?.('', message) ?? `The line is closed (${code}).`);
    stopChat(room);
  });
  on(room, 'peer', ({ peer }) => {
    showPeer(peer);
    say('nobody', '', `${short(peer.id)} is here`);
  });
  on(room, 'change', ({ peer }) => showPeer(peer));
  on(room, 'leave', ({ peer }) => {
    rows.get(peer)?.remove();
    rows.delete(peer);
    showCount();
    if (room.state === 'closed') stopChat(room);
    say('nobody', '', `${short(peer.id)} is gone`);
  });
  on(room, 'message', ({ peer, data }) => say('theirs', short(peer.id), String(data)));
  on(room, 'error', ({ code, message, to }) =>
    console.warn(`partyline: ${code}: ${message}`, to ?? ''),
  );
}

/**
 * @template {keyof RoomEvents} T
 * @param {Room} room
 * @param {T} type
 * @param {(detail: RoomEvents[T]) => void} handle
 */
function on(room, type, handle) {
  room.addEventListener(type, (event) =>
    handle(/** @type {CustomEvent<RoomEvents[T]>} */ (event).detail),
  );
}

/** @param {string} name */
function setUpLink(name) {
  const link = element('link', HTMLInputElement);
  const button = element('copy', HTMLButtonElement);
  const label = button.textContent;
  // Without our own id and token: those are not for the one who gets the link.
  link.value = new URL(`/?${new URLSearchParams({ room: name })}`, location.href).href;
  link.onfocus = () => link.select();
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(link.value);
      button.textContent = 'Copied';
    } catch {
      link.focus(); // no clipboard outside secure contexts: it is selected, ready for the keyboard
      button.textContent = 'Now copy it';
    }
    setTimeout(() => (button.textContent = label), 2000);
  };
}

/** @param {Room} room */
function setUpChat(room) {
  const field = element('text', HTMLInputElement);
  element('say', HTMLFormElement).onsubmit = (event) => {
    event.preventDefault();
    const text = field.value;
    field.value = '';
    say('mine', 'You', text);
    if (room.peers.size === 0) say('nobody', '', 'Nobody is here to read it');
    for (const peer of room.peers.values()) {
      try {
        peer.send(text);
      } catch {
        say('nobody', '', `${short(peer.id)} does not get it: too much waits for it already`);
      }
    }
  };
  // Not on a phone, where it would bring up the keyboard.
  if (matchMedia('(pointer: fine)').matches) field.focus();
}

/** No more writing once nobody is left to read it and nobody can come. @param {Room} room */
function stopChat(room) {
  if (room.peers.size > 0) return; // closed by the server, but these are still connected
  for (const control of element('say', HTMLFormElement).querySelectorAll('input, button')) {
    control.toggleAttribute('disabled', true);
  }
}

/** @param {"mine" | "theirs" | "nobody"} whose @param {string} name @param {string} text */
function say(whose, name, text) {
  const log = element('log', HTMLElement);
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const row = /** @type {HTMLElement} */ (fromTemplate('line'));
  row.dataset.whose = whose;
  part(row, '.name').textContent = name;
  part(row, '.text').textContent = text;
  log.append(row);
  if (log.childElementCount > LINES_MOST) log.firstElementChild?.remove();
  if (atEnd || whose === 'mine') log.scrollTop = log.scrollHeight; // else somebody is reading
}

/**
 * @param {Peer | "self"} whose
 * @param {string} id
 * @param {string} role
 * @param {string} state
 * @param {string} words
 */
function showRow(whose, id, role, state, words) {
  let row = rows.get(whose);
  if (!row) {
    row = fromTemplate('person');
    rows.set(whose, row);
    element('people', HTMLElement).append(row);
    showCount();
  }
  const face = part(row, '.face');
  face.textContent = id.slice(0, 1);
  face.style.setProperty('--hue', String(hue(id)));
  part(row, '.name').textContent = short(id);
  part(row, '.name').title = id;
  setText(part(row, '.role'), role);
  setText(part(row, '.connection'), words);
  part(row, '.connection').dataset.state = state;
}

/** @param {Room} room */
function showSelf(room) {
  const state = { connecting: 'new', joined: 'connected', reconnecting: 'new', closed: 'closed' };
  showRow('self', room.id ?? '…', '', state[room.state], 'this is you');
}

/** @param {Peer} peer */
function showPeer(peer) {
  const { connectionState } = peer.connection;
  const words = {
    new: 'waiting for its offer',
    connecting: 'connecting',
    connected: peer.ready ? 'connected' : 'connected, chat not open',
    disconnected: 'connection lost',
    failed: 'no connection, trying again',
    closed: 'closed',
  }[connectionState];
  // `polite` is ours; in a pair the other one has the other role.
  showRow(peer, peer.id, peer.polite ? 'impolite' : 'polite', connectionState, words);
}

function showCount() {
  element('count', HTMLElement).textContent = `(${rows.size})`;
}

/** @param {RoomEvents["state"]} state */
function showState({ state, code = 0, message = '', retryIn = null }) {
  if (state === 'joined') {
    showStatus(state, 'In the room');
    return showTrouble('');
  }
  if (state === 'closed') return showStatus(state, 'Not in the room');
  const again =
    retryIn === null ? '' : `Trying again in ${Math.max(1, Math.round(retryIn / 1000))} s.`;
  const lost =
    state === 'reconnecting'
      ? `The line to the server is lost; connections with those here go on. ${again}`
      : `The server does not answer. ${again}`;
  showStatus(state, state === 'reconnecting' ? 'Reconnecting' : 'Joining');
  showTrouble(TROUBLE[code]?.(again, message) ?? lost);
}

/** @param {string} state @param {string} words */
function showStatus(state, words) {
  const status = element('status', HTMLElement);
  setText(status, words);
  status.dataset.state = state;
}

/** @param {string} words */
function showTrouble(words) {
  const trouble = element('trouble', HTMLElement);
  setText(trouble, words);
  trouble.hidden = words === '';
}

/**
 * Writing the same text again would make screen readers say it again.
 * @param {Element} node
 * @param {string} text
 */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @param {string} id
 * @returns {string} an id that the server made has 128 random bits: its start will do
 */
function short(id) {
  return id.length > 20 ? `${id.slice(0, 12)}…` : id;
}

/** @param {string} id */
function hue(id) {
  return [...id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 360, 0);
}

/** Nearly 60 random bits, since a room is open to whoever knows its name; no look-alikes. */
function randomName() {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789';
  const picked = Array.from(
    crypto.getRandomValues(new Uint8Array(12)),
    (byte) => letters[byte % letters.length],
  );
  return picked.join('').replace(/(.{4})(?!$)/g, '$1-');
}

/**
 * A key for a name of one's own, kept for this tab: a page that crashed comes back as the same
 * peer.
 *
 * @param {string} room
 * @param {string} id
 * @returns {string | undefined} undefined where storage is blocked
 */
function keptKey(room, id) {
  const slot = `partyline key ${JSON.stringify([room, id])}`;
  try {
    const kept = sessionStorage.getItem(slot) ?? randomName();
    sessionStorage.setItem(slot, kept);
    return kept;
  } catch {
    return undefined;
  }
}
