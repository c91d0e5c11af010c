// @ts-check
/**
 * The 26 tasks of a connection, ticked off as they happen: in this browser, where it is our part,
 * and by what comes from the other side, where it is theirs.
 */

import { html, make, on, setText } from './dom.js';
import { onChosen } from './inside.js';
import { nameOf } from './people.js';

/** @typedef {import("../room.js").Trace} Trace */

/**
 * Each with what shows that it is done, if we are the caller and if we are the callee.
 * @type {([string] | [string, string, string])[]}
 */
const TASKS = [
  ['The caller makes an offer'],
  ['The caller notes which STUN and TURN servers may help it find a way through its router.', 'here create-connection', 'in offer'],
  ['It makes an RTCPeerConnection, which looks after everything from here on.', 'here create-connection', 'in offer'],
  ['It decides what to exchange: to begin with, a data channel for text.', 'here create-channel', 'in offer'],
  ['It adds the channel to the connection, so that there is something to agree on.', 'here create-channel', 'in offer'],
  ['It makes an offer, a description in SDP of all that it proposes.', 'made offer', 'in offer'],
  ['It sets the offer as its local description, and so commits itself to it.', 'set offer', 'in offer'],
  ['Now its browser gathers candidates: addresses at which it might be reached.', 'here gather', 'in candidate'],
  ['It hands the offer to the signaling server, addressed to the callee.', 'out offer', 'in offer'],
  ['It hands over each candidate too, as soon as that is found.', 'out candidate', 'in candidate'],
  ['The server introduces them'],
  ['The server forwards the offer to the callee, unread.', 'in answer', 'in offer'],
  ['The callee answers'],
  ['The callee has opened the page, and so has a line to the server as well.', 'there', 'there'],
  ['It gets the offer, and learns whom it is from.', 'in answer', 'in offer'],
  ['It notes the STUN and TURN servers that may help it.', 'in answer', 'here create-connection'],
  ['It makes an RTCPeerConnection of its own.', 'in answer', 'here create-connection'],
  ['It decides what it wants to send and to take, which is up to each side.', 'in answer', 'set offer'],
  ['It adds that to its connection, or listens for the channel announced to it.', 'in answer', 'set offer'],
  ['It sets the offer as its remote description, and so knows what is proposed.', 'in answer', 'set offer'],
  ['It makes an answer: what of all that it agrees to.', 'in answer', 'made answer'],
  ['It sets the answer as its local description.', 'in answer', 'set answer'],
  ['Now its browser gathers candidates in turn.', 'in candidate', 'here gather'],
  ['It hands the answer to the server, addressed to the caller.', 'in answer', 'out answer'],
  ['It hands over its candidates.', 'in candidate', 'out candidate'],
  ['The server introduces them the other way'],
  ['The server forwards the answer and the candidates to the caller.', 'in answer', 'connected'],
  ['The caller completes it'],
  ['The caller gets the answer and the candidates, and keeps what comes too early.', 'in answer', 'connected'],
  ['Its own candidates have gone to the callee, one by one or all at last.', 'out candidate', 'in candidate'],
  ['It sets the answer as its remote description; both try all routes, until one works.', 'set answer', 'connected'],
];

/** What has happened with each peer. @type {Map<string, { caller: boolean | null, proofs: Set<string> }>} */
const seen = new Map();
/** @type {import("./inside.js").Peer | null} */
let chosen = null;

/** @param {import("../room.js").Room} room */
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
  setText(
    html('tasks-hint'),
    !chosen
      ? 'They are ticked off as they happen.'
      : caller
        ? `You call, and ${name} is called. What ${name} does is ticked off by what comes of it.`
        : `${name} calls, and you are called. What ${name} does is ticked off by what comes of it.`,
  );
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
