// @ts-check
/**
 * Wraps our Worker and counts requests, frames and writes. `GET /counted` returns the counters and
 * resets them.
 */

// @ts-expect-error servers.mjs copies this file into the folder that contains our index.js.
import ours, { Room as OurRoom } from './index.js';

/** Returns counters for all operations that Cloudflare bills, each at zero. */
const none = () => ({ workerRequests: 0, objectRequests: 0, frames: 0, writes: 0 });
let counted = none();

/**
 * Replaces methods on the prototype, so that each call counts as a write.
 * @param {any} object
 * @param {string[]} names
 */
function count(object, ...names) {
  const prototype = Object.getPrototypeOf(object);
  if (prototype.counted) return;
  prototype.counted = true;
  for (const name of names) {
    const method = prototype[name];
    prototype[name] = function (/** @type {any[]} */ ...args) {
      counted.writes += 1;
      return method.apply(this, args);
    };
  }
}

export class Room {
  /** @param {DurableObjectState} ctx @param {any} env */
  constructor(ctx, env) {
    count(ctx.storage, 'setAlarm', 'deleteAlarm');
    count(/** @type {any} */ (ctx.storage).kv, 'put', 'delete');
    this.room = new OurRoom(ctx, env);
  }

  /** @param {Request} request */
  fetch(request) {
    counted.objectRequests += 1;
    return this.room.fetch(request);
  }

  alarm() {
    counted.objectRequests += 1;
    return this.room.alarm();
  }

  /** @param {any[]} args */
  webSocketMessage(...args) {
    counted.frames += 1;
    return this.room.webSocketMessage(...args);
  }

  /** @param {any[]} args */
  webSocketClose(...args) {
    return this.room.webSocketClose(...args);
  }

  /** @param {any[]} args */
  webSocketError(...args) {
    return this.room.webSocketError(...args);
  }
}

export default {
  /** @param {Request} request @param {any} env @param {any} ctx */
  fetch(request, env, ctx) {
    if (new URL(request.url).pathname === '/counted') {
      const result = counted;
      counted = none();
      return Response.json(result);
    }
    counted.workerRequests += 1;
    return ours.fetch(request, env, ctx);
  },
};
