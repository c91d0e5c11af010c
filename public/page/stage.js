// @ts-check
/**
 * The stage: one tile for each person and each shared screen, and one for the invitation.
 *
 * Tiles are positioned with `transform`, which can be animated and causes no layout shift.
 */

import { byId, cloneTemplate, query, setText } from './dom.js';

/** Space between tiles, in pixels. */
const GAP = 12;
/**
 * Lowest height of a tile, in pixels: its caption and its buttons must fit. With more tiles than fit,
 * the stage scrolls.
 */
const MIN_TILE_HEIGHT = 128;
/** Aspect ratios of common cameras. A tile is never wider or narrower than these. */
const WIDEST = 16 / 9;
const NARROWEST = 4 / 3;
/** Height, in pixels, from which a face has its full size (6rem in `style.css`). Below, it shrinks. */
const FULL_SIZE_HEIGHT = 320;

/** Tiles by peer, by stream (a shared screen), or by name. @type {Map<unknown, HTMLElement>} */
const tiles = new Map();
const stage = byId('stage');
new ResizeObserver(layoutTiles).observe(stage);

/** The tile of this key, created on first use. @param {unknown} key */
export function ensureTile(key) {
  const existing = tiles.get(key);
  if (existing) return existing;
  const tile = cloneTemplate('tile');
  addTile(key, tile);
  // When a video stops, its last frame must not look like a live picture.
  for (const type of ['resize', 'emptied', 'loadeddata'])
    videoIn(tile).addEventListener(type, () => showPicture(tile));
  return tile;
}

/** @param {unknown} key @param {HTMLElement} tile */
export function addTile(key, tile) {
  tiles.set(key, tile);
  stage.append(tile);
  layoutTiles();
}

/** @param {unknown} key */
export function removeTile(key) {
  tiles.get(key)?.remove();
  if (tiles.delete(key)) layoutTiles();
}

/**
 * @param {unknown} key
 * @param {string} id decides the colour of the face, which stays the same when the name changes
 * @param {string} name
 * @param {string} [title] the tooltip of the name
 */
export function showName(key, id, name, title = id) {
  const tile = ensureTile(key);
  const face = query(tile, '.face');
  setText(face, [...name][0] ?? '');
  face.style.setProperty('--hue', `${hueOf(id)}`);
  setText(query(tile, '.name'), name);
  query(tile, '.name').title = title;
}

/** @param {unknown} key @param {MediaStream | null} stream */
export function showStream(key, stream) {
  const tile = ensureTile(key);
  const video = videoIn(tile);
  if (video.srcObject !== stream) video.srcObject = stream;
  showPicture(tile);
  return video;
}

/** @param {HTMLElement} tile */
function videoIn(tile) {
  return /** @type {HTMLVideoElement} */ (query(tile, 'video'));
}

/** Shows the video while it has a live picture, and the face otherwise. @param {HTMLElement} tile */
function showPicture(tile) {
  const { srcObject, readyState } = videoIn(tile);
  const stream = /** @type {MediaStream | null} */ (srcObject);
  const isLive = (/** @type {MediaStreamTrack} */ track) => track.readyState === 'live';
  // `track.muted` cannot be used: after glare, Chromium leaves it set on a track that has pictures.
  const hasFrame = readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  tile.classList.toggle('pictured', Boolean(hasFrame && stream?.getVideoTracks().some(isLive)));
  tile.classList.toggle('heard', Boolean(stream?.getAudioTracks().some(isLive)));
}

/** Chooses the number of columns that makes the tiles largest, and places the tiles. */
function layoutTiles() {
  const { clientWidth: stageWidth, clientHeight: stageHeight } = stage;
  const count = tiles.size;
  if (!stageWidth || !count) return;
  let [columns, width, height] = [1, 0, 0];
  for (let candidate = 1; candidate <= count; candidate += 1) {
    const cellWidth = cellSize(stageWidth, candidate);
    const cellHeight = Math.max(1, cellSize(stageHeight, Math.ceil(count / candidate)));
    const tileWidth = Math.min(cellWidth, cellHeight * WIDEST);
    const tileHeight = Math.min(cellHeight, cellWidth / NARROWEST);
    if (tileWidth * tileHeight > width * height)
      [columns, width, height] = [candidate, tileWidth, tileHeight];
  }
  if (height < MIN_TILE_HEIGHT) {
    [width, height] = [Math.min(stageWidth, MIN_TILE_HEIGHT * NARROWEST), MIN_TILE_HEIGHT];
    columns = Math.floor((stageWidth + GAP) / (width + GAP));
  }
  const rows = Math.ceil(count / columns);
  [...tiles.values()].forEach(({ style }, index) => {
    const row = Math.floor(index / columns);
    const tilesInRow = Math.min(columns, count - row * columns);
    const x = centredStart(stageWidth, width, tilesInRow) + (index % columns) * (width + GAP);
    const y = centredStart(stageHeight, height, rows) + row * (height + GAP);
    style.width = `${width}px`;
    style.height = `${height}px`;
    style.setProperty('--scale', `${Math.min(1, height / FULL_SIZE_HEIGHT)}`);
    style.transform = `translate(${x}px, ${y}px)`;
  });
}

/** Size of one of `count` cells with gaps between them. @param {number} space @param {number} count */
const cellSize = (space, count) => (space + GAP) / count - GAP;

/**
 * Where the first of `count` cells starts, so that all of them are centred.
 * @param {number} space
 * @param {number} size of a cell
 * @param {number} count
 */
const centredStart = (space, size, count) => Math.max(0, (space + GAP - count * (size + GAP)) / 2);

/**
 * A hue in degrees for an id. 31 has no common factor with 360, so ids that differ in one character
 * get different hues.
 * @param {string} id
 */
const hueOf = (id) => [...id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 360, 0);
