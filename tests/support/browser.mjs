// @ts-check
/**
 * What pages can be told and asked.
 *
 * Nothing here waits by the clock: a page is asked until something holds, and a test that waits in
 * vain says what the page showed instead.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

/** @typedef {import('playwright-core').Page} Page */

/** Longer than anything takes here, shorter than the 6 s before the library repairs by itself. */
export const PATIENCE = 5_500;

/**
 * Waits until something holds in the page.
 * @template T
 * @param {Page} page
 * @param {string} claim
 * @param {(arg: T) => unknown} holds runs in the page
 * @param {T} [arg]
 * @param {number} [patience]
 */
export async function until(page, claim, holds, arg, patience = PATIENCE) {
  try {
    await page.waitForFunction(/** @type {any} */ (holds), arg, { timeout: patience, polling: 20 });
  } catch (error) {
    const seen = await page.evaluate(() => ({
      log: /** @type {any} */ (globalThis).log,
      wire: /** @type {any} */ (globalThis).wire?.lost,
      text: document.body?.innerText,
    }));
    assert.fail(`never held: ${claim}\n${JSON.stringify(seen, null, 1)}\n${error}`);
  }
}

/**
 * Joins a room from a page by the library alone. The page then has `room`, `log`, a list of all
 * events as short lines, and `trace`, what the library tells of each step.
 *
 * @param {Page} page
 * @param {string} name
 * @param {Record<string, unknown>} [options] of `Room`
 * @param {string} [from] where the library comes from
 */
export async function join(page, name, options = {}, from = '/room.js') {
  await page.evaluate(
    async ([name, options, from]) => {
      // A function cannot come along: one that the page has already is taken.
      const { pace } = /** @type {any} */ (globalThis);
      const { Room } = await import(/** @type {string} */ (from));
      /** @type {string[]} */
      const log = [];
      // A STUN server that is out of reach only makes the gathering of candidates long.
      const room = new Room(name, { iceServers: [], pace, .../** @type {object} */ (options) });
      /** @type {any[]} */
      const trace = [];
      room.addEventListener('trace', (/** @type {CustomEvent} */ { detail }) => trace.push(detail));
      Object.assign(globalThis, { room, log, trace });
      for (const type of [
        'peer',
        'leave',
        'message',
        'track',
        'request',
        'relation',
        'signal',
        'state',
        'error',
        'close',
      ]) {
        room.addEventListener(type, (/** @type {CustomEvent} */ { detail }) => {
          const { peer, data, from, type: signalType, payload, relation, state, code } = detail;
          const words = [
            peer?.id,
            data,
            from,
            signalType,
            payload && JSON.stringify(payload),
            relation,
            state,
            code,
          ];
          log.push([type, ...words.filter((word) => word !== undefined)].join(' '));
        });
      }
    },
    [name, options, from],
  );
}

/**
 * Starts one of the clients in `devices.mjs`. The page then has it as `device`, and `log` is its
 * log.
 *
 * @param {Page} page
 * @param {'Plain' | 'Forum' | 'Lobby' | 'Http' | 'Perfect'} kind
 * @param {string} room
 * @param {string} [id]
 */
export async function start(page, kind, room, id) {
  const path = fileURLToPath(new URL('devices.mjs', import.meta.url));
  await page.route('**/devices.mjs', (route) =>
    route.fulfill({ path, contentType: 'text/javascript' }),
  );
  await page.evaluate(
    async ([kind, room, id]) => {
      const devices = await import(/** @type {string} */ ('/devices.mjs'));
      const device = new devices[/** @type {string} */ (kind)](room, id);
      Object.assign(globalThis, { device, log: device.log });
    },
    [kind, room, id],
  );
}

/** Ann and bob in a new room, ann first, both connected. @param {Page} ann @param {Page} bob */
export async function meet(ann, bob) {
  const room = newRoom();
  await join(ann, room, { id: 'ann', key: 'secret of ann' });
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob', key: 'secret of bob' });
  await connected(ann, 'bob');
  await connected(bob, 'ann');
  return room;
}

/**
 * Waits until the page's chat channel with each of these is open and everything is settled.
 * @param {Page} page
 * @param {string[]} ids
 */
export function connected(page, ...ids) {
  const holds = (/** @type {string[]} */ ids) => {
    const { peers } = /** @type {any} */ (globalThis).room;
    const settled = (/** @type {any} */ peer) =>
      peer?.ready &&
      peer.connection.connectionState === 'connected' &&
      peer.connection.signalingState === 'stable';
    return peers.size === ids.length && ids.every((id) => settled(peers.get(id)));
  };
  return until(page, `connected with ${ids}`, holds, ids);
}

/**
 * Sends text by the data channel and waits until it has come.
 * @param {Page} from
 * @param {string} sender
 * @param {Page} to
 * @param {string} receiver
 * @param {string} text
 */
export async function talk(from, sender, to, receiver, text) {
  await from.evaluate(
    ([id, text]) => /** @type {any} */ (globalThis).room.peers.get(id).send(text),
    [receiver, text],
  );
  await logged(to, `message ${sender} ${text}`);
}

/**
 * Waits until an event is in the page's log.
 * @param {Page} page
 * @param {string} line its start
 * @param {number} [times]
 * @param {number} [patience]
 */
export function logged(page, line, times = 1, patience = PATIENCE) {
  const holds = (/** @type {[string, number]} */ [line, times]) =>
    /** @type {any} */ (globalThis).log.filter((/** @type {string} */ entry) =>
      entry.startsWith(line),
    ).length >= times;
  return until(
    page,
    `${times} times "${line}"`,
    holds,
    /** @type {[string, number]} */ ([line, times]),
    patience,
  );
}

/** @param {Page} page @returns {Promise<string[]>} */
export function log(page) {
  return page.evaluate(() => /** @type {any} */ (globalThis).log);
}

/**
 * The frames that a client of `devices.mjs` has said, or heard.
 * @param {Page} page
 * @param {'>' | '<'} way
 * @returns {Promise<any[]>}
 */
export async function frames(page, way) {
  const lines = (await log(page)).filter((line) => line.startsWith(`${way} {`));
  return lines.map((line) => JSON.parse(line.slice(2)));
}

let rooms = 0;

/** A room that no other test is in. */
export function newRoom() {
  rooms += 1;
  return `browser-${process.pid}-${rooms}`;
}
