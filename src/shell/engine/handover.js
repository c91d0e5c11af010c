// @ts-check
/**
 * Takes a session over from the object that held it while its client polled: when the client changes
 * to a WebSocket, and when it returns in a new session.
 *
 * No packet is lost: the object lets the room handle all earlier frames (`take`). Then the peer joins
 * again, and the room closes the WebSocket of the object. The object then has everything that the room
 * sent before (`rest`).
 *
 * A client can return after its last session has timed out: then only the rest is taken.
 */

import { decodePayload } from './packet.js';

/** Returns the object of a polling session. @param {any} env @param {string} sid @returns {DurableObjectStub} */
export const engineOf = (env, sid) => env.ENGINE.getByName(sid);

/**
 * Sends a request to the object of a session. Rejects if the session does not exist.
 * @param {DurableObjectStub} engine
 * @param {'open' | 'reserve' | 'probe' | 'take' | 'return' | 'rest'} path
 * @param {object} [body] sent as JSON
 */
export async function ask(engine, path, body) {
  const init = { method: 'POST', body: JSON.stringify(body) };
  const response = await engine.fetch(`https://engine/${path}`, init);
  if (response.ok) return response;
  // The connection to the object stays open until the body is read or cancelled.
  await response.body?.cancel();
  throw new Error('the session does not exist');
}

/**
 * Ends a session in its object, and returns what its successor needs.
 * @param {DurableObjectStub} engine
 * @returns {Promise<any>}
 */
export const take = async (engine) => (await ask(engine, 'take')).json();

/**
 * Ends the last session of a client that has returned, unless it is already lost. Returns the request
 * that opened it.
 * @param {DurableObjectStub} engine
 * @returns {Promise<import('./room.js').Context>}
 */
export const takeLast = async (engine) => (await (await ask(engine, 'return')).json()).context;

/** Returns the packets that the client has not polled. @param {DurableObjectStub} engine */
export async function rest(engine) {
  const payload = await (await ask(engine, 'rest')).text();
  return payload ? decodePayload(payload) : [];
}
