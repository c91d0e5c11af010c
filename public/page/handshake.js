// @ts-check
/** What goes on between us, the server and one peer: drawn as it happens, or step by step. */

import { button, element, fromTemplate, html, make, on, part, setText } from './dom.js';
import { explainCandidate, explainDescription, nameCandidate } from './explain.js';
import { onChosen } from './inside.js';
import { nameOf } from './people.js';

/**
 * @typedef {import("../room.js").Room} Room
 * @typedef {import("../room.js").Trace} Trace
 * @typedef {import("../room.js").Step} Step
 */

const EVENTS_MOST = 400;

/** What is done in this browser, and why. @type {Record<string, [does: string, why: string]>} */
const DOINGS = {
  'create-connection': ['make the connection', 'With the ICE servers that may help it find a way.'],
  'create-channel': ['add a data channel', 'For the chat. Now an offer is due.'],
  'create-offer': ['make an offer', 'What we would like to exchange.'],
  'create-answer': ['make an answer', 'What we take of what was offered.'],
  'set-local-description': ['set our description', 'Our browser commits itself to it.'],
  'set-remote-description': ['set their description', 'Our browser knows what they propose.'],
  'ignore-offer': ['ignore their offer', 'Both have offered at once. We are impolite: ours stands, and they give way.'],
  gather: ['find a candidate', 'An address at which we might be reached.'],
  'add-candidate': ['try their candidate', 'Our browser tries it with each of our own.'],
  'keep-candidate': ['keep their candidate', 'It has come before its description.'],
  track: ['get a track', 'The other side sends sound or pictures.'],
  connection: ['connection', 'The state of it all: ICE, and the encryption on top.'],
  ice: ['ICE', 'The search for a way between the two.'],
  gathering: ['gathering', 'The search for addresses of our own.'],
  signaling: ['signaling', 'Where the exchange of descriptions stands.'],
  channel: ['data channel', 'From here on, text goes straight to the other side.'],
  relation: ['relation', 'Who has asked whom for a connection.'],
  line: ['line to the server', 'The WebSocket for introductions.'],
};

/** What is sent by the server. @type {Record<string, string>} */
const FRAMES = {
  offer: 'What one would like to exchange, forwarded unread.',
  answer: 'What the other takes of it, forwarded unread.',
  welcome: 'The server says who is here, and who is polite.',
  'peer-joined': 'The server says that somebody came.',
  'peer-left': 'The server says that somebody left.',
  hello: 'This page’s own: a name, to be shown.',
  request: 'Would you like to connect?',
  accept: 'Yes. The offer follows.',
  decline: 'No.',
  cancel: 'Not any more.',
};

/** @type {Trace[]} */
const traces = [];
/** What waits for its step, and how to let it go on. @type {{ step: Step, go: () => void }[]} */
const steps = [];
/** @type {string | null} */
let chosen = null;
let stepping = false;

/** The library asks before each step. @param {Step} step */
export function pace(step) {
  if (!stepping) return;
  return /** @type {Promise<void>} */ (
    new Promise((go) => {
      steps.push({ step, go });
      showSteps();
    })
  );
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
  element('next', HTMLButtonElement).onclick = () => {
    const index = Math.max(0, steps.findIndex(({ step }) => step.peer === chosen));
    steps.splice(index, 1)[0]?.go();
    showSteps();
  };
  showSteps();
}

function showSteps() {
  const { step } = steps.find(({ step }) => step.peer === chosen) ?? steps[0] ?? {};
  element('next', HTMLButtonElement).disabled = !step;
  html('steps').hidden = !stepping;
  const whose = step?.peer && step.peer !== chosen ? ` (${nameOf(step.peer)})` : '';
  setText(html('next-step'), step ? `Next: ${title(step)}${whose}` : 'Nothing waits for you.');
}

/** @param {Room} room */
export function startHandshake(room) {
  on(room, 'trace', (trace) => {
    traces.push(trace);
    if (traces.length > EVENTS_MOST * 4) traces.shift();
    if (concerns(trace)) show(trace);
  });
  on(room, 'leave', ({ peer }) => {
    const left = steps.filter(({ step }) => step.peer === peer.id);
    for (const each of left) steps.splice(steps.indexOf(each), 1);
    showSteps();
  });
  const showNames = () => {
    setText(html('their-lane'), chosen === null ? 'They' : nameOf(chosen));
    showSteps();
  };
  on(room, 'signal', showNames);
  onChosen((peer) => {
    chosen = peer?.id ?? null;
    html('sequence').replaceChildren();
    traces.filter(concerns).forEach(show);
    showNames();
  });
}

/** @param {Trace} trace */
function concerns({ peer }) {
  return peer === null || peer === chosen;
}

/** @param {Trace} trace */
function show(trace) {
  const list = html('sequence');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const row = fromTemplate('event');
  row.dataset.way = trace.kind === 'channel' ? 'both' : trace.way;
  row.dataset.kind = trace.kind;
  row.classList.toggle('server-only', trace.peer === null || trace.kind.startsWith('peer-'));
  const time = /** @type {HTMLTimeElement} */ (part(row, 'time'));
  const date = new Date(trace.time);
  time.dateTime = date.toISOString();
  time.textContent = date.toISOString().slice(17, 23);
  setText(part(row, '.what'), title(trace));
  // Explained when it is opened: most never are.
  const details = /** @type {HTMLDetailsElement} */ (part(row, 'details'));
  details.ontoggle = () => part(row, '.reading').replaceChildren(...reading(trace));
  list.append(row);
  if (list.childElementCount > EVENTS_MOST) list.firstElementChild?.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/** @param {Step} step */
function title({ way, kind, payload }) {
  const candidate = typeof payload?.candidate === 'string' ? ` (${nameCandidate(payload.candidate)})` : '';
  if (way === 'out') return `send ${kind}${candidate}`;
  if (way === 'in') return `${kind}${candidate}`;
  const [does] = DOINGS[kind] ?? [kind];
  if (/description/.test(kind)) return `${does}: the ${payload?.type ?? 'next'}`;
  return `${does}${candidate}${typeof payload === 'string' && kind !== 'create-channel' ? `: ${payload}` : ''}`;
}

/** @param {Trace} trace */
function reading({ way, kind, payload }) {
  const why = way === 'here' ? DOINGS[kind]?.[1] : FRAMES[kind];
  const parts = [];
  if (typeof payload?.candidate === 'string') {
    parts.push(make('p', '', explainCandidate(payload.candidate)), make('pre', '', payload.candidate));
  } else if (typeof payload?.sdp === 'string') {
    const lines = explainDescription(payload.sdp).flatMap(([line, words]) => [
      make('dt', '', line),
      make('dd', '', words),
    ]);
    parts.push(make('dl', 'sdp', ...lines));
  } else if (payload !== undefined && typeof payload !== 'string' && payload !== true) {
    parts.push(make('pre', '', JSON.stringify(payload, null, 1)));
  }
  return why ? [make('p', '', why), ...parts] : parts;
}
