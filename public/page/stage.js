// @ts-check
/**
 * The people, each in a tile: a face or a picture, a name, and how the connection is.
 *
 * Tiles are placed by `transform` alone, and so is what is in them: those who stay glide to their
 * new places, and nothing under a finger or an eye jumps (the browser counts no layout shift).
 */

import { fromTemplate, html, part, setText } from './dom.js';

const GAP = 12;
const LOWEST = 128; // with more people than fit, the stage scrolls

/** Whoever or whatever has a tile: a peer, a stream that shows a screen, ourselves, the invitation. */
/** @type {Map<unknown, HTMLElement>} */
const tiles = new Map();
const stage = html('stage');
new ResizeObserver(place).observe(stage);

/** @param {unknown} key @returns {HTMLElement} its tile, made if there is none */
export function tile(key) {
  let made = tiles.get(key);
  if (!made) {
    made = fromTemplate('tile');
    add(key, made);
    const video = part(made, 'video');
    // A picture that has stopped must not stay as if it were live.
    for (const type of ['resize', 'emptied', 'loadeddata']) video.addEventListener(type, () => showPicture(key));
  }
  return made;
}

/** @param {unknown} key @param {HTMLElement} made */
export function add(key, made) {
  tiles.set(key, made);
  stage.append(made);
  place();
}

/** @param {unknown} key */
export function remove(key) {
  tiles.get(key)?.remove();
  if (tiles.delete(key)) place();
}

/** @param {unknown} key @param {string} id @param {string} name @param {string} [title] */
export function showName(key, id, name, title = id) {
  const made = tile(key);
  const face = part(made, '.face');
  setText(face, [...name][0] ?? '');
  face.style.setProperty('--hue', String(hue(id)));
  setText(part(made, '.name'), name);
  part(made, '.name').title = title;
}

/** @param {unknown} key @param {string} state @param {string} words */
export function showState(key, state, words) {
  const line = part(tile(key), '.connection');
  setText(line, words);
  line.dataset.state = state;
}

/** @param {unknown} key @param {MediaStream | null} stream */
export function showStream(key, stream) {
  const video = /** @type {HTMLVideoElement} */ (part(tile(key), 'video'));
  if (video.srcObject !== stream) video.srcObject = stream;
  showPicture(key);
  return video;
}

/** Shows the face unless there is a picture. @param {unknown} key */
function showPicture(key) {
  const made = tiles.get(key);
  if (!made) return;
  const video = /** @type {HTMLVideoElement} */ (part(made, 'video'));
  const stream = /** @type {MediaStream | null} */ (video.srcObject);
  const live = (/** @type {MediaStreamTrack} */ track) => track.readyState === 'live';
  // Not by `muted`: when offers have crossed, Chromium leaves that on a track whose pictures come.
  const comes = video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  made.classList.toggle('pictured', Boolean(comes && stream?.getVideoTracks().some(live)));
  made.classList.toggle('heard', Boolean(stream?.getAudioTracks().some(live)));
}

function place() {
  const { clientWidth: width, clientHeight: height } = stage;
  const count = tiles.size;
  if (!width || !count) return;
  let [columns, w, h] = [1, 0, 0];
  for (let tried = 1; tried <= count; tried += 1) {
    const [itsW, itsH] = size(tried, Math.ceil(count / tried), width, height);
    if (itsW * itsH > w * h) [columns, w, h] = [tried, itsW, itsH];
  }
  if (h < LOWEST) {
    columns = Math.max(1, Math.floor((width + GAP) / ((LOWEST * 4) / 3 + GAP)));
    [w, h] = [Math.min(width, (LOWEST * 4) / 3), LOWEST];
  }
  const middle = (/** @type {number} */ all, /** @type {number} */ each, /** @type {number} */ many) =>
    Math.max(0, (all - many * (each + GAP) + GAP) / 2);
  const rows = Math.ceil(count / columns);
  let index = 0;
  for (const { style } of tiles.values()) {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, count - row * columns);
    const x = middle(width, w, inRow) + (index % columns) * (w + GAP);
    const y = middle(height, h, rows) + row * (h + GAP);
    style.width = `${w}px`;
    style.height = `${h}px`;
    style.setProperty('--scale', String(Math.min(1, h / 320)));
    style.transform = `translate(${x}px, ${y}px)`;
    index += 1;
  }
}

/**
 * The largest a tile can be, between 4:3 and 16:9.
 * @param {number} columns
 * @param {number} rows
 * @param {number} width
 * @param {number} height
 */
function size(columns, rows, width, height) {
  const w = (width - GAP * (columns - 1)) / columns;
  const h = Math.max(1, (height - GAP * (rows - 1)) / rows);
  return [Math.min(w, (h * 16) / 9), Math.min(h, (w * 3) / 4)];
}

/** @param {string} id */
function hue(id) {
  return [...id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 360, 0);
}
