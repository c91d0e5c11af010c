// @ts-check
/**
 * The handshake with one peer: a sequence diagram of the traced steps, the step-by-step mode, and a
 * list of 26 tasks. The page marks a task when a traced step proves that the task is done.
 */

import {
  appendRows,
  byId,
  cloneTemplate,
  createElement,
  on,
  oncePerFrame,
  query,
  setText,
  setTime,
} from './dom.js';
import { onChosen } from './inside.js';
import { nameOf, onHello } from './roster.js';
import { CANDIDATE_TEXT, FRAME_TEXT, SDP_TEXT, STEP_TEXT, TASK_GROUPS } from './texts.js';

/**
 * @import { Peer, Room, Step, Trace } from "../room.js"
 * @import { Proof, Task } from "./texts.js"
 */

/** Maximum number of rows in the diagram. The oldest row is removed first. */
const MAX_ROWS = 400;
/** Maximum number of stored traces: enough to redraw the diagrams of about four peers. */
const MAX_TRACES = 4 * MAX_ROWS;

/**
 * Maximum length of the session descriptions in the stored traces, in characters. A call with video
 * has 10,000 to 20,000 in each direction.
 */
const MAX_SDP_CHARS = 4_000_000;

/** @type {Trace[]} */
const traces = [];
let sdpChars = 0;
/** Traces that the diagram shows with the next frame. @type {Trace[]} */
let undrawn = [];
/**
 * Steps that wait until the user clicks "Next step".
 * @type {{ step: Step, resume: () => void }[]}
 */
let pausedSteps = [];
let stepByStep = false;
/**
 * Progress of each handshake, by peer id. `isCaller` is null before the first offer or request.
 * @type {Map<string, { isCaller: boolean | null, proofs: Set<Proof> }>}
 */
const progressById = new Map();
/** @type {{ task: Task, row: HTMLElement }[]} */
const taskRows = [];
/** The proofs that the page looks for. A peer can send signals of any number of types. */
const KNOWN_PROOFS = new Set([
  'connected',
  ...TASK_GROUPS.flatMap(({ tasks }) => tasks.flatMap(({ proof }) => Object.values(proof))),
]);
/** @type {Room | null} */
let room = null;
/** @type {Peer | null} */
let chosen = null;

/**
 * Implements the `pace` option of `Room`: in step-by-step mode, each step waits for a click.
 * @param {Step} step
 * @returns {Promise<void> | void}
 */
export function pace(step) {
  if (!stepByStep) return;
  return new Promise((resume) => {
    pausedSteps.push({ step, resume });
    showSteps();
  });
}

/** Returns whether the step-by-step mode is on. */
export const isStepByStep = () => stepByStep;

/** @param {boolean} on whether the step-by-step mode is on initially */
export function setUpSteps(on) {
  const toggle = byId('step-by-step', HTMLInputElement);
  toggle.checked = stepByStep = on;
  toggle.onchange = () => {
    stepByStep = toggle.checked;
    if (!stepByStep) for (const { resume } of pausedSteps.splice(0)) resume();
    showSteps();
  };
  byId('next').onclick = () => {
    const next = nextStep();
    pausedSteps = pausedSteps.filter((paused) => paused !== next);
    next?.resume();
    showSteps();
  };
  showSteps();
}

/**
 * Returns the oldest waiting step of the chosen peer, or of any peer if the chosen peer has none.
 */
const nextStep = () =>
  pausedSteps.find(({ step }) => step.peer === chosen?.id) ?? pausedSteps.at(0);

function showSteps() {
  const step = nextStep()?.step;
  byId('next', HTMLButtonElement).disabled = !step;
  byId('steps').hidden = !stepByStep;
  const peer = step?.peer && step.peer !== chosen?.id ? ` (${nameOfId(step.peer)})` : '';
  setText(
    byId('next-step'),
    step ? `Next: ${titleOf(step)}${peer}` : 'Waiting for the other side…',
  );
}

/**
 * Returns the name of a peer. During the first step of a peer, `room.peers` does not contain the
 * peer yet, so the function returns the id.
 * @param {string} id
 */
const nameOfId = (id) => nameOf(room?.peers.get(id) ?? { id });

/** @param {Room} entered */
export function startHandshake(entered) {
  room = entered;
  addTaskRows();
  on(room, 'trace', (trace) => {
    storeTrace(trace);
    if (trace.peer !== null) recordProgress(trace.peer, trace);
    if (isInDiagram(trace)) {
      undrawn = [...undrawn.slice(1 - MAX_ROWS), trace];
      draw();
    }
  });
  on(room, 'leave', ({ peer }) => {
    progressById.delete(peer.id);
    pausedSteps = pausedSteps.filter(({ step }) => step.peer !== peer.id);
    showSteps();
  });
  const showNames = () => {
    setText(byId('their-lane'), chosen ? nameOf(chosen) : 'They');
    showSteps();
    showTasks();
  };
  onHello(showNames);
  onChosen((peer) => {
    chosen = peer;
    byId('sequence').replaceChildren();
    undrawn = traces.filter(isInDiagram).slice(-MAX_ROWS);
    draw();
    showNames();
  });
}

/** Shows the traces that have arrived since the last frame. */
const draw = oncePerFrame(() => {
  appendRows(byId('sequence'), MAX_ROWS, ...undrawn.splice(0).map(diagramRow));
  showTasks();
});

/** Stores a trace, and removes the oldest traces beyond the limits. @param {Trace} trace */
function storeTrace(trace) {
  traces.push(trace);
  sdpChars += sdpLength(trace);
  while (traces.length > MAX_TRACES || sdpChars > MAX_SDP_CHARS)
    sdpChars -= sdpLength(/** @type {Trace} */ (traces.shift()));
}

/** @param {Trace} trace */
function sdpLength({ payload }) {
  return typeof payload?.sdp === 'string' ? payload.sdp.length : 0;
}

function addTaskRows() {
  const list = byId('tasks');
  for (const { heading, tasks } of TASK_GROUPS) {
    list.append(createElement('li', 'task-group', heading));
    for (const task of tasks) {
      const row = createElement('li', 'task', task.text);
      list.append(row);
      taskRows.push({ task, row });
    }
  }
}

/**
 * Returns whether a step concerns the chosen peer, or only us and the server.
 * @param {Trace} trace
 */
function isInDiagram({ peer }) {
  return peer === null || peer === chosen?.id;
}

/** @param {Trace} trace */
function diagramRow(trace) {
  const row = cloneTemplate('event');
  row.dataset.direction = trace.type === 'channel-state' ? 'both' : trace.direction;
  row.dataset.type = trace.type;
  row.classList.toggle('server-only', trace.peer === null || trace.type.startsWith('peer-'));
  const time = new Date(trace.time);
  setTime(row, time, time.toISOString().slice(17, 23)); // seconds and milliseconds
  setText(query(row, '.what'), titleOf(trace));
  // Create the details when the user opens the row, because most rows stay closed.
  query(row, 'details').ontoggle = () => query(row, '.reading').replaceChildren(...explain(trace));
  return row;
}

/** @param {Step} step */
function titleOf({ direction, type, payload }) {
  const candidate = candidateIn(payload);
  const suffix = candidate === null ? '' : ` (${candidateName(candidate)})`;
  if (direction !== 'local') return `${direction === 'out' ? 'send ' : ''}${type}${suffix}`;
  const [title, , api] = STEP_TEXT[type] ?? [type];
  let detail = suffix;
  if (/description/.test(type)) detail = `: the ${payload?.type ?? 'next'}`;
  else if (typeof payload === 'string' && type !== 'create-channel') detail = `: ${payload}`;
  return title + detail + (api ? ` · ${api}` : '');
}

/** @param {Trace} trace */
function explain({ direction, type, payload }) {
  const reason = direction === 'local' ? STEP_TEXT[type]?.[1] : FRAME_TEXT[type];
  const candidate = candidateIn(payload);
  /** @type {HTMLElement[]} */
  const parts = [];
  if (reason) parts.push(createElement('p', '', reason));
  if (candidate !== null) {
    parts.push(createElement('p', '', explainCandidate(candidate)));
    parts.push(createElement('pre', '', candidate));
  } else if (typeof payload?.sdp === 'string') {
    const lines = payload.sdp.split(/\r?\n/).filter(Boolean);
    parts.push(createElement('dl', 'sdp', ...lines.flatMap(explainSdpLine)));
  } else if (payload instanceof Object) {
    parts.push(createElement('pre', '', JSON.stringify(payload, null, 1)));
  }
  return parts;
}

/** @param {string} line */
function explainSdpLine(line) {
  const candidate = /^a=(candidate:.*)/.exec(line)?.[1];
  const [key] = /^[am]=[\w-]+|^\w/.exec(line) ?? [''];
  const text = candidate ? explainCandidate(candidate) : (SDP_TEXT[key] ?? '');
  return [createElement('dt', '', line), createElement('dd', '', text)];
}

/**
 * Returns the candidate line in a payload, or null. A peer can send any payload.
 * @param {any} payload
 */
function candidateIn(payload) {
  return typeof payload?.candidate === 'string' ? /** @type {string} */ (payload.candidate) : null;
}

/**
 * Explains a candidate line. The fields are (RFC 8839 §5.1): foundation, component, transport,
 * priority, address, port, "typ", type.
 * @param {string} candidate
 */
function explainCandidate(candidate) {
  const [, , transport, , address, port, , type] = candidate.split(' ');
  if (!type) return 'This was the last candidate.';
  // Browsers hide local addresses behind mDNS names (draft-ietf-mmusic-mdns-ice-candidates).
  const hidden = address.endsWith('.local')
    ? ' The browser hides the address behind this name.'
    : '';
  const where = `${address}, port ${port}, over ${transport.toUpperCase()}`;
  return `A possible route: ${where}. It is ${CANDIDATE_TEXT[type] ?? type}.${hidden}`;
}

/** Returns the type and the transport of a candidate. @param {string} candidate */
function candidateName(candidate) {
  const [, , transport, , , , , type] = candidate.split(' ');
  return type ? `${type}, ${transport.toLowerCase()}` : 'the last';
}

/** @param {string} id @param {Trace} trace */
function recordProgress(id, trace) {
  const { direction, type, payload } = trace;
  const progress = progressById.get(id) ?? { isCaller: null, proofs: new Set() };
  progressById.set(id, progress);
  const { proofs } = progress;
  if (type === 'create-connection') proofs.clear();
  for (const proof of proofsIn(trace)) if (KNOWN_PROOFS.has(proof)) proofs.add(proof);

  if (proofs.has('connected')) return; // offers after the connection setup do not change the caller
  if (type === 'create-channel' || (direction === 'out' && type === 'request'))
    progress.isCaller = true;
  if (direction === 'in' && (type === 'request' || type === 'offer')) progress.isCaller ??= false;
  // After glare, the polite side has rolled back its offer and is the callee.
  if (type === 'set-remote-description' && payload?.type === 'offer') progress.isCaller = false;
}

/**
 * Returns the proofs in a traced step. Without `pace`, the library traces a description only when
 * it sets the description, so this step also proves that the description was made.
 * @param {Trace} trace
 * @returns {Proof[]}
 */
function proofsIn({ direction, type, payload }) {
  if (type.startsWith('set-')) {
    const description = /** @type {"offer" | "answer"} */ (payload?.type);
    return ['present', `made ${description}`, `set ${description}`];
  }
  if (type === 'create-offer') return ['present', 'made offer'];
  if (type === 'create-answer') return ['present', 'made answer'];
  if (type === 'connection-state' && payload === 'connected') return ['present', 'connected'];
  return ['present', `${direction} ${type}`];
}

function showTasks() {
  const progress = chosen && progressById.get(chosen.id);
  const isCaller = progress?.isCaller ?? !chosen?.polite;
  const name = chosen ? nameOf(chosen) : '';
  const roles = isCaller
    ? `You are the caller, and ${name} is the callee.`
    : `${name} is the caller, and you are the callee.`;
  const hint = `A step of ${name} is checked off when its effect arrives.`;
  setText(
    byId('tasks-hint'),
    chosen ? `${roles} ${hint}` : 'Each task is checked off when it happens.',
  );
  const ourRole = isCaller ? 'caller' : 'callee';
  let done = 0;
  for (const { task, row } of taskRows) {
    const isDone = progress?.proofs.has(task.proof[ourRole]) ?? false;
    if (isDone) done += 1;
    row.classList.toggle('ours', task.by === ourRole);
    row.classList.toggle('done', isDone);
  }
  setText(byId('tasks-done'), `${done} of ${taskRows.length}`);
}
