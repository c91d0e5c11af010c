// @ts-check
/**
 * Runs the Worker with traps on demand.
 *
 * No known input causes a trap. `trapNext` therefore replaces `Date.now` with a function that throws
 * a `WebAssembly.RuntimeError`, like a trap. The Rust code calls `Date.now` while the room is
 * mutably borrowed, so without a restart, every later call to the room would fail.
 */
import { startWorkerd } from './workerd.mjs';

const AROUND = `
  import ours, { Room as OurRoom } from './index.js';
  const { now } = Date;
  let direct = 0;
  let held = 0;
  export class Room extends OurRoom {
    async fetch(request) {
      if (new URL(request.url).pathname.includes('/never-answers')) {
        held += 1;
        await scheduler.wait(60_000); // without a timer, workerd would abort the request
      }
      const answer = super.fetch(request);
      if (request.headers.has('direct')) direct += 1;
      return answer;
    }
  }
  export default {
    fetch(request, env, ctx) {
      // Skips the Worker's part of the request.
      const room = request.headers.get('direct');
      if (room) return env.ROOM.getByName(room).fetch(request);
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === '/trap')
        Date.now = () => {
          Date.now = now;
          throw searchParams.has('plain') ? new Error('plain') : new WebAssembly.RuntimeError('unreachable');
        };
      else if (pathname !== '/counts') return ours.fetch(request, env, ctx);
      return Response.json({ starts: __worker_init_state.instanceId, direct, held });
    },
  };
`;

/** @typedef {Awaited<ReturnType<typeof startTrapping>>} Trapping */

/** @param {(text: string) => void} [log] a callback for the output of workerd */
export async function startTrapping(log) {
  const turn = { TURN_URLS: 'turn:relay.example:3478', TURN_SECRET: '0123456789abcdef' };
  const options = { around: AROUND, log };
  const { at, stop } = await startWorkerd({ main: { ...turn, TURN_OPEN: 'true' } }, options);
  const server = at.main;
  return {
    server,
    stop,
    /**
     * Makes the Rust code trap when it next reads the time.
     * @param {string} [query] `?plain`: with an exception that is no `RuntimeError`
     */
    trapNext: (query = '') => server.request(`/trap${query}`),
    /**
     * Returns the number of starts of the Wasm instance, the number of requests with the header
     * `direct` that have reached their room, and the number of requests that are held by
     * a room whose name begins with `never-answers`.
     * @returns {Promise<{ starts: number, direct: number, held: number }>}
     */
    counts: async () => JSON.parse((await server.request('/counts')).text),
  };
}
