/** Types that the modules of the library share. Applications only need `room.d.ts`. */

import type { EarlyOffer } from './early-offer.js';
import type {
  LocalSteps,
  Muted,
  PausableStep,
  Relation,
  RoomEvents,
  RoomOptions,
  Step,
} from './room.js';
import type { Streams } from './streams.js';

export type { Muted };

export type Frame = { type: string; [key: string]: any };

/** The class `RTCPeerConnection` of the runtime, or one with the same interface. */
export type Connection = typeof RTCPeerConnection;

/** A peer in a `welcome` or `peer-joined`. `meta`: any JSON value that the peer has chosen. */
export type Listed = { id: string; polite: boolean; meta?: unknown };

/**
 * Details of a closed WebSocket. `message` comes from the last `error` frame of the server. It is
 * empty if there was no `error` frame.
 */
export type Closed = RoomEvents['close'];

/**
 * `retryIn`: milliseconds until the next attempt to reconnect. Null after the page was closed or
 * entered the back/forward cache. `intentional`: this client closed the WebSocket, so the other
 * peers see it leave.
 */
export type Disconnected = Closed & { retryIn: number | null; intentional: boolean };

/** What `Signaling` needs to join a room. */
export interface SignalingInit extends Pick<RoomOptions, 'id' | 'token'> {
  url: URL;
  key: string;
  /** What other peers see, as JSON. Empty: nothing. */
  meta: string;
  /** Resolves to the payload of the offer for the first join, as JSON. */
  offer?: Promise<string | undefined>;
  WebSocket: typeof WebSocket;
}

export interface SignalingEvents {
  frame: Frame;
  /** The WebSocket was lost, or the server refused it temporarily. `Signaling` reconnects. */
  disconnected: Disconnected;
  /** The WebSocket is closed permanently. */
  close: Closed;
  /** `no-token`, `unreachable`, `websocket-blocked`, or the reason why a signal was discarded. */
  error: RoomEvents['error'];
}

export type Description = 'offer' | 'answer';

/**
 * The payload of an `offer` or `answer`. Only this library sends `partyline`. `rollback`: whether
 * the sender's browser can always take its offer back. `messages`: the version of the frames of
 * messages that the sender understands. `streams`: the streams of the sender, if any.
 */
export type DescriptionPayload = RTCSessionDescriptionInit & {
  partyline?: { rollback: boolean; messages?: number; streams?: StreamTable };
};

/**
 * The description of a stream that peers receive: its metadata, which can be any JSON value, its mute
 * state, and whether it contains video from a camera.
 */
export type StreamInfo = { metadata: unknown; muted: Muted; camera: boolean };

/** The streams of a client by id. */
export type StreamTable = Record<string, StreamInfo>;

/** The limit of a video: `lines` is the length of its smaller side in pixels. */
export type VideoLimit = [bitsPerSecond: number, lines: number];

/** An encoded message. */
export interface Message {
  as: string;
  content: Uint8Array<ArrayBuffer> | Blob;
  /** The header as UTF-8. */
  header: Uint8Array<ArrayBuffer>;
  /** Whether the header says no more than `as`, `size`, `type` and `name`. */
  isBare: boolean;
  /** Bytes of `content`. */
  size: number;
  /** The content as text, for texts and JSON. */
  text: string | undefined;
}

/** The header of a message that a peer has sent. Only `as` and `size` are valid in any case. */
export interface Header {
  as: string;
  size: number;
  type?: any;
  name?: any;
  metadata?: any;
  ask?: any;
  /** The id of the ask to which this message is the reply. */
  reply?: any;
}

export interface TransferOptions {
  /** Each of them cancels the message. */
  signals?: (AbortSignal | undefined)[];
  onProgress?: (progress: { sent: number; total: number }) => void;
  /** Whether the promise waits for a reply. */
  isAsk?: boolean;
}

/** A message on its way to one peer. */
export interface Transfer {
  id: number;
  /** What is still to be sent. A promise reads the next slice of a Blob. */
  frames: Generator<string | Uint8Array | Promise<ArrayBuffer>, void, any>;
  size: number;
  /** Bytes that the message counts while it waits to begin. */
  cost: number;
  isReading?: boolean;
  slice?: ArrayBuffer;
  isAsk: boolean;
  resolve(data?: unknown): void;
  reject(error: unknown): void;
  /** Removes the listeners of the signals. */
  stop(): void;
}

/**
 * Events that a `Peer` dispatches to its `Room`. The peer's `Negotiation` emits most of these
 * events.
 */
export interface PeerEvents {
  message: { data: any; metadata: any };
  progress: { received: number; total: number; metadata: any };
  ask: { data: any; reply: (data: unknown) => Promise<void> };
  /** A named channel that the peer has created. */
  channel: RTCDataChannel;
  /** The table of streams that the peer sends, unchecked. */
  streams: any;
  track: Omit<RoomEvents['track'], 'peer'>;
  mute: Omit<RoomEvents['mute'], 'peer'>;
  /** The state of the connection, the negotiation or the data channel has changed. */
  state: null;
  /** The description that a new page or a new connection with the peer's id has sent. */
  'peer-replaced': DescriptionPayload;
  /** The other side has closed the data channel. Only the `Peer` handles this event. */
  'channel-closed': null;
  /** The application has closed the connection. Only the `Peer` handles this event. */
  'connection-closed': null;
  error: { code: string; message: string };
  request: null;
  /** The relation has changed. The detail is the previous relation. */
  relation: Relation;
}

/** State and functions that a `Peer` passes to its `Negotiation`. */
export interface PeerContext {
  Connection: Connection;
  /** The offer that the server has passed to this peer with our join. */
  early?: EarlyOffer;
  configuration: RTCConfiguration;
  /** The streams of this client. */
  streams: Streams;
  /** Bytes of the largest message that is accepted from the peer. */
  maxMessageSize: number;
  isPolite(): boolean;
  signal(type: string, payload: unknown): void;
  /** Whether signals to the peer wait for the rate limit. */
  isSending(): boolean;
  /** Returns the error if the server would refuse the signal because of its size, or null. */
  checkSize(type: string, payload: unknown): { code: string; message: string } | null;
  emit<K extends keyof PeerEvents>(type: K, detail: PeerEvents[K]): void;
  trace<K extends keyof LocalSteps>(type: K, payload: LocalSteps[K]): void;
  /**
   * Calls the option `pace` for a step. The step runs when the returned promise settles, or
   * immediately if no promise is returned. Default of `direction`: `local`.
   */
  pace(
    type: PausableStep,
    payload: unknown,
    direction?: 'local' | 'out',
  ): Promise<void> | undefined;
}

export interface PeerInit
  extends
    Listed,
    Pick<
      PeerContext,
      | 'Connection'
      | 'early'
      | 'maxMessageSize'
      | 'isSending'
      | 'checkSize'
      | 'trace'
      | 'pace'
      | 'streams'
    > {
  /** Whether the room connects to every peer (`connect: "always"`). */
  always: boolean;
  configuration(): RTCConfiguration;
  /** `isCurrent` returns false when a queued signal need not be sent any more. */
  signal(type: string, payload: unknown, isCurrent?: () => boolean): void;
}

/** State and functions that a `Room` passes to its `Peers`. */
export interface PeersInit {
  Connection: Connection;
  early?: EarlyOffer;
  /** The largest number of clients in the room, this client included. */
  maxPeers: number;
  /** Whether the room connects to every peer, as long as it has no live session. */
  always: boolean;
  /** Whether the room connects to every peer now. */
  connectsToAll(): boolean;
  configuration(): RTCConfiguration;
  pace: RoomOptions['pace'];
  limitVideo: boolean;
  maxMessageSize: number;
  isClosed(): boolean;
  /** Whether signals to this peer wait for the rate limit. */
  isSending(to: string): boolean;
  /** `isCurrent` returns false when a queued signal need not be sent any more. */
  send(frame: Frame, isCurrent?: () => boolean): void;
  emit<K extends keyof RoomEvents>(type: K, detail: RoomEvents[K]): void;
  trace(step: Step): void;
}

/** Functions that a `Room` passes to its `Live`. */
export interface LiveInit {
  Connection: Connection;
  configuration(): RTCConfiguration;
  /** Sends a signal to the media server. */
  signal(type: 'answer' | 'restart', payload?: unknown): void;
  emit<K extends 'live' | 'stream' | 'error'>(type: K, detail: RoomEvents[K]): void;
  trace<K extends keyof LocalSteps>(type: K, payload: LocalSteps[K]): void;
}

/** Functions that a `Room` passes to the `SignalLimits` of a peer. */
export interface SignalLimitsInit {
  /** Handles a signal of the library that is within the limits. */
  deliver(type: string, payload: any): void;
  /** Whether signals to the peer wait for the rate limit. */
  isSending(): boolean;
  reportError(detail: { code: string; message: string }): void;
}
