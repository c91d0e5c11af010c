// @ts-check
/**
 * Actions and conditions for pages that use the library. Tests wait for conditions instead of a
 * fixed time. If a condition does not become true, the error shows the log and the text of the
 * page.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

/** @typedef {import('playwright-core').Page} Page */

/**
 * The default timeout of a condition in milliseconds. It is longer than any step of a test. It is
 * shorter than 6 s, the minimum until the library restarts a connection attempt, so that a restart
 * cannot hide a failure.
 */
export const PATIENCE = 5_500;
/**
 * The timeout in milliseconds until pages with a library of another project are connected. Some of
 * these libraries announce themselves only every few seconds.
 */
export const CONNECTION_PATIENCE = 12_000;

/**
 * Waits until a condition is true in the page.
 * @template T
 * @param {Page} page
 * @param {string} claim the condition in words, for the error message
 * @param {(arg: T) => unknown} holds the condition, which runs in the page
 * @param {T} [arg]
 * @param {number} [patience]
 */
export async function until(page, claim, holds, arg, patience = PATIENCE) {
  // A promise is true at once, because Playwright does not await the result of a condition.
  assert(holds.constructor.name !== 'AsyncFunction', 'a condition must be synchronous');
  try {
    await page.waitForFunction(/** @type {any} */ (holds), arg, { timeout: patience, polling: 20 });
  } catch (error) {
    const seen = await page.evaluate(() => ({
      log: /** @type {any} */ (globalThis).log,
      wire: /** @type {any} */ (globalThis).wire?.lost,
      text: document.body?.innerText,
    }));
    assert.fail(`never true: ${claim}\n${JSON.stringify(seen, null, 1)}\n${error}`);
  }
}

/**
 * Joins a room from a page. Defines three global variables in the page: `room`, `log` (an array
 * with a short line for each event) and `trace` (an array with the details of all `trace` events).
 *
 * @param {Page} page
 * @param {string} name
 * @param {Record<string, unknown>} [options] the options of `Room`
 * @param {string} [from] the URL of the library
 */
export async function join(page, name, options = {}, from = '/room.js') {
  await page.evaluate(
    async ([name, options, from]) => {
      // Playwright cannot pass functions to a page, so tests set `pace` and `token` as global
      // variables.
      const { pace, token } = /** @type {any} */ (globalThis);
      const { Room } = await import(/** @type {string} */ (from));
      /** @type {string[]} */
      const log = [];
      // There are no ICE servers, because an unreachable STUN server would only delay gathering.
      const room = new Room(name, {
        iceServers: [],
        pace,
        token,
        .../** @type {object} */ (options),
      });
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
        'live',
        'stream',
        'signal',
        'state',
        'error',
        'close',
      ]) {
        room.addEventListener(type, (/** @type {CustomEvent} */ { detail }) => {
          const { peer, data, from, type: signalType, payload, relation, state, code } = detail;
          const { connected, stream } = detail; // of `live` and `stream`
          const words = [
            peer?.id,
            data,
            from,
            signalType,
            payload && JSON.stringify(payload),
            relation,
            state,
            code,
            connected ? 'connected' : undefined,
            stream?.getTracks().length,
          ];
          log.push([type, ...words.filter((word) => word !== undefined)].join(' '));
        });
      }
    },
    [name, options, from],
  );
}

/**
 * Starts one of the clients in `devices.mjs`. Defines the global variables `device` and `log` in
 * the page.
 *
 * @param {Page} page
 * @param {'Plain' | 'Forum' | 'Lobby' | 'Http' | 'Perfect'} client
 * @param {string} room
 * @param {string} [id]
 */
export async function start(page, client, room, id) {
  const path = fileURLToPath(new URL('devices.mjs', import.meta.url));
  await page.route('**/devices.mjs', (route) =>
    route.fulfill({ path, contentType: 'text/javascript' }),
  );
  await page.evaluate(
    async ([client, room, id]) => {
      const devices = await import(/** @type {string} */ ('/devices.mjs'));
      const device = new devices[/** @type {string} */ (client)](room, id);
      Object.assign(globalThis, { device, log: device.log });
    },
    [client, room, id],
  );
}

/**
 * Lets ann and then bob join a new room, and waits until the two peers are connected. Returns the
 * room's name.
 * @param {Page} ann
 * @param {Page} bob
 */
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
 * Waits until the page is connected to exactly these peers and no negotiation is pending.
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
 * Sends `text` over the data channel and waits until the receiver has logged `text`.
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
 * Waits until the log of the page contains an entry.
 * @param {Page} page
 * @param {string} line the start of the entry
 * @param {number} [times] the minimum number of matching entries
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
 * Returns the frames that a client of `devices.mjs` has sent (`>`) or received (`<`).
 * @param {Page} page
 * @param {'>' | '<'} direction
 * @returns {Promise<any[]>}
 */
export async function frames(page, direction) {
  const lines = (await log(page)).filter((line) => line.startsWith(`${direction} {`));
  return lines.map((line) => JSON.parse(line.slice(2)));
}

let rooms = 0;

/** Returns the name of a room that no other test uses. */
export function newRoom() {
  rooms += 1;
  return `browser-${process.pid}-${rooms}`;
}
