// @ts-check
/** Intercepts the WebSocket frames of a page, so that tests can drop or delay frames. */
import { until } from './browser.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {'in' | 'out'} Direction */

/**
 * Replaces `WebSocket` in a page before any script runs. The global variable `wire` can drop the
 * next frame of a type, and can hold all frames of a direction until the test releases the frames.
 */
export function installWire() {
  const wire = {
    /** @type {Record<Direction, string[]>} the types of which the next frame will be dropped */
    lose: { in: [], out: [] },
    /** @type {string[]} the dropped frames */
    lost: [],
    /** @type {string[]} the forwarded frames */
    passed: [],
    /** @type {Record<Direction, boolean>} */
    holding: { in: false, out: false },
    /** @type {Record<Direction, ((() => void) & { text: unknown })[]>} */
    held: { in: [], out: [] },
    /** @param {Direction} direction */
    release(direction) {
      wire.holding[direction] = false;
      for (const pass of wire.held[direction].splice(0)) pass();
    },
    /** @param {Direction} direction @param {unknown} text @param {() => void} pass */
    handle(direction, text, pass) {
      // The library sends several candidates as one array, so all signals in an array have one
      // type.
      const frame = typeof text === 'string' && /^[{[]/.test(text) && [JSON.parse(text)].flat()[0];
      const type = frame ? frame.type : text;
      const at = wire.lose[direction].indexOf(type);
      if (at >= 0) {
        wire.lose[direction].splice(at, 1);
        wire.lost.push(`${direction} ${type}`);
        return;
      }
      const go = () => {
        wire.passed.push(`${direction} ${type}`);
        pass();
      };
      const note = Object.assign(go, { text });
      if (wire.holding[direction]) wire.held[direction].push(note);
      else note();
    },
  };
  Object.assign(globalThis, { wire });
  globalThis.WebSocket = class extends WebSocket {
    /** @param {string | URL} url @param {string | string[]} [protocols] */
    constructor(url, protocols = []) {
      // An offer that travels with the join is no frame. Without it, the library sends a frame.
      const needsFrames = wire.holding.out || wire.lose.out.includes('offer');
      super(url, needsFrames ? [protocols].flat().filter((it) => !/^offer\./.test(it)) : protocols);
      /** @type {Set<Event>} */
      const passed = new Set();
      // This listener is registered first, so it can hide a frame from all other listeners.
      this.addEventListener('message', (event) => {
        if (passed.delete(event)) return;
        event.stopImmediatePropagation();
        wire.handle('in', event.data, () => {
          const again = new MessageEvent('message', { data: event.data });
          passed.add(again);
          this.dispatchEvent(again);
        });
      });
    }

    /** @param {any} text */
    send(text) {
      wire.handle('out', text, () => super.send(text));
    }
  };
}

/**
 * Drops the next frame of this type.
 * @param {Page} page
 * @param {Direction} direction
 * @param {string} type
 */
export const lose = (page, direction, type) =>
  page.evaluate(
    ([direction, type]) => /** @type {any} */ (globalThis).wire.lose[direction].push(type),
    [direction, type],
  );

/**
 * Waits until a frame of this type has been dropped.
 * @param {Page} page
 * @param {Direction} direction
 * @param {string} type
 */
export const lost = (page, direction, type) =>
  until(
    page,
    `${direction} ${type} is dropped`,
    (frame) => /** @type {any} */ (globalThis).wire.lost.includes(frame),
    `${direction} ${type}`,
  );

/**
 * Returns the direction and type of all forwarded frames, such as `out offer`.
 * @param {Page} page
 * @returns {Promise<string[]>}
 */
export const passed = (page) => page.evaluate(() => /** @type {any} */ (globalThis).wire.passed);

/**
 * Holds all frames of one direction until `release` is called.
 * @param {Page} page
 * @param {Direction} [direction]
 */
export const hold = (page, direction = 'out') =>
  page.evaluate((direction) => {
    /** @type {any} */ (globalThis).wire.holding[direction] = true;
  }, direction);

/** @param {Page} page @param {Direction} [direction] */
export const release = (page, direction = 'out') =>
  page.evaluate((direction) => /** @type {any} */ (globalThis).wire.release(direction), direction);

/**
 * Waits until at least `count` frames are held.
 * @param {Page} page
 * @param {Direction} direction
 * @param {number} count
 */
export const held = (page, direction, count) =>
  until(
    page,
    `${count} frames ${direction} are held`,
    ([direction, count]) => /** @type {any} */ (globalThis).wire.held[direction].length >= count,
    /** @type {[Direction, number]} */ ([direction, count]),
  );
