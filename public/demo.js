// @ts-check
/**
 * The page: `/` starts a room, `/?room=demo` is in one, `/?lobby=demo` in one where nobody is
 * connected unasked. It may also ask for `steps` (step by step), `name`, `id` and `token`.
 */

import { clearProblem, element, fromTemplate, html, on } from './page/dom.js';
import { remedy, setText, showProblem } from './page/dom.js';
import { pace, setUpSteps, startHandshake } from './page/handshake.js';
import { startInside } from './page/inside.js';
import { add, remove, showCount, startPeople, tidy } from './page/people.js';
import { startTalk } from './page/talk.js';
import { Room } from './room.js';

/**
 * @import { RoomEvents } from "./room.js"
 * @typedef {{ id: string, key: string, name: string, token?: string }} Who
 */

const CONSONANTS = 'bdfghjklmnprstvz';
const LOCK_WITHIN = 1_000; // a page that is reloaded lets go of its lock a moment late

/** What close codes mean for the one who reads it. @type {Record<number, string>} */
const CLOSED = {
  1000: 'You have left the room.',
  1009: 'What this page sent was too large for the server.',
  4001: 'Another tab or window has taken your place. Reload to take it back.',
  4003: 'The room is full. Wait until somebody leaves, or open another one.',
  4008: 'This page sent too much at once.',
  4009: 'This name is taken: somebody else in the room has it. Join with another.',
  4010: 'You may not enter this room. Ask whoever invited you for a new link.',
};

const query = new URLSearchParams(location.search);
const lobby = query.get('lobby');
const place = lobby || query.get('room');
if (place) enter(place);
else start();

function start() {
  const field = element('room-name', HTMLInputElement);
  const suggest = () => (field.value = readable(3, 3));
  suggest();
  html('suggest').onclick = suggest;
  const form = element('join', HTMLFormElement);
  form.onsubmit = (event) => {
    event.preventDefault();
    const given = new FormData(form);
    const asked = new URLSearchParams({ [String(given.get('how'))]: field.value });
    for (const key of ['name', 'steps']) if (given.get(key)) asked.set(key, String(given.get(key)));
    location.assign(`/?${asked}`);
  };
  html('start').hidden = false;
}

/** @param {string} name */
async function enter(name) {
  const kind = lobby ? 'lobby' : 'room';
  const slot = `partyline ${kind} ${name}`;
  const who = await whoWeAre(slot);
  setUpSteps(query.has('steps'));
  /** @type {Room} */
  let room;
  try {
    const { id, key, token } = who;
    room = new Room(name, { id, key, token, connect: lobby ? 'on-request' : 'always', pace });
  } catch (error) {
    write(slot, null);
    showProblem(
      'address',
      `You cannot join with this address: ${/** @type {Error} */ (error).message}.`,
    );
    return start();
  }
  setText(html('room-title'), name);
  html('room-title').title = name;
  html('place').hidden = html('views').hidden = false;
  showStatus('connecting', 'Joining');
  const url = new URL(`/?${new URLSearchParams({ [kind]: name })}`, location.href);

  startTalk(room);
  startPeople(room, who, Boolean(lobby));
  startInside(room);
  setUpInvite(room, url);
  startHandshake(room);

  on(room, 'state', (state) => {
    showState(state);
    showCount(room);
  });
  on(room, 'close', ({ code, message }) => {
    const again = code === 4009 ? [remedy('Join with another', url.href)] : [];
    if (code === 4009) write(slot, null);
    showProblem('line', closeWords(code, message), ...again);
  });
  on(room, 'error', ({ code, message, to }) =>
    console.warn(`partyline: ${code}: ${message}`, to ?? ''),
  );
  if (lobby) setUpLeaving(room);
}

/** @param {Room} room @param {URL} url */
function setUpInvite(room, url) {
  const toggle = element('invite', HTMLButtonElement);
  const invitation = fromTemplate('invitation');
  const show = (shown = true) => {
    toggle.ariaExpanded = String(shown);
    if (shown) add('invitation', invitation);
    else remove('invitation');
  };
  toggle.onclick = () => show(toggle.ariaExpanded === 'false');
  on(room, 'peer', () => show(false));
  show();

  const link = element('link', HTMLInputElement);
  const copy = element('copy', HTMLButtonElement);
  const share = element('share', HTMLButtonElement);
  const label = copy.textContent;
  link.value = url.href;
  link.onfocus = () => link.select();
  copy.onclick = async () => {
    try {
      await navigator.clipboard.writeText(link.value);
      copy.textContent = 'Copied';
    } catch {
      link.focus(); // no clipboard over plain http; this selects it
      copy.textContent = 'Now copy it';
    }
    setTimeout(() => (copy.textContent = label), 2000);
  };
  share.hidden = !navigator.share;
  const what = { title: document.title, url: link.value };
  share.onclick = () => navigator.share(what).catch(() => {}); // put away
}

/** @param {Room} room */
function setUpLeaving(room) {
  const leave = element('without', HTMLButtonElement);
  const update = () => {
    leave.hidden = room.state === 'closed' || ![...room.peers.values()].some(({ ready }) => ready);
  };
  leave.onclick = () => room.leaveServer();
  on(room, 'change', update);
  on(room, 'leave', update);
  on(room, 'state', update);
  on(room, 'close', ({ code }) => {
    if (code !== 1000) return;
    clearProblem('line');
    showStatus('joined', 'Without the server');
  });
}

/** @param {RoomEvents["state"]} state */
function showState({ state, code = 0, message = '', retryIn }) {
  if (state === 'joined') {
    showStatus(state, 'In the room');
    return clearProblem('line');
  }
  if (state === 'closed') return showStatus(state, 'Not in the room');
  const back = state === 'reconnecting';
  showStatus(state, back ? 'Reconnecting' : 'Joining');
  const words = closeWords(code, message, retryIn);
  showProblem('line', back ? `${words} Connections with those here go on.` : words);
}

/** @param {string} state @param {string} words */
function showStatus(state, words) {
  setText(html('state'), words);
  html('status').dataset.state = state;
}

/** @param {number} code @param {string} message @param {number | null} [retryIn] */
function closeWords(code, message, retryIn = null) {
  const words = CLOSED[code] ?? 'The server does not answer.';
  const why = code === 4010 && message ? words.replace('.', `: ${message}.`) : words;
  const seconds = Math.max(1, Math.round((retryIn ?? 0) / 1000));
  return retryIn === null ? why : `${why} Trying again in ${seconds} s.`;
}

/** A syllable has 6 random bits. @param {number} words @param {number} syllables */
function readable(words, syllables) {
  const syllable = (/** @type {number} */ byte) => CONSONANTS[byte & 15] + 'aiou'[(byte >> 4) & 3];
  const word = () => [...crypto.getRandomValues(new Uint8Array(syllables))].map(syllable).join('');
  return Array.from({ length: words }, word).join('-');
}

/**
 * The same after a reload. A duplicated tab has a copy of what is kept, but not the lock, and is
 * somebody new. The address, which people copy, keeps only the room.
 * @param {string} slot
 * @returns {Promise<Who>}
 */
async function whoWeAre(slot) {
  const kept = read(slot);
  const given = Object.fromEntries(['id', 'name', 'token'].map((key) => [key, query.get(key)]));
  const known = kept !== null && (!given.id || given.id === kept.id);
  const same = known && (await claim(`${slot} ${kept.id}`));
  const who = {
    id: given.id || (same ? kept.id : readable(2, 2)),
    key: same ? kept.key : readable(1, 22),
    name: tidy(given.name ?? kept?.name ?? ''),
    token: given.token ?? kept?.token,
  };
  if (!same) claim(`${slot} ${who.id}`);
  write(slot, who);
  for (const key of Object.keys(given)) query.delete(key);
  history.replaceState(null, '', `?${query}${location.hash}`);
  return who;
}

/** Whether no other tab is this one. @param {string} lock */
function claim(lock) {
  return new Promise((resolve) => {
    // Over plain http there are none: the newest tab takes over, and the other says so.
    if (!navigator.locks) return resolve(true);
    const hold = () => {
      resolve(true);
      return new Promise(() => {}); // for as long as this page lives
    };
    const signal = AbortSignal.timeout(LOCK_WITHIN);
    navigator.locks.request(lock, { signal }, hold).catch(() => resolve(false));
  });
}

/** @param {string} slot @returns {Who | null} */
function read(slot) {
  try {
    return JSON.parse(sessionStorage.getItem(slot) ?? 'null');
  } catch {
    return null;
  }
}

/** @param {string} slot @param {Who | null} who */
function write(slot, who) {
  try {
    sessionStorage.setItem(slot, JSON.stringify(who));
  } catch {
    // Storage is blocked, or full: a reload is somebody new.
  }
}
