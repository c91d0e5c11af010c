// @ts-check
/** Chooses the application of a session. */

import { createEcho } from './echo.js';
import { RoomConnection } from './room.js';

/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('./session.js').App} App */

/**
 * @param {import('./room.js').Context} context
 * @param {any} env
 * @returns {(session: Session) => App}
 */
export const createApp = (context, env) => (session) =>
  createEcho(session, context.room, env) ?? new RoomConnection(session, context, env);
