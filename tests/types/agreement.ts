/**
 * That `room.d.ts` says of `room.js` what is so. It is checked beside copies of both, in folders of
 * their own, since TypeScript would not look at the one if it saw the other beside it.
 */
import * as code from './code/room.js';
import type * as types from './types/room.js';

/** Whatever holds one may be given to what wants the other. */
declare function same<A, B>(forth: (a: A) => B, back: (b: B) => A): void;

same<types.RoomOptions, code.RoomOptions>((a) => a, (b) => b);
same<Required<types.RoomOptions>, Required<code.RoomOptions>>((a) => a, (b) => b);
same<types.RoomState, code.RoomState>((a) => a, (b) => b);
same<types.Relation, code.Relation>((a) => a, (b) => b);
same<types.Pending, code.Pending>((a) => a, (b) => b);
same<types.Doings, code.Doings>((a) => a, (b) => b);
same<types.Step, code.Step>((a) => a, (b) => b);
same<types.Trace, code.Trace>((a) => a, (b) => b);

/** Events without the peer, which of the code has more than it shows. */
type Rest<Events> = { [T in keyof Events]-?: Required<Omit<Events[T], 'peer'>> };
same<Rest<types.RoomEvents>, Rest<code.RoomEvents>>((a) => a, (b) => b);
/** The names of what may be left out. */
type Optional<T> = { [K in keyof T]-?: object extends Pick<T, K> ? K : never }[keyof T];
type Leeway<Events> = { [T in keyof Events]: Optional<Events[T]> };
same<Leeway<types.RoomEvents>, Leeway<code.RoomEvents>>((a) => a, (b) => b);

/** What the types promise of rooms and peers, the code has. */
type Listening = 'addEventListener' | 'removeEventListener';
declare const made: code.Room;
export const room: Omit<types.Room, Listening> = made;
export const make: (...args: ConstructorParameters<typeof types.Room>) => unknown = (...args) =>
  new code.Room(...args);
export const events: types.RoomEvents = {} as code.RoomEvents;
declare const peer: types.RoomEvents['peer']['peer'];
export const shown: types.Peer = peer;

/** What the code shows of a room, the types have. */
export const all: Pick<types.Room, keyof code.Room> = {} as types.Room;
/** Of a peer they leave out what only the room may do with it. */
type Inner = 'open' | 'handleSignal' | 'resync' | 'lasting' | 'useServers' | 'close';
type TruePeer = code.RoomEvents['peer']['peer'];
export const allOfIt: Pick<types.Peer, Exclude<keyof TruePeer, Inner>> = {} as types.Peer;
same<keyof types.Peer, Exclude<keyof TruePeer, Inner>>((a) => a, (b) => b);
same<keyof types.Room, keyof code.Room>((a) => a, (b) => b);
