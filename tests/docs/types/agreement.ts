/**
 * Compiles only if `room.d.ts` agrees with `room.js`. `room.js` imports its options, events and
 * states from `room.d.ts`, so this file compares only the classes. `code.js` is a copy of
 * `room.js`, because TypeScript ignores a JavaScript file if a `.d.ts` file of the same name
 * exists.
 */
import * as code from './code.js';
import type { Peer as TruePeer } from './peer.js';
import type * as types from './room.js';

/** Fails to compile unless `A` and `B` are assignable to each other. */
declare function same<A, B>(forth: (a: A) => B, back: (b: B) => A): void;

declare const room: code.Room;
/**
 * Members that are not compared, because the code inherits the untyped listeners of `EventTarget`.
 */
type Listening = 'addEventListener' | 'removeEventListener';
/** Fails to compile if `room.js` lacks a member that `room.d.ts` declares. */
export const declared: Omit<types.Room, Listening> = room;
export const made = (...args: ConstructorParameters<typeof types.Room>) => new code.Room(...args);
export const peer: types.Peer = {} as TruePeer;

/** Members of `Live` that only `Room` uses. `room.d.ts` declares all other public members. */
type InnerLive = 'handleSignal' | 'resync' | 'stop' | 'close';
/** Members of `Peer` that only `Room` uses. `room.d.ts` declares all other public members. */
type Inner =
  | 'startOffer'
  | 'opensConnection'
  | 'handleSignal'
  | 'resync'
  | 'setIceServers'
  | 'negotiation'
  | 'sendMessage'
  | 'meta'
  | 'takesMessages'
  | 'close';
same<keyof types.Room, keyof code.Room>(
  (a) => a,
  (b) => b,
);
same<keyof types.Peer, Exclude<keyof TruePeer, Inner>>(
  (a) => a,
  (b) => b,
);
same<keyof types.Live, Exclude<keyof code.Room['live'], InnerLive>>(
  (a) => a,
  (b) => b,
);
same<types.Room['signal'], code.Room['signal']>(
  (a) => a,
  (b) => b,
);
same<types.Room['leaveServer'], code.Room['leaveServer']>(
  (a) => a,
  (b) => b,
);
