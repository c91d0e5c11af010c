/** What the parts of the library say to each other. `room.d.ts` is what an application needs. */

import type { LocalSteps, PausableStep, RoomEvents } from './room.js';

export type Frame = { type: string; [key: string]: any };

/** `message`: of the server's last `error` frame. */
export type Closed = RoomEvents['close'];

/**
 * `retryIn`: milliseconds; null while the page is hidden for good, or in the back/forward cache.
 * `left`: we said goodbye, so to the others we are gone.
 */
export type Down = Closed & { retryIn: number | null; left: boolean };

export type Description = 'offer' | 'answer';

/** What a negotiation needs of the world around it. */
export interface Surroundings {
  configuration: RTCConfiguration;
  isPolite(): boolean;
  signal(type: string, payload: unknown): void;
  /** `message`, `track`, `state`, `stranger`, `end` (the other closed the channel), `error`. */
  tell(type: string, detail?: any): void;
  trace<K extends keyof LocalSteps>(type: K, payload: LocalSteps[K]): void;
  /** Called before each step, which is done when the promise settles, or at once without one. */
  pace(type: PausableStep, payload: unknown, direction?: 'local' | 'out'): Promise<void> | undefined;
}

export interface PeerInit extends Pick<Surroundings, 'signal' | 'trace' | 'pace'> {
  id: string;
  polite: boolean;
  always: boolean;
  configuration(): RTCConfiguration;
}
