// @ts-check
/** How one connection is: its states, its way, and how fast it is, from `getStats`. */

import { element, html, on, setText } from './dom.js';
import { onChosen } from './inside.js';
import { connectionOf } from './people.js';

/**
 * @typedef {import("./people.js").Peer} Peer
 * @typedef {{ rtt: number, sending: number, receiving: number }} Sample seconds; bits a second
 */

const EVERY = 1_000; // milliseconds
const SAMPLES_MOST = 60; // the last minute

/** @type {WeakMap<RTCPeerConnection, { samples: Sample[], at: number, sent: number, received: number, local: string, remote: string }>} */
const histories = new WeakMap();
/** @type {Peer | null} */
let chosen = null;

/** @param {import("../room.js").Room} room */
export function startConnection(room) {
  on(room, 'change', ({ peer }) => peer === chosen && show());
  on(room, 'trace', ({ peer, kind }) => peer === chosen?.id && kind === 'ice' && show());
  onChosen((peer) => {
    chosen = peer;
    show();
  });
  setInterval(async () => {
    const connections = [...room.peers.values()].map(connectionOf);
    await Promise.all(connections.map((connection) => connection && sample(connection)));
    show();
  }, EVERY);
  html('role').addEventListener('keydown', ({ key }) => key === 'Escape' && html('role').blur());
}

/** @param {RTCPeerConnection} connection */
async function sample(connection) {
  const history = histories.get(connection) ?? {
    samples: [],
    at: 0,
    sent: 0,
    received: 0,
    local: '',
    remote: '',
  };
  histories.set(connection, history);
  const stats = await connection.getStats();
  const all = /** @type {any[]} */ ([...stats.values()]);
  const transport = all.find(({ type }) => type === 'transport');
  const pair =
    stats.get(transport?.selectedCandidatePairId) ??
    all.find(({ type, selected, nominated, state }) =>
      type === 'candidate-pair' && (selected || (nominated && state === 'succeeded')),
    );
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
  const none = '–';
  html('nobody-chosen').hidden = Boolean(chosen);
  const connection = chosen && connectionOf(chosen);
  setText(html('role'), !chosen ? none : chosen.polite ? 'polite' : 'impolite');
  setText(
    html('role-tip'),
    chosen?.polite
      ? 'You were here first. When both offer at once, you take your offer back.'
      : 'Who comes later is impolite: when both offer at once, that offer stands.',
  );
  setText(html('connection-state'), connection?.connectionState ?? none);
  setText(html('ice-state'), connection?.iceConnectionState ?? none);
  setText(html('signaling-state'), connection?.signalingState ?? none);
  const history = connection && histories.get(connection);
  const last = history?.samples.at(-1);
  setText(html('local-candidate'), history?.local || none);
  setText(html('remote-candidate'), history?.remote || none);
  setText(html('rtt'), last ? inMilliseconds(last.rtt) : none);
  setText(html('sending'), last ? perSecond(last.sending) : none);
  setText(html('receiving'), last ? perSecond(last.receiving) : none);
  const samples = history?.samples ?? [];
  plot('rtt-plot', inMilliseconds, 0.005, samples.map(({ rtt }) => rtt));
  plot('flow-plot', perSecond, 8_000, samples.map((s) => s.sending), samples.map((s) => s.receiving));
}

/**
 * @param {string} id
 * @param {(value: number) => string} unit
 * @param {number} least that the height stands for, so that next to nothing looks like it
 * @param {...number[]} rows
 */
function plot(id, unit, least, ...rows) {
  const svg = element(id, SVGElement);
  const top = Math.max(least, ...rows.flat());
  rows.forEach((row, index) => {
    const points = row.map((value, at) => `${60 - row.length + at},${19 - (value / top) * 18}`);
    svg.children[index].setAttribute('points', points.join(' '));
  });
  svg.setAttribute('aria-label', `At most ${unit(Math.max(0, ...rows.flat()))} in the last minute`);
  setText(html(`${id}-top`), unit(top));
}

/** @param {number} seconds */
function inMilliseconds(seconds) {
  const ms = seconds * 1000;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** @param {number} bits */
function perSecond(bits) {
  if (bits < 1e6) return `${(bits / 1e3).toFixed(bits < 1e4 ? 1 : 0)} kbit/s`;
  return `${(bits / 1e6).toFixed(1)} Mbit/s`;
}
