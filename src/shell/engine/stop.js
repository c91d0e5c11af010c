// @ts-check
/**
 * The event `live/stop` of a Socket.IO client, which ends the live session of its room. It is
 * `POST /live/stop` with the token of the client, or with the `stopKey` in its argument.
 */

import { fetch as handleRequest } from '../rust.js';
import { run } from '../trap.js';

/** @typedef {{ ack: string, stopKey: unknown }} Stop */

/** The event, with the number of its acknowledgement and its argument, both optional. */
const STOP = /^2(\d*)\["live\/stop"(?:,(.*))?\]$/s;

/**
 * Returns undefined if the message is another packet.
 * @param {import('./packet.js').Message} message
 * @returns {Stop | undefined}
 */
export function readStop(message) {
  const [, ack, argument] = STOP.exec(String(message)) ?? [];
  if (ack === undefined) return undefined;
  try {
    return { ack, stopKey: JSON.parse(argument ?? 'null')?.stopKey };
  } catch {
    return { ack, stopKey: undefined };
  }
}

/** Returns the packet that acknowledges the event, or undefined if the client expects none. */
export function acknowledge(/** @type {Stop} */ { ack }, /** @type {object} */ result) {
  return ack ? `3${ack}${JSON.stringify([result])}` : undefined;
}

/**
 * Ends the live session. Resolves with `{"ok":true}` or with the error of the server.
 * @param {Stop} stop
 * @param {import('./room.js').Context} context
 * @param {string | undefined} token
 * @param {unknown} env
 */
export async function stopSession({ stopKey }, { room, url, headers }, token, env) {
  const request = new Request(new URL('/live/stop', url), {
    method: 'POST',
    headers: token === undefined ? headers : { ...headers, Authorization: `Bearer ${token}` },
    body: JSON.stringify({ sessionId: room, stopKey }),
  });
  const response = await run(() => handleRequest(request, env));
  const { error } = await response.json();
  return error ? { error } : { ok: true };
}
