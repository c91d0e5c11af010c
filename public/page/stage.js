// @ts-check
/**
 * The people, each in a tile: a face or a picture, a name, and how the connection is. And the link
 * to the room, in a tile of its own while nobody is here, or when asked for.
 *
 * Tiles and what is in them are placed by `transform` alone, so that they glide to their new places
 * (the browser counts no layout shift).
 */

import { element, fromTemplate, html, on, part, setText } from './dom.js';

/** @import { Room } from "../room.js" */

const GAP = 12;
const LOWEST = 128; // with more people than fit, the stage scrolls

/** Of peers, streams that show a screen, ourselves, the invitation. @type {Map<unknown, HTMLElement>} */
const tiles = new Map();
const stage = html('stage');
new ResizeObserver(place).observe(stage);

/** Made if there is none. @param {unknown} key */
export function tile(key) {
  const known = tiles.get(key);
  if (known) return known;
  const made = fromTemplate('tile');
  add(key, made);
  // A picture that has stopped must not stay as if it were live.
  for (const type of ['resize', 'emptied', 'loadeddata'])
    videoIn(made).addEventListener(type, () => showPicture(made));
  return made;
}

/** @param {HTMLElement} tile */
function videoIn(tile) {
  return /** @type {HTMLVideoElement} */ (part(tile, 'video'));
}

/** @param {unknown} key @param {HTMLElement} made */
function add(key, made) {
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
  face.style.setProperty('--hue', `${hue(id)}`);
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
  const made = tile(key);
  const video = videoIn(made);
  if (video.srcObject !== stream) video.srcObject = stream;
  showPicture(made);
  return video;
}

/** Shows the face unless there is a picture. @param {HTMLElement} tile */
function showPicture(tile) {
  const stream = /** @type {MediaStream | null} */ (videoIn(tile).srcObject);
  const live = (/** @type {MediaStreamTrack} */ track) => track.readyState === 'live' && !track.muted;
  tile.classList.toggle('pictured', stream?.getVideoTracks().some(live) ?? false);
  tile.classList.toggle('heard', stream?.getAudioTracks().some(live) ?? false);
}

function place() {
  const { clientWidth: width, clientHeight: height } = stage;
  const count = tiles.size;
  if (!width || !count) return;
  let [columns, w, h] = [1, 0, 0];
  for (let tried = 1; tried <= count; tried += 1) {
    // The largest that a tile can be, between 4:3 and 16:9.
    const roomW = each(width, tried);
    const roomH = Math.max(1, each(height, Math.ceil(count / tried)));
    const [itsW, itsH] = [Math.min(roomW, (roomH * 16) / 9), Math.min(roomH, (roomW * 3) / 4)];
    if (itsW * itsH > w * h) [columns, w, h] = [tried, itsW, itsH];
  }
  if (h < LOWEST) {
    [w, h] = [Math.min(width, (LOWEST * 4) / 3), LOWEST];
    columns = Math.floor((width + GAP) / (w + GAP));
  }
  const rows = Math.ceil(count / columns);
  [...tiles.values()].forEach(({ style }, index) => {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, count - row * columns);
    const x = start(width, w, inRow) + (index % columns) * (w + GAP);
    const y = start(height, h, rows) + row * (h + GAP);
    style.width = `${w}px`;
    style.height = `${h}px`;
    style.setProperty('--scale', `${Math.min(1, h / 320)}`);
    style.transform = `translate(${x}px, ${y}px)`;
  });
}

/** How long each of so many is, with gaps between them. @param {number} all @param {number} many */
function each(all, many) {
  return (all - GAP * (many - 1)) / many;
}

/** Where they begin. @param {number} all @param {number} each @param {number} many */
function start(all, each, many) {
  return Math.max(0, (all - many * (each + GAP) + GAP) / 2);
}

/** @param {string} id */
function hue(id) {
  return [...id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 360, 0);
}

/** @param {Room} room @param {URL} url */
export function startInvite(room, url) {
  const toggle = element('invite', HTMLButtonElement);
  const invitation = fromTemplate('invitation');
  const show = (shown = true) => {
    toggle.ariaExpanded = String(shown);
    if (shown) add('invitation', invitation);
    else remove('invitation');
  };
  toggle.onclick = () => show(toggle.ariaExpanded === 'false');
  on(room, 'peer', () => show(false));
  show();

  const link = element('link', HTMLInputElement);
  const copy = element('copy', HTMLButtonElement);
  const share = element('share', HTMLButtonElement);
  const label = copy.textContent;
  link.value = url.href;
  link.onfocus = () => link.select();
  copy.onclick = async () => {
    try {
      await navigator.clipboard.writeText(link.value);
      copy.textContent = 'Copied';
    } catch {
      link.focus(); // over plain http there is no clipboard: it is selected, ready to be copied
      copy.textContent = 'Now copy it';
    }
    setTimeout(() => (copy.textContent = label), 2000);
  };
  share.hidden = !navigator.share;
  share.onclick = () => navigator.share({ title: document.title, url: link.value }).catch(() => {}); // put away
}
