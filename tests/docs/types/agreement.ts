/**
 * That `room.d.ts` says of `room.js` what is so. The code takes its options, events and states from
 * there, so they agree by themselves; what has a shape of its own is compared here. It is done with
 * copies, the code's under another name, since TypeScript would not look at the one with the other
 * beside it.
 */
import * as code from './code.js';
import type * as types from './room.js';

/** Whatever holds one may be given to what wants the other. */
declare function same<A, B>(forth: (a: A) => B, back: (b: B) => A): void;

/** What the types promise of rooms and peers, the code has. */
declare const room: code.Room;
/** TypeScript cannot see that the code's `addEventListener` takes listeners of `CustomEvent`. */
type Listening = 'addEventListener' | 'removeEventListener';
export const promised: Omit<types.Room, Listening> = room;
export const made = (...args: ConstructorParameters<typeof types.Room>) => new code.Room(...args);
type TruePeer = NonNullable<ReturnType<code.Room['peers']['get']>>;
export const peer: types.Peer = {} as TruePeer;

/** What the code shows of a room, the types have; of a peer, all but what only the room may use. */
type Inner = 'startOffer' | 'handleSignal' | 'resync' | 'recoverable' | 'setIceServers' | 'close';
same<keyof types.Room, keyof code.Room>(
  (a) => a,
  (b) => b,
);
same<keyof types.Peer, Exclude<keyof TruePeer, Inner>>(
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
