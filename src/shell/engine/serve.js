// @ts-check
/** The requests of Engine.IO, which the Rust code has checked. */

import { createApp } from './app.js';
import { echoLimits } from './echo.js';
import { ask, engineOf } from './handover.js';
import { OPEN } from './packet.js';
import { contextOf } from './room.js';
import { random } from './seat.js';
import { openWebSocket, upgradeToWebSocket } from './websocket.js';

/** Twice the size of the largest signal, so that a larger one can be refused with a message. */
const MAX_PAYLOAD = 128 * 1024;

/**
 * Opens a session.
 * @param {Request} request
 * @param {any} env
 * @param {boolean} isWebSocket
 * @param {string} room
 * @param {number} pingInterval in milliseconds
 * @param {number} grace the time for which a peer that is lost keeps its seat, in milliseconds
 * @param {string | undefined} origin the value of `Access-Control-Allow-Origin`
 * @returns {Promise<Response>}
 */
export async function openSession(request, env, isWebSocket, room, pingInterval, grace, origin) {
  const sid = random();
  const context = contextOf(request, room);
  const pingTimeout = (pingInterval * 4) / 5;
  const limits = echoLimits(room, env) ?? { pingInterval, pingTimeout, maxPayload: MAX_PAYLOAD };
  const upgrades = isWebSocket ? [] : ['websocket'];
  const open = OPEN + JSON.stringify({ sid, upgrades, ...limits });
  if (isWebSocket) return openWebSocket(open, limits, createApp(context, env));
  await ask(engineOf(env, sid), 'open', { context: { ...context, sid }, limits, grace });
  return polled(new Response(open), origin);
}

/**
 * Continues a session.
 * @param {Request} request
 * @param {any} env
 * @param {boolean} isWebSocket
 * @param {string} sid
 * @param {string | undefined} origin the value of `Access-Control-Allow-Origin`
 * @returns {Promise<Response>}
 */
export async function continueSession(request, env, isWebSocket, sid, origin) {
  const engine = engineOf(env, sid);
  if (isWebSocket) return upgradeToWebSocket(engine, (context) => createApp(context, env));
  const { method, body } = request;
  const path = method === 'POST' ? 'post' : 'poll';
  return polled(await engine.fetch(`https://engine/${path}`, { method, body }), origin);
}

/** Adds the headers of a response. @param {Response} response @param {string | undefined} origin */
function polled({ status, headers, body }, origin) {
  const type = headers.get('Content-Type') ?? 'text/plain; charset=UTF-8';
  return new Response(body, {
    status,
    headers: {
      'Content-Type': type,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      Vary: 'Origin',
      ...(origin ? { 'Access-Control-Allow-Origin': origin } : {}),
    },
  });
}
