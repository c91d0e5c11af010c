// @ts-check
/**
 * Switches between the views "Talk" and "Look inside". In "Look inside", the user chooses a peer.
 * The view shows the connection with that peer, with statistics from `getStats`.
 */

import { byId, on, setText } from './dom.js';
import { connectionOf, nameOf, onHello } from './roster.js';

/** @import { Peer, Room } from "../room.js" */

/** Milliseconds between two samples. */
const SAMPLE_INTERVAL = 1_000;
/** Number of samples in a plot: one minute, at one sample per second. */
const MAX_SAMPLES = 60;
const NO_VALUE = '–';

// Size of the plots in units of their viewBox, `0 0 60 20`: one unit of width for each sample.
const PLOT_WIDTH = MAX_SAMPLES;
const PLOT_HEIGHT = 20;
/** Space above and below the curve. Without the space, the stroke would be clipped. */
const PLOT_MARGIN = 1;
// Minimum range of a plot. With a smaller range, noise around zero would fill the plot.
const MIN_RTT_RANGE = 0.005; // seconds
const MIN_RATE_RANGE = 8_000; // bits per second: more than the keep-alives of an idle connection

/**
 * Callbacks for each change of the chosen peer, which may be null.
 * @type {((peer: Peer | null) => void)[]}
 */
const listeners = [];
const select = byId('chosen', HTMLSelectElement);
/** @type {Peer | null} */
let chosen = null;
/** @type {WeakMap<RTCPeerConnection, ReturnType<typeof newHistory>>} */
const histories = new WeakMap();

/** @param {Room} room */
export function startInside(room) {
  addEventListener('hashchange', showView);
  showView();
  const update = () => {
    const peers = [...room.peers.values()];
    const options = peers.map(
      (peer) => new Option(nameOf(peer), peer.id, false, peer.id === chosen?.id),
    );
    // Replacing the options closes an open select box, so replace them only when they differ.
    if (optionsKey(select.options) !== optionsKey(options)) select.replaceChildren(...options);
    select.disabled = peers.length === 0;
    choosePeer(peers.find(({ id }) => id === chosen?.id) ?? peers[0] ?? null);
  };
  select.onchange = () => choosePeer(room.peers.get(select.value) ?? null);
  for (const type of /** @type {const} */ (['peer', 'leave'])) on(room, type, update);
  onHello(update);
  update();
  showConnection();

  on(room, 'change', ({ peer }) => peer === chosen && showConnection());
  on(
    room,
    'trace',
    ({ peer, type }) => peer === chosen?.id && type === 'ice-connection-state' && showConnection(),
  );
  setInterval(async () => {
    await Promise.all([...room.peers.values()].map(sampleStats));
    showConnection();
  }, SAMPLE_INTERVAL);
  byId('role').onkeydown = ({ key }) => key === 'Escape' && byId('role').blur();
}

/** @param {Iterable<HTMLOptionElement>} options */
const optionsKey = (options) => [...options].map(({ value, text }) => value + text).join();

/**
 * Calls the listener immediately, and whenever the chosen peer changes.
 * @param {(peer: Peer | null) => void} listener
 */
export function onChosen(listener) {
  listeners.push(listener);
  listener(chosen);
}

/** Opens "Look inside" for a peer. @param {string} id */
export function openInside(id) {
  select.value = id;
  select.dispatchEvent(new Event('change'));
  location.hash = 'inside';
  select.focus();
}

/** @param {Peer | null} peer */
function choosePeer(peer) {
  if (peer === chosen) return;
  chosen = peer;
  if (peer) select.value = peer.id;
  showConnection();
  for (const listener of listeners) listener(peer);
}

function showView() {
  const view = location.hash === '#inside' ? 'inside' : 'talk';
  for (const name of ['talk', 'inside']) {
    byId(`${name}-view`).hidden = name !== view;
    const link = document.querySelector(`#views [href="#${name}"]`);
    link?.setAttribute('aria-current', name === view ? 'page' : 'false');
  }
}

/** Returns an empty history of a connection: its samples, and the counters at the last sample. */
function newHistory() {
  /**
   * `rtt` is in seconds. `sending` and `receiving` are in bits per second.
   * @type {{ rtt: number, sending: number, receiving: number }[]}
   */
  const samples = [];
  return { samples, timestamp: 0, bytesSent: 0, bytesReceived: 0, local: '', remote: '' };
}

/** @param {Peer} peer */
async function sampleStats(peer) {
  const connection = connectionOf(peer);
  if (!connection) return;
  const history = histories.get(connection) ?? newHistory();
  histories.set(connection, history);
  const stats = await connection.getStats();
  const reports = /** @type {any[]} */ ([...stats.values()]);
  const transport = reports.find(({ type }) => type === 'transport');
  // Firefox sets `selected` on the pair instead of `selectedCandidatePairId` on the transport.
  const pair =
    stats.get(transport?.selectedCandidatePairId) ?? reports.find(({ selected }) => selected);
  if (!pair) return;
  history.local = candidateText(stats.get(pair.localCandidateId));
  history.remote = candidateText(stats.get(pair.remoteCandidateId));
  const seconds = (pair.timestamp - history.timestamp) / 1000;
  if (history.timestamp > 0 && seconds > 0) {
    // Each pair has its own counters, so the difference can be negative after ICE selects another
    // pair.
    const rate = (/** @type {number} */ bytes) => Math.max(0, (bytes * 8) / seconds);
    history.samples.push({
      rtt: pair.currentRoundTripTime ?? 0,
      sending: rate(pair.bytesSent - history.bytesSent),
      receiving: rate(pair.bytesReceived - history.bytesReceived),
    });
    if (history.samples.length > MAX_SAMPLES) history.samples.shift();
  }
  history.timestamp = pair.timestamp;
  history.bytesSent = pair.bytesSent;
  history.bytesReceived = pair.bytesReceived;
}

/** @param {any} candidate from `getStats`; the browser may hide the address */
function candidateText(candidate) {
  if (!candidate) return '';
  const { candidateType, address, port, protocol } = candidate;
  const host = address?.includes(':') ? `[${address}]` : address || 'hidden';
  return `${candidateType}, ${host}:${port}, ${protocol}`;
}

function showConnection() {
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
    rtt: last && milliseconds(last.rtt),
    sending: last && bitRate(last.sending),
    receiving: last && bitRate(last.receiving),
  };
  for (const [id, fact] of Object.entries(facts)) setText(byId(id), fact || NO_VALUE);
  byId('nobody-chosen').hidden = Boolean(chosen);
  setText(
    byId('role-tip'),
    chosen?.polite
      ? 'You joined first, so you are polite: if both offer at once, you take your offer back.'
      : 'You joined later, so you are impolite: if both offer at once, your offer wins.',
  );
  drawPlot(
    'rtt-plot',
    milliseconds,
    MIN_RTT_RANGE,
    samples.map(({ rtt }) => rtt),
  );
  drawPlot(
    'flow-plot',
    bitRate,
    MIN_RATE_RANGE,
    samples.map(({ sending }) => sending),
    samples.map(({ receiving }) => receiving),
  );
}

/**
 * Draws one curve for each series. The newest value is at the right edge.
 * @param {string} id
 * @param {(value: number) => string} format
 * @param {number} minRange minimum value at the top of the plot
 * @param {...number[]} series
 */
function drawPlot(id, format, minRange, ...series) {
  const svg = byId(id, SVGElement);
  const max = Math.max(0, ...series.flat());
  const top = Math.max(minRange, max);
  const bottom = PLOT_HEIGHT - PLOT_MARGIN;
  series.forEach((values, index) => {
    const points = values.map((value, at) => {
      const x = PLOT_WIDTH - values.length + at;
      const y = bottom - (value / top) * (bottom - PLOT_MARGIN);
      return `${x},${y}`;
    });
    svg.children[index].setAttribute('points', points.join(' '));
  });
  svg.ariaLabel = `At most ${format(max)} in the last minute`;
  setText(byId(`${id}-top`), format(top));
}

/** @param {number} seconds */
function milliseconds(seconds) {
  const ms = seconds * 1000;
  return `${decimals(ms)} ms`;
}

/** @param {number} bits bits per second */
function bitRate(bits) {
  return bits < 1e6 ? `${decimals(bits / 1e3)} kbit/s` : `${(bits / 1e6).toFixed(1)} Mbit/s`;
}

/**
 * Formats a number with one decimal if it is below 10, and with no decimals otherwise.
 * @param {number} value
 */
const decimals = (value) => value.toFixed(value < 10 ? 1 : 0);
