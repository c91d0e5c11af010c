// @ts-check
/**
 * The built-in page. `/` shows a form, `/?room=demo` joins a room and `/?lobby=demo` joins a lobby.
 * In a lobby, each connection needs a request. Optional parameters: `name`, `id`, and `steps` for
 * the step-by-step mode. `#token=…` contains a token. Browsers do not send this part of a URL.
 */

import { normalizeName } from './options.js';
import {
  byId,
  clearProblem,
  cloneTemplate,
  countDown,
  helpLink,
  on,
  setText,
  showProblem,
} from './page/dom.js';
import { pace, setUpSteps, startHandshake } from './page/handshake.js';
import { startInside } from './page/inside.js';
import { showCount, startPeople } from './page/people.js';
import { pronounceable, sanitizeName, startRoster } from './page/roster.js';
import { addTile, removeTile } from './page/stage.js';
import { startTalk } from './page/talk.js';
import { CLOSE_TEXT, WEBSOCKET_BLOCKED_TEXT } from './page/texts.js';
import { Room } from './room.js';
import { randomWords } from './verification.js';

/**
 * @import { RoomEvents } from "./room.js"
 *
 * Our identity in a room: the key, from which the server makes the peer id, unless the URL names an
 * id; the display name; and the admission token, if any.
 * @typedef {{ id?: string, key: string, name: string, token?: string }} Identity
 */

/**
 * Number of words in a suggested room name. Each word has 8 random bits. With 40 bits, a guess hits
 * one of a million rooms in use with a probability of one in a million, and the server limits joins
 * to 600 per minute and address.
 */
const ROOM_WORDS = 5;
/** Number of syllables in a key. Each syllable has 6 random bits, so a key has 132. */
const KEY_SYLLABLES = 22;
/** The key of the display name in `localStorage`. */
const NAME_KEY = 'partyline name';
/** Duration, in milliseconds, for which the copy button shows its result. */
const COPIED_DURATION = 2_000;
/** Timeout for the lock, in milliseconds. During a reload, the old page may still hold the lock. */
const LOCK_TIMEOUT = 1_000;

// Close codes for which the page does more than show an explanation from `CLOSE_TEXT`.
const NORMAL_CLOSURE = 1000;
const ID_TAKEN = 4009;
const UNAUTHORIZED = 4010;

const query = new URLSearchParams(location.search);
const lobby = query.get('lobby');
const roomName = normalizeName(lobby || query.get('room') || '');
/** Whether the server answers HTTP requests, but no WebSocket opens. */
let isBlocked = false;
if (roomName) enterRoom(roomName);
else showStartForm();

function showStartForm() {
  const field = byId('room-name', HTMLInputElement);
  const suggest = () => (field.value = randomWords(ROOM_WORDS).join('-'));
  suggest();
  const ownName = byId('own-name', HTMLInputElement);
  ownName.value = rememberedName();
  byId('suggest').onclick = suggest;
  const form = byId('join', HTMLFormElement);
  form.onsubmit = (event) => {
    event.preventDefault();
    const input = new FormData(form);
    rememberName(ownName.value);
    const target = new URLSearchParams({ [String(input.get('how'))]: normalizeName(field.value) });
    for (const key of ['name', 'steps'])
      if (input.get(key)) target.set(key, String(input.get(key)));
    location.assign(`/?${target}`);
  };
  byId('lesson', HTMLAnchorElement).href = `/?room=${field.value}&steps=1`;
  byId('start').hidden = false;
}

/** @param {string} name */
async function enterRoom(name) {
  const parameter = lobby ? 'lobby' : 'room';
  const storageKey = `partyline ${parameter} ${name}`;
  const identity = await loadIdentity(storageKey);
  setUpSteps(query.has('steps'));
  /** @type {Room} */
  let room;
  try {
    const { id, key, token } = identity;
    room = new Room(name, { id, key, token, connect: lobby ? 'on-request' : 'always', pace });
  } catch (error) {
    writeStored(storageKey, null);
    const { message } = /** @type {Error} */ (error);
    showProblem(
      'address',
      message.startsWith('invalid room name')
        ? 'This room name is too long, or has characters that aren’t allowed. Choose another name.'
        : `This address is not valid: ${message}.`,
    );
    return showStartForm();
  }
  setText(byId('room-title'), name);
  byId('room-title').title = name;
  byId('place').hidden = byId('views').hidden = false;
  showStatus('connecting', 'Joining…');
  const invitation = new URLSearchParams({ [parameter]: name });
  if (query.has('steps')) {
    invitation.set('steps', '1');
    if (!location.hash) history.replaceState(null, '', '#inside');
  }
  const url = new URL(`/?${invitation}`, location.href);

  startRoster(room, identity.name);
  startTalk(room);
  startPeople(room, identity.name, Boolean(lobby));
  startInside(room);
  setUpInvite(room, url, Boolean(identity.token));
  startHandshake(room);

  /** Returns what the user can do after a close code. @param {number} [code] */
  const actionsFor = (code) => {
    if (code !== ID_TAKEN) return [];
    const link = helpLink('Join with a new one', url.href);
    link.onclick = () => writeStored(storageKey, null);
    return [link];
  };
  on(room, 'state', (state) => {
    showState(state, room.peers.size > 0, actionsFor(state.code));
    showCount(room);
  });
  on(room, 'close', ({ code, message }) => {
    if (code === ID_TAKEN) writeStored(storageKey, null);
    showProblem('server', closeText(code, message), ...actionsFor(code));
  });
  on(room, 'error', ({ code, message, to }) => {
    const target = to ? ` for peer "${to}"` : '';
    isBlocked ||= code === 'websocket-blocked';
    console.warn(`partyline: error "${code}"${target}: ${message}`);
  });
  if (lobby) setUpLeaving(room);
}

/**
 * @param {Room} room
 * @param {URL} url the address of the room
 * @param {boolean} hasToken whether we have a token, so that the address alone admits nobody
 */
function setUpInvite(room, url, hasToken) {
  const toggle = byId('invite', HTMLButtonElement);
  const invitation = cloneTemplate(hasToken ? 'invitation-with-token' : 'invitation');
  const show = (shown = true) => {
    toggle.ariaExpanded = String(shown);
    if (shown) addTile('invitation', invitation);
    else removeTile('invitation');
  };
  toggle.onclick = () => show(toggle.ariaExpanded === 'false');
  on(room, 'peer', () => show(false));
  show();
  if (!hasToken) setUpLink(url);
}

/** Sets up the link in the invitation. @param {URL} url */
function setUpLink(url) {
  const link = byId('link', HTMLInputElement);
  const copy = byId('copy', HTMLButtonElement);
  const share = byId('share', HTMLButtonElement);
  const label = copy.textContent;
  link.value = url.href;
  link.onfocus = () => link.select();
  copy.onclick = async () => {
    try {
      await navigator.clipboard.writeText(link.value);
      copy.textContent = 'Copied';
    } catch {
      // Browsers provide the clipboard in secure contexts only. The focus selects the link, so the
      // user can copy it.
      link.focus();
      copy.textContent = 'Now copy it';
    }
    setTimeout(() => (copy.textContent = label), COPIED_DURATION);
  };
  share.hidden = !navigator.share;
  const content = { title: document.title, url: link.value };
  share.onclick = () => navigator.share(content).catch(() => {}); // the user cancelled the sharing
}

/**
 * Sets up the button "Go offline, keep the call", which is visible while a data channel is open.
 * @param {Room} room
 */
function setUpLeaving(room) {
  const leave = byId('without', HTMLButtonElement);
  const update = () => {
    leave.hidden = room.state === 'closed' || ![...room.peers.values()].some(({ ready }) => ready);
  };
  leave.onclick = () => room.leaveServer();
  on(room, 'change', update);
  on(room, 'leave', update);
  on(room, 'state', update);
  on(room, 'close', ({ code }) => {
    if (code !== NORMAL_CLOSURE) return;
    clearProblem('server');
    showStatus('joined', 'Call continues without server');
  });
}

/**
 * @param {RoomEvents["state"]} event
 * @param {boolean} inCall whether other people are in the room
 * @param {Node[]} actions what the user can do
 */
function showState({ state, code = 0, message = '', retryIn }, inCall, actions) {
  if (state === 'joined') {
    isBlocked = false;
    showStatus(state, '');
    return clearProblem('server');
  }
  if (state === 'closed') return showStatus(state, 'Not connected');
  const reconnecting = state === 'reconnecting';
  showStatus(state, reconnecting ? 'Reconnecting…' : 'Joining…');
  const text = closeText(code, message, reconnecting);
  showProblem('server', reconnecting && inCall ? `${text} Your call continues.` : text, ...actions);
  countDown('server', retryIn ?? 0);
}

/** @param {string} state @param {string} text */
function showStatus(state, text) {
  setText(byId('state'), text);
  byId('status').dataset.state = state;
}

/**
 * @param {number} code
 * @param {string} message the message of the last `error` frame from the server
 * @param {boolean} [reconnecting] whether we were in the room before
 */
function closeText(code, message, reconnecting = false) {
  const lost = reconnecting
    ? 'Connection to the server lost.'
    : 'The server does not answer. Check your internet connection.';
  const text = CLOSE_TEXT[code] ?? (isBlocked ? WEBSOCKET_BLOCKED_TEXT : lost);
  // Guests know links, not tokens. The rest of the message is for the author of the token. The
  // browser's console shows all of it.
  const [problem] = code === UNAUTHORIZED ? message.split(': ') : [];
  if (!problem || problem.includes('no token')) return text;
  return text.replace('.', `: ${problem.replace('the token', 'your link')}.`);
}

/**
 * Returns the identity of this tab in a room: from the URL, from `sessionStorage`, or new. A reload
 * keeps the identity. A duplicated tab has a copy of `sessionStorage` but not the lock, so it gets
 * a new identity. Removes the identity from the URL, because users copy the URL to invite others.
 * @param {string} storageKey
 * @returns {Promise<Identity>}
 */
async function loadIdentity(storageKey) {
  const stored = readStored(storageKey);
  const given = Object.fromEntries(['id', 'name', 'token'].map((key) => [key, query.get(key)]));
  const hash = new URLSearchParams(location.hash.slice(1));
  given.token = hash.get('token') ?? given.token;
  const matches = stored !== null && (!given.id || given.id === stored.id);
  const reused = matches && (await claimLock(`${storageKey} ${stored.key}`));
  const identity = {
    id: given.id || (reused ? stored.id : undefined),
    key: reused ? stored.key : pronounceable(crypto.getRandomValues(new Uint8Array(KEY_SYLLABLES))),
    name: sanitizeName(given.name ?? stored?.name ?? rememberedName()),
    token: given.token ?? stored?.token,
  };
  if (!reused) claimLock(`${storageKey} ${identity.key}`);
  writeStored(storageKey, identity);
  for (const key of Object.keys(given)) query.delete(key);
  history.replaceState(null, '', `?${query}${hash.has('token') ? '' : location.hash}`);
  return identity;
}

/**
 * Holds a Web Lock until the page is closed. Resolves to false if another tab holds the lock.
 * @param {string} name
 * @returns {Promise<boolean>}
 */
function claimLock(name) {
  return new Promise((resolve) => {
    // Web Locks need a secure context. Without Web Locks, a duplicated tab uses the same id, and
    // the server closes the WebSocket of the first tab with 4001.
    if (!navigator.locks) return resolve(true);
    const hold = () => {
      resolve(true);
      return new Promise(() => {}); // holds the lock until the page is closed
    };
    const signal = AbortSignal.timeout(LOCK_TIMEOUT);
    navigator.locks.request(name, { signal }, hold).catch(() => resolve(false));
  });
}

/** Returns the display name that the user last entered in the form. */
function rememberedName() {
  try {
    return localStorage.getItem(NAME_KEY) ?? '';
  } catch {
    return ''; // the storage is blocked
  }
}

/**
 * Remembers a display name for the next room. A name from a URL is not remembered, because another
 * person may have written the URL.
 * @param {string} name
 */
function rememberName(name) {
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch {
    // The storage is blocked or full. The user enters the name again next time.
  }
}

/** @param {string} storageKey @returns {Identity | null} */
function readStored(storageKey) {
  try {
    return JSON.parse(sessionStorage.getItem(storageKey) ?? 'null');
  } catch {
    return null;
  }
}

/** @param {string} storageKey @param {Identity | null} identity */
function writeStored(storageKey, identity) {
  try {
    sessionStorage.setItem(storageKey, JSON.stringify(identity));
  } catch {
    // The storage is blocked or full. A reload then creates a new identity.
  }
}
