// @ts-check
/**
 * What goes on between us, the server and one peer: drawn as it happens, or step by step; and the
 * 26 tasks of a connection, ticked off, those of the other side by what comes of them.
 */

import { append, element, fromTemplate, html, make, on, part, setText, setTime } from './dom.js';
import { onChosen } from './inside.js';
import { nameOf } from './people.js';

/** @import { Peer, Room, Step, Trace } from "../room.js" */

const EVENTS_MOST = 400;

/** What is done in this browser, and why. @type {Record<string, [does: string, why: string]>} */
const DOINGS = {
  'create-connection': ['make the connection', 'With the ICE servers that may help it.'],
  'create-channel': ['add a data channel', 'For the chat. Now an offer is due.'],
  'create-offer': ['make an offer', 'What we would like to exchange.'],
  'create-answer': ['make an answer', 'What we take of what was offered.'],
  'set-local-description': ['set our description', 'Our browser commits itself to it.'],
  'set-remote-description': ['set their description', 'Our browser knows what they propose.'],
  'ignore-offer': ['ignore their offer', 'Both have offered, and they are polite.'],
  'local-candidate': ['find a candidate', 'An address at which we might be reached.'],
  'add-candidate': ['try their candidate', 'Our browser tries it with each of our own.'],
  'queue-candidate': ['keep their candidate', 'It has come before its description.'],
  track: ['get a track', 'The other side sends sound or pictures.'],
  'connection-state': ['connection', 'ICE, and the encryption on top.'],
  'ice-connection-state': ['ICE', 'The search for a way between us.'],
  'ice-gathering-state': ['gathering', 'The search for addresses of our own.'],
  'signaling-state': ['signaling', 'The exchange of descriptions.'],
  'channel-state': ['data channel', 'Text goes straight to the other side.'],
  relation: ['relation', 'Who has asked whom for a connection.'],
  'room-state': ['line to the server', 'The WebSocket for introductions.'],
};

/** What goes through the server. @type {Record<string, string>} */
const FRAMES = {
  offer: 'What one would like to exchange, forwarded unread.',
  answer: 'What the other takes of it, forwarded unread.',
  welcome: 'Who is here, and who is polite.',
  'peer-joined': 'Somebody came.',
  'peer-left': 'Somebody left.',
  hello: 'This page’s own: a name, to be shown.',
  request: 'Would you like to connect?',
  accept: 'Yes. The offer follows.',
  decline: 'No.',
  cancel: 'Not any more.',
};

/** What a line of a description says. @type {Record<string, string>} */
const LINES = {
  v: 'The version of SDP.',
  o: 'The session, and the version of its description.',
  s: 'The name of the session.',
  'm=application': 'A section for data channels, over SCTP and DTLS.',
  'm=audio': 'A section for sound; port 0: given up.',
  'm=video': 'A section for pictures; port 0: given up.',
  'a=group': 'The sections that share one path.',
  'a=ice-ufrag': 'The name on its checks.',
  'a=ice-pwd': 'The password that proves it.',
  'a=ice-options': 'More candidates may follow one by one.',
  'a=fingerprint': 'The hash of its certificate.',
  'a=setup': 'Who begins the encryption: active itself, passive the other, actpass either.',
  'a=mid': 'The name of the section.',
  'a=sctp-port': 'The SCTP port, inside the encryption.',
  'a=max-message-size': 'The most bytes in a message.',
  'a=sendrecv': 'It wants to send and to receive.',
  'a=sendonly': 'It wants to send only.',
  'a=recvonly': 'It wants to receive only.',
  'a=inactive': 'For now, neither.',
  'a=rtcp-mux': 'Reports travel on the same path.',
  'a=rtpmap': 'The codec that a number stands for.',
  'a=fmtp': 'How that codec is set up.',
  'a=msid': 'The stream of a track, and its own name.',
  'a=ssrc': 'The number on its packets.',
};

/** What kind of address a candidate is. @type {Record<string, string>} */
const TYPES = {
  host: 'an address of the device itself',
  srflx: 'its address from outside, as a STUN server saw it',
  prflx: 'an address that showed when it reached the other side',
  relay: 'an address on a TURN server, which passes all on',
};

/** Each with what shows that it is done, to the caller and to the callee. @type {string[][]} */
const TASKS = [
  ['The caller makes an offer'],
  [
    'The caller notes which STUN and TURN servers may help it.',
    'local create-connection',
    'in offer',
  ],
  ['It makes an RTCPeerConnection.', 'local create-connection', 'in offer'],
  ['It decides what to exchange: a data channel for text.', 'local create-channel', 'in offer'],
  ['It adds that to its connection.', 'local create-channel', 'in offer'],
  ['It makes an offer: all that it proposes, in SDP.', 'made offer', 'in offer'],
  ['It sets the offer as its local description.', 'set offer', 'in offer'],
  [
    'Now its browser gathers candidates: addresses at which it might be reached.',
    'local local-candidate',
    'in candidate',
  ],
  ['It hands the offer to the server, addressed to the callee.', 'out offer', 'in offer'],
  ['It hands over each candidate as soon as it is found.', 'out candidate', 'in candidate'],
  ['The server introduces them'],
  ['The server forwards the offer to the callee, unread.', 'in answer', 'in offer'],
  ['The callee answers'],
  ['The callee has a line to the server as well.', 'there', 'there'],
  ['It gets the offer, and learns whom it is from.', 'in answer', 'in offer'],
  ['It notes which STUN and TURN servers may help it.', 'in answer', 'local create-connection'],
  ['It makes an RTCPeerConnection of its own.', 'in answer', 'local create-connection'],
  ['It decides what it wants to exchange.', 'in answer', 'set offer'],
  ['It adds that to its connection, or listens for the data channel.', 'in answer', 'set offer'],
  ['It sets the offer as its remote description.', 'in answer', 'set offer'],
  ['It makes an answer: what it agrees to.', 'in answer', 'made answer'],
  ['It sets the answer as its local description.', 'in answer', 'set answer'],
  ['Now its browser gathers candidates in turn.', 'in candidate', 'local local-candidate'],
  ['It hands the answer to the server, addressed to the caller.', 'in answer', 'out answer'],
  ['It hands over each candidate as soon as it is found.', 'in candidate', 'out candidate'],
  ['The server introduces them the other way'],
  ['The server forwards the answer and the candidates to the caller.', 'in answer', 'connected'],
  ['The caller completes it'],
  ['The caller gets the answer and the candidates.', 'in answer', 'connected'],
  ['Its own candidates have gone to the callee.', 'out candidate', 'in candidate'],
  [
    'It sets the answer as its remote description; both try all routes until one works.',
    'set answer',
    'connected',
  ],
];

/** @type {Trace[]} */
const traces = [];
/** What waits for its step, and how to let it go on. @type {{ step: Step, go: () => void }[]} */
let steps = [];
/** By peer. @type {Map<string, { caller: boolean | null, proofs: Set<string> }>} */
const seen = new Map();
/** @type {Peer | null} */
let chosen = null;
let stepping = false;

/** The library asks before each step. @param {Step} step @returns {Promise<void> | void} */
export function pace(step) {
  if (!stepping) return;
  return new Promise((go) => {
    steps.push({ step, go });
    showSteps();
  });
}

/** @param {boolean} on whether to begin step by step */
export function setUpSteps(on) {
  const toggle = element('step-by-step', HTMLInputElement);
  toggle.checked = stepping = on;
  toggle.onchange = () => {
    stepping = toggle.checked;
    if (!stepping) for (const { go } of steps.splice(0)) go();
    showSteps();
  };
  html('next').onclick = () => {
    const next = nextStep();
    steps = steps.filter((other) => other !== next);
    next?.go();
    showSteps();
  };
  showSteps();
}

const nextStep = () => steps.find(({ step }) => step.peer === chosen?.id) ?? steps.at(0);

function showSteps() {
  const step = nextStep()?.step;
  element('next', HTMLButtonElement).disabled = !step;
  html('steps').hidden = !stepping;
  const whose = step?.peer && step.peer !== chosen?.id ? ` (${nameOf(step.peer)})` : '';
  setText(html('next-step'), step ? `Next: ${title(step)}${whose}` : 'Nothing waits for you.');
}

/** @param {Room} room */
export function startHandshake(room) {
  for (const [sentence, ...proof] of TASKS) {
    html('tasks').append(make('li', proof.length ? 'task' : 'task-group', sentence));
  }
  on(room, 'trace', (trace) => {
    traces.push(trace);
    if (traces.length > EVENTS_MOST * 4) traces.shift();
    if (trace.peer !== null) note(trace.peer, trace);
    if (concerns(trace)) {
      show(trace);
      showTasks();
    }
  });
  on(room, 'leave', ({ peer }) => {
    seen.delete(peer.id);
    steps = steps.filter(({ step }) => step.peer !== peer.id);
    showSteps();
  });
  const showNames = () => {
    setText(html('their-lane'), chosen ? nameOf(chosen.id) : 'They');
    showSteps();
    showTasks();
  };
  on(room, 'signal', showNames);
  onChosen((peer) => {
    chosen = peer;
    html('sequence').replaceChildren();
    traces.filter(concerns).forEach(show);
    showNames();
  });
}

/** @param {Trace} trace */
function concerns({ peer }) {
  return peer === null || peer === chosen?.id;
}

/** @param {Trace} trace */
function show(trace) {
  const row = fromTemplate('event');
  row.dataset.direction = trace.type === 'channel-state' ? 'both' : trace.direction;
  row.dataset.type = trace.type;
  row.classList.toggle('server-only', trace.peer === null || trace.type.startsWith('peer-'));
  const time = new Date(trace.time);
  setTime(row, time, time.toISOString().slice(17, 23));
  setText(part(row, '.what'), title(trace));
  // Explained when it is opened: most never are.
  part(row, 'details').ontoggle = () => part(row, '.reading').replaceChildren(...reading(trace));
  append(html('sequence'), row, EVENTS_MOST);
}

/** @param {Step} step */
function title({ direction, type, payload }) {
  const candidate = candidateOf(payload);
  const words = candidate === null ? '' : ` (${nameCandidate(candidate)})`;
  if (direction !== 'local') return `${direction === 'out' ? 'send ' : ''}${type}${words}`;
  const [does] = DOINGS[type] ?? [type];
  if (/description/.test(type)) return `${does}: the ${payload?.type ?? 'next'}`;
  if (typeof payload === 'string' && type !== 'create-channel') return `${does}: ${payload}`;
  return does + words;
}

/** @param {Trace} trace */
function reading({ direction, type, payload }) {
  const why = direction === 'local' ? DOINGS[type]?.[1] : FRAMES[type];
  const candidate = candidateOf(payload);
  /** @type {HTMLElement[]} */
  const parts = [];
  if (why) parts.push(make('p', '', why));
  if (candidate !== null) {
    parts.push(make('p', '', explainCandidate(candidate)), make('pre', '', candidate));
  } else if (typeof payload?.sdp === 'string') {
    const lines = payload.sdp.split(/\r?\n/).filter(Boolean);
    parts.push(make('dl', 'sdp', ...lines.flatMap(explainLine)));
  } else if (payload instanceof Object) {
    parts.push(make('pre', '', JSON.stringify(payload, null, 1)));
  }
  return parts;
}

/** @param {string} line */
function explainLine(line) {
  const candidate = /^a=(candidate:.*)/.exec(line)?.[1];
  const [name] = /^[am]=[\w-]+|^\w/.exec(line) ?? [''];
  const words = candidate ? explainCandidate(candidate) : (LINES[name] ?? '');
  return [make('dt', '', line), make('dd', '', words)];
}

/** @param {any} payload @returns {string | null} */
function candidateOf(payload) {
  return typeof payload?.candidate === 'string' ? payload.candidate : null;
}

/**
 * RFC 8839 §5.1: foundation, component, transport, priority, address, port, "typ", type.
 * @param {string} candidate
 */
function explainCandidate(candidate) {
  const [, , transport, , address, port, , type] = candidate.split(' ');
  if (!type) return 'That was the last candidate.';
  const hidden = address.endsWith('.local') ? ' The name hides it from the page.' : '';
  const where = `${address}, port ${port}, over ${transport.toUpperCase()}`;
  return `A possible route: ${where}. It is ${TYPES[type] ?? type}.${hidden}`;
}

/** In two words. @param {string} candidate */
function nameCandidate(candidate) {
  const [, , transport, , , , , type] = candidate.split(' ');
  return type ? `${type}, ${transport.toLowerCase()}` : 'the last';
}

/** @param {string} id @param {Trace} trace */
function note(id, { direction, type, payload }) {
  const known = seen.get(id) ?? { caller: null, proofs: new Set() };
  const { proofs } = known;
  seen.set(id, known);
  if (type === 'create-connection') proofs.clear();
  proofs.add('there');
  if (type.startsWith('set-')) proofs.add(`set ${payload?.type}`).add(`made ${payload?.type}`);
  else if (/^create-(offer|answer)/.test(type)) proofs.add(type.replace('create-', 'made '));
  else proofs.add(type === 'connection-state' ? payload : `${direction} ${type}`);

  if (proofs.has('connected')) return; // who called whom is settled
  if (type === 'create-channel' || (direction === 'out' && type === 'request')) known.caller = true;
  if (direction === 'in' && (type === 'request' || type === 'offer')) known.caller ??= false;
  // Also after glare, when ours was taken back for it.
  if (type === 'set-remote-description' && payload?.type === 'offer') known.caller = false;
}

function showTasks() {
  const known = chosen && seen.get(chosen.id);
  const caller = known?.caller ?? !chosen?.polite;
  const name = chosen ? nameOf(chosen.id) : '';
  const who = caller ? `You call, and ${name} is called.` : `${name} calls, and you are called.`;
  const how = `What ${name} does is ticked off by what comes of it.`;
  setText(html('tasks-hint'), chosen ? `${who} ${how}` : 'They are ticked off as they happen.');
  let number = 0;
  let done = 0;
  TASKS.forEach(([, ifCaller, ifCallee], index) => {
    const row = html('tasks').children[index];
    if (!ifCaller) return;
    number += 1;
    const isDone = known?.proofs.has(caller ? ifCaller : ifCallee) ?? false;
    done += Number(isDone);
    row.classList.toggle('ours', caller ? number < 10 || number > 23 : number > 10 && number < 23);
    row.classList.toggle('done', isDone);
  });
  setText(html('tasks-done'), `${done} of ${number}`);
}
