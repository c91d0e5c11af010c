// @ts-check
/** The 26 tasks of a connection, ticked off as they happen, or, on the other side, by what comes of it. */

import { html, make, on, setText } from './dom.js';
import { onChosen } from './inside.js';
import { nameOf } from './people.js';

/** @import { Peer, Room, Trace } from "../room.js" */

/**
 * Each with what shows that it is done, if we are the caller and if we are the callee.
 * @type {([string] | [string, string, string])[]}
 */
const TASKS = [
  ['The caller makes an offer'],
  ['The caller notes which STUN and TURN servers may help it.', 'here create-connection', 'in offer'],
  ['It makes an RTCPeerConnection.', 'here create-connection', 'in offer'],
  ['It decides what to exchange: a data channel for text.', 'here create-channel', 'in offer'],
  ['It adds that to its connection.', 'here create-channel', 'in offer'],
  ['It makes an offer: a description in SDP of all that it proposes.', 'made offer', 'in offer'],
  ['It sets the offer as its local description.', 'set offer', 'in offer'],
  ['Now its browser gathers candidates: addresses at which it might be reached.', 'here gather', 'in candidate'],
  ['It hands the offer to the server, addressed to the callee.', 'out offer', 'in offer'],
  ['It hands over each candidate as soon as it is found.', 'out candidate', 'in candidate'],
  ['The server introduces them'],
  ['The server forwards the offer to the callee, unread.', 'in answer', 'in offer'],
  ['The callee answers'],
  ['The callee has a line to the server as well.', 'there', 'there'],
  ['It gets the offer, and learns whom it is from.', 'in answer', 'in offer'],
  ['It notes which STUN and TURN servers may help it.', 'in answer', 'here create-connection'],
  ['It makes an RTCPeerConnection of its own.', 'in answer', 'here create-connection'],
  ['It decides what it wants to exchange.', 'in answer', 'set offer'],
  ['It adds that to its connection, or listens for the data channel.', 'in answer', 'set offer'],
  ['It sets the offer as its remote description.', 'in answer', 'set offer'],
  ['It makes an answer: what of all that it agrees to.', 'in answer', 'made answer'],
  ['It sets the answer as its local description.', 'in answer', 'set answer'],
  ['Now its browser gathers candidates in turn.', 'in candidate', 'here gather'],
  ['It hands the answer to the server, addressed to the caller.', 'in answer', 'out answer'],
  ['It hands over each candidate as soon as it is found.', 'in candidate', 'out candidate'],
  ['The server introduces them the other way'],
  ['The server forwards the answer and the candidates to the caller.', 'in answer', 'connected'],
  ['The caller completes it'],
  ['The caller gets the answer and the candidates.', 'in answer', 'connected'],
  ['Its own candidates have gone to the callee.', 'out candidate', 'in candidate'],
  ['It sets the answer as its remote description, and both try all routes until one works.', 'set answer', 'connected'],
];

/** What has happened with each peer. @type {Map<string, { caller: boolean | null, proofs: Set<string> }>} */
const seen = new Map();
/** @type {Peer | null} */
let chosen = null;

/** @param {Room} room */
export function startTasks(room) {
  for (const [sentence, ...proof] of TASKS) {
    html('tasks').append(make('li', proof.length ? 'task' : 'stage', make('span', '', sentence)));
  }
  on(room, 'trace', (trace) => {
    if (trace.peer === null) return;
    note(trace.peer, trace);
    if (trace.peer === chosen?.id) show();
  });
  on(room, 'leave', ({ peer }) => seen.delete(peer.id));
  onChosen((peer) => {
    chosen = peer;
    show();
  });
}

/** @param {string} id @param {Trace} trace */
function note(id, { way, kind, payload }) {
  const known = seen.get(id) ?? { caller: null, proofs: new Set() };
  const { proofs } = known;
  seen.set(id, known);
  if (kind === 'create-connection') proofs.clear();
  proofs.add('there');
  if (kind.startsWith('set-')) proofs.add(`set ${payload?.type}`).add(`made ${payload?.type}`);
  else if (/^create-(offer|answer)/.test(kind)) proofs.add(kind.replace('create-', 'made '));
  else proofs.add(kind === 'connection' ? payload : `${way} ${kind}`);

  if (proofs.has('connected')) return; // who called whom is settled
  if (kind === 'create-channel' || (way === 'out' && kind === 'request')) known.caller = true;
  if (way === 'in' && (kind === 'request' || kind === 'offer')) known.caller ??= false;
  // Also after glare, when ours was taken back for it.
  if (kind === 'set-remote-description' && payload?.type === 'offer') known.caller = false;
}

function show() {
  const known = chosen && seen.get(chosen.id);
  const caller = known?.caller ?? !chosen?.polite;
  const name = chosen ? nameOf(chosen.id) : '';
  const who = caller ? `You call, and ${name} is called.` : `${name} calls, and you are called.`;
  const how = `What ${name} does is ticked off by what comes of it.`;
  setText(html('tasks-hint'), chosen ? `${who} ${how}` : 'They are ticked off as they happen.');
  let number = 0;
  let done = 0;
  TASKS.forEach(([, ifCaller = '', ifCallee = ''], index) => {
    const row = html('tasks').children[index];
    if (!ifCaller) return;
    number += 1;
    const isDone = known?.proofs.has(caller ? ifCaller : ifCallee) ?? false;
    done += Number(isDone);
    row.classList.toggle('ours', caller ? number < 10 || number > 23 : number > 10 && number < 23);
    row.classList.toggle('done', isDone);
    if (isDone !== (row.childElementCount > 1)) {
      if (isDone) row.append(make('span', 'unseen', ' Done.'));
      else row.lastElementChild?.remove();
    }
  });
  setText(html('tasks-done'), `${done} of ${number}`);
}
