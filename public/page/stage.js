// @ts-check
/**
 * The stage: a tile for each person, for each shared screen and for the invitation.
 *
 * Tiles are positioned with `transform`, which can be animated and causes no layout shift.
 */

import { byId, cloneTemplate, query, setText } from './dom.js';

/** Space between tiles, in pixels. */
const GAP = 12;
/**
 * Minimum height of a tile, in pixels: its caption and its buttons must fit. If the tiles need more
 * space than the stage has, the stage scrolls.
 */
const MIN_TILE_HEIGHT = 144;
/** Minimum width of such a tile, in pixels: two buttons fit side by side. */
const MIN_TILE_WIDTH = 160;
/** Aspect ratios of common cameras. The aspect ratio of a tile stays between these two values. */
const WIDEST = 16 / 9;
const NARROWEST = 4 / 3;
/**
 * Tile height, in pixels, from which the avatar has its full size (6rem in `style.css`). In lower
 * tiles, the avatar is smaller.
 */
const FULL_SIZE_HEIGHT = 320;
/** Height, in pixels, that the caption and the buttons need above and below the avatar. */
const TEXT_HEIGHT = 80;

/**
 * Tiles by key: a peer, a stream (shared screen), `"self"` or `"invitation"`.
 * @type {Map<unknown, HTMLElement>}
 */
const tiles = new Map();
const stage = byId('stage');
new ResizeObserver(layoutTiles).observe(stage);

/** Returns the tile for a key. Creates the tile if none exists. @param {unknown} key */
export function ensureTile(key) {
  const existing = tiles.get(key);
  if (existing) return existing;
  const tile = cloneTemplate('tile');
  addTile(key, tile);
  // When a video stops, show the avatar, because the last frame would look like live video.
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
 * @param {string} id decides the colour of the avatar, because the name can change
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

/**
 * Shows the video if it has a frame and a live track, and the avatar otherwise.
 * @param {HTMLElement} tile
 */
function showPicture(tile) {
  const { srcObject, readyState } = videoIn(tile);
  const stream = /** @type {MediaStream | null} */ (srcObject);
  const isLive = (/** @type {MediaStreamTrack} */ track) => track.readyState === 'live';
  // `track.muted` cannot be used: after glare, Chromium leaves it set on a track that delivers
  // frames.
  const hasFrame = readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  tile.classList.toggle('pictured', Boolean(hasFrame && stream?.getVideoTracks().some(isLive)));
  tile.classList.toggle('heard', Boolean(stream?.getAudioTracks().some(isLive)));
}

/** Chooses the number of columns that makes the tiles largest, and positions the tiles. */
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
    columns = Math.max(1, Math.floor((stageWidth + GAP) / (MIN_TILE_WIDTH + GAP)));
    width = Math.min(cellSize(stageWidth, columns), MIN_TILE_HEIGHT * NARROWEST);
    height = MIN_TILE_HEIGHT;
  }
  const rows = Math.ceil(count / columns);
  [...tiles.values()].forEach(({ style }, index) => {
    const row = Math.floor(index / columns);
    const tilesInRow = Math.min(columns, count - row * columns);
    const x = centredStart(stageWidth, width, tilesInRow) + (index % columns) * (width + GAP);
    const y = centredStart(stageHeight, height, rows) + row * (height + GAP);
    style.width = `${width}px`;
    style.height = `${height}px`;
    const scale = (height - TEXT_HEIGHT) / (FULL_SIZE_HEIGHT - TEXT_HEIGHT);
    style.setProperty('--scale', `${Math.min(1, scale)}`);
    style.transform = `translate(${x}px, ${y}px)`;
  });
}

/**
 * Returns the size of a cell if `count` cells, with gaps, fill the space.
 * @param {number} space
 * @param {number} count
 */
const cellSize = (space, count) => (space + GAP) / count - GAP;

/**
 * Returns the start of the first cell if `count` cells, with gaps, are centred in the space.
 * @param {number} space
 * @param {number} size size of a cell
 * @param {number} count
 */
const centredStart = (space, size, count) => Math.max(0, (space + GAP - count * (size + GAP)) / 2);

/**
 * Returns a hue in degrees for an id. 31 has no common factor with 360, so ids that differ in one
 * character get different hues.
 * @param {string} id
 */
const hueOf = (id) => [...id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 360, 0);
