// @ts-check
/**
 * The two views, talk and inside; which peer the second one is about, and how the connection with
 * it is, from `getStats`.
 */

import { element, html, on, setText } from './dom.js';
import { connectionOf, nameOf } from './people.js';

/** @import { Peer, Room } from "../room.js" */

const EVERY = 1_000; // milliseconds
const SAMPLES_MOST = 60; // the last minute
const NONE = '–';

/** Called with the one chosen, or null. @type {((peer: Peer | null) => void)[]} */
const listeners = [];
const select = element('chosen', HTMLSelectElement);
/** @type {Peer | null} */
let chosen = null;
/** Of each connection. @type {WeakMap<RTCPeerConnection, ReturnType<typeof newHistory>>} */
const histories = new WeakMap();

/** @param {Room} room */
export function startInside(room) {
  addEventListener('hashchange', showView);
  showView();
  const update = () => {
    const peers = [...room.peers.values()];
    const options = peers.map(({ id }) => new Option(nameOf(id), id, false, id === chosen?.id));
    const same = [...select.options].map((option) => option.value + option.text).join();
    if (same !== options.map((option) => option.value + option.text).join())
      select.replaceChildren(...options);
    select.disabled = peers.length === 0;
    choose(peers.find(({ id }) => id === chosen?.id) ?? peers[0] ?? null);
  };
  select.onchange = () => choose(room.peers.get(select.value) ?? null);
  for (const type of /** @type {const} */ (['peer', 'leave', 'signal'])) on(room, type, update);
  update();
  show();

  on(room, 'change', ({ peer }) => peer === chosen && show());
  on(
    room,
    'trace',
    ({ peer, type }) => peer === chosen?.id && type === 'ice-connection-state' && show(),
  );
  setInterval(async () => {
    await Promise.all([...room.peers.values()].map(sample));
    show();
  }, EVERY);
  html('role').onkeydown = ({ key }) => key === 'Escape' && html('role').blur();
}

/** @param {(peer: Peer | null) => void} listener */
export function onChosen(listener) {
  listeners.push(listener);
  listener(chosen);
}

/** Shows the inside of the connection with one. @param {string} id */
export function look(id) {
  select.value = id;
  select.dispatchEvent(new Event('change'));
  location.hash = 'inside';
  select.focus();
}

/** @param {Peer | null} peer */
function choose(peer) {
  if (peer === chosen) return;
  chosen = peer;
  if (peer) select.value = peer.id;
  show();
  for (const listener of listeners) listener(peer);
}

function showView() {
  const view = location.hash === '#inside' ? 'inside' : 'talk';
  for (const name of ['talk', 'inside']) {
    html(`${name}-view`).hidden = name !== view;
    const link = document.querySelector(`#views [href="#${name}"]`);
    link?.setAttribute('aria-current', name === view ? 'page' : 'false');
  }
}

function newHistory() {
  /** Seconds; bits a second. @type {{ rtt: number, sending: number, receiving: number }[]} */
  const samples = [];
  return { samples, at: 0, sent: 0, received: 0, local: '', remote: '' };
}

/** @param {Peer} peer */
async function sample(peer) {
  const connection = connectionOf(peer);
  if (!connection) return;
  const history = histories.get(connection) ?? newHistory();
  histories.set(connection, history);
  const stats = await connection.getStats();
  const all = /** @type {any[]} */ ([...stats.values()]);
  const transport = all.find(({ type }) => type === 'transport');
  // Firefox marks the pair instead.
  const pair =
    stats.get(transport?.selectedCandidatePairId) ?? all.find(({ selected }) => selected);
  if (!pair) return;
  history.local = words(stats.get(pair.localCandidateId));
  history.remote = words(stats.get(pair.remoteCandidateId));
  const seconds = (pair.timestamp - history.at) / 1000;
  if (history.at > 0 && seconds > 0) {
    history.samples.push({
      rtt: pair.currentRoundTripTime ?? 0,
      sending: Math.max(0, ((pair.bytesSent - history.sent) * 8) / seconds),
      receiving: Math.max(0, ((pair.bytesReceived - history.received) * 8) / seconds),
    });
    if (history.samples.length > SAMPLES_MOST) history.samples.shift();
  }
  history.at = pair.timestamp;
  history.sent = pair.bytesSent;
  history.received = pair.bytesReceived;
}

/** @param {any} candidate */
function words(candidate) {
  if (!candidate) return '';
  const { candidateType, address, port, protocol } = candidate;
  const where = address?.includes(':') ? `[${address}]` : address || 'hidden';
  return `${candidateType}, ${where}:${port}, ${protocol}`;
}

function show() {
  const connection = chosen && connectionOf(chosen);
  const { samples, local, remote } = (connection && histories.get(connection)) || newHistory();
  const last = samples.at(-1);
  const facts = {
    role: chosen && (chosen.polite ? 'polite' : 'impolite'),
    'connection-state': connection?.connectionState,
    'ice-state': connection?.iceConnectionState,
    'signaling-state': connection?.signalingState,
    'local-candidate': local,
    'remote-candidate': remote,
    rtt: last && inMilliseconds(last.rtt),
    sending: last && perSecond(last.sending),
    receiving: last && perSecond(last.receiving),
  };
  for (const [id, fact] of Object.entries(facts)) setText(html(id), fact || NONE);
  html('nobody-chosen').hidden = Boolean(chosen);
  setText(
    html('role-tip'),
    chosen?.polite
      ? 'You were here first. When both offer at once, you take your offer back.'
      : 'Who comes later is impolite: when both offer at once, that offer stands.',
  );
  plot(
    'rtt-plot',
    inMilliseconds,
    0.005,
    samples.map(({ rtt }) => rtt),
  );
  plot(
    'flow-plot',
    perSecond,
    8_000,
    samples.map((s) => s.sending),
    samples.map((s) => s.receiving),
  );
}

/**
 * @param {string} id
 * @param {(value: number) => string} unit
 * @param {number} least that the height stands for
 * @param {...number[]} rows
 */
function plot(id, unit, least, ...rows) {
  const svg = element(id, SVGElement);
  const most = Math.max(0, ...rows.flat());
  const top = Math.max(least, most);
  rows.forEach((row, index) => {
    const points = row.map((value, at) => `${60 - row.length + at},${19 - (value / top) * 18}`);
    svg.children[index].setAttribute('points', points.join(' '));
  });
  svg.ariaLabel = `At most ${unit(most)} in the last minute`;
  setText(html(`${id}-top`), unit(top));
}

/** @param {number} seconds */
function inMilliseconds(seconds) {
  const ms = seconds * 1000;
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/** @param {number} bits */
function perSecond(bits) {
  if (bits < 1e6) return `${(bits / 1e3).toFixed(bits < 1e4 ? 1 : 0)} kbit/s`;
  return `${(bits / 1e6).toFixed(1)} Mbit/s`;
}
