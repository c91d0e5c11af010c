// @ts-check
/**
 * The page: `/` starts a room, `/?room=demo` is in one, `/?lobby=demo` in one where nobody is
 * connected unasked. It shows what `Room` tells it; each feature has a file in `page/`.
 *
 * Whatever comes from others, names, chat and descriptions alike, becomes text, never markup. Query
 * parameters: `room` or `lobby`, and optionally `steps` (begin step by step), `name` (to be known
 * by), `id`, and `token` (of a server that asks for one).
 */

import { startCall } from './page/call.js';
import { startChat } from './page/chat.js';
import { startConnection } from './page/connection.js';
import { element, html, on, setText } from './page/dom.js';
import { pace, setUpSteps, startHandshake } from './page/handshake.js';
import { startViews } from './page/inside.js';
import { startInvite } from './page/invite.js';
import { showCount, startPeople } from './page/people.js';
import { clearProblem, closeWords, remedy, showProblem } from './page/problems.js';
import { startTasks } from './page/tasks.js';
import { forgetWho, readable, whoWeAre } from './page/who.js';
import { Room } from './room.js';

const query = new URLSearchParams(location.search);
const lobby = query.get('lobby');
const place = lobby || query.get('room');
if (place) enter(place);
else start();

function start() {
  const field = element('room-name', HTMLInputElement);
  const suggest = () => (field.value = readable(3, 3));
  suggest();
  element('suggest', HTMLButtonElement).onclick = suggest;
  const form = element('join', HTMLFormElement);
  form.onsubmit = () => {
    field.name = new FormData(form).get('how') === 'lobby' ? 'lobby' : 'room';
    // What is empty or said by the name of the field would only make the address long.
    for (const input of form.elements) {
      const { name, value } = /** @type {HTMLInputElement} */ (input);
      if (value === '' || name === 'how') input.toggleAttribute('disabled', true);
    }
  };
  addEventListener('pageshow', () => {
    for (const input of form.elements) input.removeAttribute('disabled');
  });
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
    const connect = lobby ? 'on-request' : 'always';
    const { id, key, token } = who;
    room = new Room(name, { id, key, token, connect, pace });
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
  startViews(room);
  startInvite(room, url);
  startCall(room);
  startHandshake(room);
  startTasks(room);
  startConnection(room);

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

/** @param {import("./room.js").RoomEvents["state"]} state */
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
