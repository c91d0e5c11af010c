// @ts-check
/**
 * The page: `/` starts a room, `/?room=demo` is in one, `/?lobby=demo` in one where nobody is
 * connected unasked. It shows what `Room` tells it; each feature has a file in `page/`.
 *
 * Optional in the query: `steps` (begin step by step), `name` (to be known by), `id`, and `token`
 * (of a server that asks for one).
 */

import { startCall } from './page/call.js';
import { startChat } from './page/chat.js';
import { clearProblem, element, html, on, remedy, setText, showProblem } from './page/dom.js';
import { pace, setUpSteps, startHandshake } from './page/handshake.js';
import { startInside } from './page/inside.js';
import { showCount, startPeople } from './page/people.js';
import { startInvite } from './page/stage.js';
import { startTasks } from './page/tasks.js';
import { forgetWho, readable, whoWeAre } from './page/who.js';
import { Room } from './room.js';

/** @import { RoomEvents } from "./room.js" */

/** By close code. @type {Record<number, (again: string, message: string) => string>} */
const CLOSED = {
  1000: () => 'You have left the room.',
  1009: () => 'What this page sent was too large for the server.',
  4001: () => 'Another tab or window has taken your place. Reload to take it back.',
  4003: (again) => `The room is full. Wait until somebody leaves, or open another one. ${again}`,
  4008: (again) => `This page sent too much at once. ${again}`,
  4009: () => 'This name is taken: somebody else in the room has it. Join with another.',
  4010: (_, message) =>
    `You may not enter this room${message && `: ${message}`}. Ask whoever invited you for a new link.`,
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
  const slot = `${kind} ${name}`;
  const who = await whoWeAre(slot, query);
  setUpSteps(query.has('steps'));
  /** @type {Room} */
  let room;
  try {
    const { id, key, token } = who;
    room = new Room(name, { id, key, token, connect: lobby ? 'on-request' : 'always', pace });
  } catch (error) {
    forgetWho(slot);
    showProblem('address', `You cannot join with this address: ${/** @type {Error} */ (error).message}.`);
    return start();
  }
  setText(html('room-title'), name);
  html('room-title').title = name;
  html('place').hidden = html('views').hidden = false;
  showStatus('connecting', 'Joining');
  const url = new URL(`/?${new URLSearchParams({ [kind]: name })}`, location.href);

  startChat(room, name);
  startPeople(room, who, Boolean(lobby));
  startInside(room);
  startInvite(room, url);
  startCall(room);
  startHandshake(room);
  startTasks(room);

  on(room, 'state', (state) => {
    showState(state);
    showCount(room);
  });
  on(room, 'close', ({ code, message }) => {
    const again = code === 4009 ? [remedy('Join with another', url.href)] : [];
    if (code === 4009) forgetWho(slot);
    showProblem('line', closeWords(code, message), ...again);
  });
  on(room, 'error', ({ code, message, to }) =>
    console.warn(`partyline: ${code}: ${message}`, to ?? ''),
  );
  if (lobby) setUpLeaving(room);
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
  const again =
    retryIn === null ? '' : `Trying again in ${Math.max(1, Math.round(retryIn / 1000))} s.`;
  return CLOSED[code]?.(again, message) ?? `The server does not answer. ${again}`;
}

