/** Types of what the modules of the library pass to each other. Applications only need `room.d.ts`. */

import type { LocalSteps, PausableStep, Relation, RoomEvents } from './room.js';

export type Frame = { type: string; [key: string]: any };

/** `message` is the text of the last `error` frame from the server, or empty. */
export type Closed = RoomEvents['close'];

/**
 * `retryIn`: milliseconds until the next attempt to reconnect. Null if the page was closed or went
 * into the back/forward cache. `intentional`: we closed the WebSocket, so the other peers see us
 * leave.
 */
export type Disconnected = Closed & { retryIn: number | null; intentional: boolean };

export interface SignalingEvents {
  frame: Frame;
  /** The WebSocket was lost or refused. `Signaling` reconnects by itself. */
  disconnected: Disconnected;
  /** The WebSocket was closed for good. */
  close: Closed;
}

export type Description = 'offer' | 'answer';

/** Events of a `Peer` for its `Room`. Most of them come from the peer's `Negotiation`. */
export interface PeerEvents {
  message: any;
  track: RTCTrackEvent;
  /** The state of the connection, the negotiation or the channel has changed. */
  state: null;
  /** This description comes from a new page or connection with the peer's id. */
  'peer-replaced': RTCSessionDescriptionInit;
  /** The other side has closed the data channel. Only the `Peer` handles it. */
  'channel-closed': null;
  error: { code: string; message: string };
  request: null;
  /** The relation has changed. The detail is the previous one. */
  relation: Relation;
}

/** What a `Negotiation` needs from its `Peer`. */
export interface PeerContext {
  configuration: RTCConfiguration;
  isPolite(): boolean;
  signal(type: string, payload: unknown): void;
  emit<K extends keyof PeerEvents>(type: K, detail: PeerEvents[K]): void;
  trace<K extends keyof LocalSteps>(type: K, payload: LocalSteps[K]): void;
  /**
   * Announces a step. The step runs when the promise settles, or immediately if there is none.
   * `direction` is `local` by default.
   */
  pace(
    type: PausableStep,
    payload: unknown,
    direction?: 'local' | 'out',
  ): Promise<void> | undefined;
}

export interface PeerInit extends Pick<PeerContext, 'signal' | 'trace' | 'pace'> {
  id: string;
  polite: boolean;
  /** Whether the room connects to every peer (`connect: "always"`). */
  always: boolean;
  configuration(): RTCConfiguration;
}
