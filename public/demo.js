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

/**
 * @import { RoomEvents } from "./room.js"
 *
 * Our identity in a room: the key, from which the server makes the peer id, unless the URL names an
 * id; the display name; and the admission token, if any.
 * @typedef {{ id?: string, key: string, name: string, token?: string }} Identity
 */

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
  const suggest = () => (field.value = randomWords(3, 3));
  suggest();
  byId('suggest').onclick = suggest;
  const form = byId('join', HTMLFormElement);
  form.onsubmit = (event) => {
    event.preventDefault();
    const input = new FormData(form);
    const target = new URLSearchParams({ [String(input.get('how'))]: normalizeName(field.value) });
    for (const key of ['name', 'steps'])
      if (input.get(key)) target.set(key, String(input.get(key)));
    location.assign(`/?${target}`);
  };
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
    showProblem(
      'address',
      `You cannot join with this address: ${/** @type {Error} */ (error).message}.`,
    );
    return showStartForm();
  }
  setText(byId('room-title'), name);
  byId('room-title').title = name;
  byId('place').hidden = byId('views').hidden = false;
  showStatus('connecting', 'Joining');
  const url = new URL(`/?${new URLSearchParams({ [parameter]: name })}`, location.href);

  startRoster(room, identity.name);
  startTalk(room);
  startPeople(room, identity.name, Boolean(lobby));
  startInside(room);
  setUpInvite(room, url, Boolean(identity.token));
  startHandshake(room);

  /** Returns what the user can do after a close code. @param {number} [code] */
  const actionsFor = (code) => {
    if (code !== ID_TAKEN) return [];
    const link = helpLink('Join with another', url.href);
    link.onclick = () => writeStored(storageKey, null);
    return [link];
  };
  on(room, 'state', (state) => {
    showState(state, actionsFor(state.code));
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
 * Sets up the button "Leave the server", which is visible while a data channel is open.
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
    showStatus('joined', 'Without the server');
  });
}

/** @param {RoomEvents["state"]} event @param {Node[]} actions what the user can do */
function showState({ state, code = 0, message = '', retryIn }, actions) {
  if (state === 'joined') {
    isBlocked = false;
    showStatus(state, 'In the room');
    return clearProblem('server');
  }
  if (state === 'closed') return showStatus(state, 'Not in the room');
  const reconnecting = state === 'reconnecting';
  showStatus(state, reconnecting ? 'Reconnecting' : 'Joining');
  const text = closeText(code, message, retryIn);
  const more = reconnecting ? ' Connections with those here go on.' : '';
  showProblem('server', text + more, ...actions);
}

/** @param {string} state @param {string} text */
function showStatus(state, text) {
  setText(byId('state'), text);
  byId('status').dataset.state = state;
}

/**
 * @param {number} code
 * @param {string} message the message of the last `error` frame from the server
 * @param {number | null} [retryIn] milliseconds until the next attempt
 */
function closeText(code, message, retryIn = null) {
  const unanswered = isBlocked ? WEBSOCKET_BLOCKED_TEXT : 'The server does not answer.';
  const text = CLOSE_TEXT[code] ?? unanswered;
  // The rest of the message is for the author of the token. The browser's console shows all of it.
  const [problem] = code === UNAUTHORIZED ? message.split(': ') : [];
  const reason = problem ? text.replace('.', `: ${problem}.`) : text;
  const seconds = Math.max(1, Math.round((retryIn ?? 0) / 1000));
  return retryIn === null ? reason : `${reason} Trying again in ${seconds} s.`;
}

/**
 * Returns random words that can be read aloud. Each syllable has 6 random bits.
 * @param {number} words
 * @param {number} syllables number of syllables in each word
 */
function randomWords(words, syllables) {
  const word = () => pronounceable(crypto.getRandomValues(new Uint8Array(syllables)));
  return Array.from({ length: words }, word).join('-');
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
    key: reused ? stored.key : randomWords(1, 22), // 132 random bits
    name: sanitizeName(given.name ?? stored?.name ?? ''),
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
