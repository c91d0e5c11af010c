// @ts-check
/**
 * Runs the Worker with traps on demand.
 *
 * No known input causes a trap. `trapNext` therefore replaces a function that the Rust code calls with
 * one that throws a `WebAssembly.RuntimeError`, like a trap. The Rust code calls `Date.now` while the
 * room is mutably borrowed, so without a restart, every later call to the room would fail. It reads
 * the status of a response only in a promise callback.
 */
import { startWorkerd } from './workerd.mjs';

const AROUND = `
  import ours, { Room as OurRoom } from './index.js';
  const { now } = Date;
  const status = Object.getOwnPropertyDescriptor(Response.prototype, 'status');
  const setStatus = (getter) => Object.defineProperty(Response.prototype, 'status', getter);
  let waiting = 0;
  let isReleased = false;
  export class Room extends OurRoom {
    constructor(state, env) {
      super(state, env);
      if (state.id.name === 'no-alarm')
        state.storage.setAlarm = () => Promise.reject(new Error('the disk is full'));
    }
    async fetch(request) {
      if (request.url.includes('/waits')) {
        waiting += 1;
        while (!isReleased) await scheduler.wait(1);
      }
      return super.fetch(request);
    }
  }
  export default {
    fetch(request, env, ctx) {
      // Skips the Worker's part of the request.
      const room = request.headers.get('direct');
      if (room) return env.ROOM.getByName(room).fetch(request);
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === '/trap') {
        const trap = () => {
          Date.now = now;
          setStatus(status);
          throw searchParams.has('plain') ? new Error('plain') : new WebAssembly.RuntimeError('unreachable');
        };
        if (searchParams.has('callback')) setStatus({ ...status, get: trap });
        else Date.now = trap;
      }
      else if (pathname === '/release') isReleased = true;
      else if (pathname !== '/counts') return ours.fetch(request, env, ctx);
      return Response.json({ starts: __worker_init_state.instanceId, waiting });
    },
  };
`;

/** @typedef {Awaited<ReturnType<typeof startTrapping>>} Trapping */

/**
 * @param {(text: string) => void} [log] a callback for the output of workerd
 * @param {import('./workerd.mjs').Settings} [settings]
 */
export async function startTrapping(log, settings = {}) {
  const turn = { TURN_URLS: 'turn:relay.example:3478', TURN_SECRET: '0123456789abcdef' };
  const options = { around: AROUND, log };
  const main = { ...turn, TURN_OPEN: 'true', ...settings };
  const { at, stop } = await startWorkerd({ main }, options);
  const server = at.main;
  return {
    server,
    stop,
    /**
     * Makes the Rust code trap when it next reads the time.
     * @param {string} [query] `callback`: in the promise callback of the next join instead; `plain`:
     *   with an exception that is no `RuntimeError`
     */
    trapNext: (query = '') => server.request(`/trap${query}`),
    /** Lets the room `waits` answer the requests that it has received. */
    release: () => server.request('/release'),
    /**
     * Returns the number of starts of the Wasm instance, and the number of requests that the room
     * `waits` has received.
     * @returns {Promise<{ starts: number, waiting: number }>}
     */
    counts: async () => JSON.parse((await server.request('/counts')).text),
  };
}
