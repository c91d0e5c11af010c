// @ts-check
/** What lies between a page and its WebSockets, where frames can be kept back and get lost. */
import { until } from './browser.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {'in' | 'out'} Way */

/**
 * Put under a page's WebSockets before anything runs: `wire` can lose the next frame of a kind, and
 * keep frames of either way back until they are released.
 */
export function installWire() {
  const wire = {
    /** @type {Record<Way, string[]>} kinds of which the next frame gets lost */
    lose: { in: [], out: [] },
    /** @type {string[]} what got lost */
    lost: [],
    /** @type {string[]} what did not */
    passed: [],
    /** @type {Record<Way, boolean>} */
    holding: { in: false, out: false },
    /** @type {Record<Way, ((() => void) & { text: unknown })[]>} */
    held: { in: [], out: [] },
    /** @param {Way} way */
    release(way) {
      wire.holding[way] = false;
      for (const pass of wire.held[way].splice(0)) pass();
    },
    /** @param {Way} way @param {unknown} text @param {() => void} pass */
    handle(way, text, pass) {
      // Of a list, all are of one kind.
      const frame = typeof text === 'string' && /^[{[]/.test(text) && [JSON.parse(text)].flat()[0];
      const kind = frame ? frame.type : text;
      const at = wire.lose[way].indexOf(kind);
      if (at >= 0) {
        wire.lose[way].splice(at, 1);
        wire.lost.push(`${way} ${kind}`);
        return;
      }
      const go = () => {
        wire.passed.push(`${way} ${kind}`);
        pass();
      };
      const note = Object.assign(go, { text });
      if (wire.holding[way]) wire.held[way].push(note);
      else note();
    },
  };
  Object.assign(globalThis, { wire });
  globalThis.WebSocket = class extends WebSocket {
    /** @param {string | URL} url @param {string | string[]} [protocols] */
    constructor(url, protocols = []) {
      super(url, protocols);
      /** @type {Set<Event>} */
      const passed = new Set();
      // First of all listeners, so that it can keep a frame from the others.
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
 * The next frame of this kind gets lost on its way.
 * @param {Page} page
 * @param {Way} way
 * @param {string} kind
 */
export const lose = (page, way, kind) =>
  page.evaluate(
    ([way, kind]) => /** @type {any} */ (globalThis).wire.lose[way].push(kind),
    [way, kind],
  );

/** Waits until it is lost. @param {Page} page @param {Way} way @param {string} kind */
export const lost = (page, way, kind) =>
  until(
    page,
    `${way} ${kind} is lost`,
    (frame) => /** @type {any} */ (globalThis).wire.lost.includes(frame),
    `${way} ${kind}`,
  );

/** The frames that went through, as `out offer`. @param {Page} page @returns {Promise<string[]>} */
export const passed = (page) => page.evaluate(() => /** @type {any} */ (globalThis).wire.passed);

/**
 * Keeps back all that the page sends, or is sent, until `release`.
 * @param {Page} page
 * @param {Way} [way]
 */
export const hold = (page, way = 'out') =>
  page.evaluate((way) => {
    /** @type {any} */ (globalThis).wire.holding[way] = true;
  }, way);

/** @param {Page} page @param {Way} [way] */
export const release = (page, way = 'out') =>
  page.evaluate((way) => /** @type {any} */ (globalThis).wire.release(way), way);

/**
 * Waits until so many frames are kept back.
 * @param {Page} page
 * @param {Way} way
 * @param {number} count
 */
export const held = (page, way, count) =>
  until(
    page,
    `${count} frames ${way} are held`,
    ([way, count]) => /** @type {any} */ (globalThis).wire.held[way].length >= count,
    /** @type {[Way, number]} */ ([way, count]),
  );
