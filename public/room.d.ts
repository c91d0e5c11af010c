/** Types of `room.js`: the class `Room`, its options and events, and the interface `Peer`. */

export interface RoomOptions {
  /**
   * (optional): address of the server, such as `"example.com"` or `"https://example.com"`. Without
   * a scheme, loopback hosts are reached over `ws:` and all others over `wss:`. Default: the
   * server that `room.js` was loaded from.
   */
  host?: string;
  /**
   * (optional): your peer id, 1 to 64 characters out of `A-Z a-z 0-9 . _ ~ : -`. Default: an id
   * that the server makes.
   */
  id?: string;
  /**
   * (optional): secret that proves that the id is yours when you reconnect or reload the page.
   * Default: 128 random bits.
   */
  key?: string;
  /** (optional): admission token (JWT), for servers that require one. Default: no token. */
  token?: string;
  /**
   * (optional): ICE servers of all connections. Default: the servers that `GET /ice-servers` names,
   * which are fetched again before they expire.
   */
  iceServers?: RTCIceServer[];
  /**
   * (optional): `"always"` connects to every peer; `"on-request"` connects only after both peers
   * agree, see `Peer.request()`. Default: `"always"`.
   */
  connect?: 'always' | 'on-request';
  /**
   * (optional): callback that is called before each step of a handshake. The step waits until the
   * returned promise settles. If the callback returns nothing, the step runs immediately. Default:
   * no callback.
   */
  pace?: (step: Step) => Promise<void> | void;
}

/**
 * State of the WebSocket to the server. `connecting`: not joined yet. `joined`: in the room.
 * `reconnecting`: disconnected, and trying again. `closed`: closed for good.
 */
export type RoomState = 'connecting' | 'joined' | 'reconnecting' | 'closed';

/**
 * Whether you and a peer want a connection.
 *
 * - `none`: neither side has requested a connection, or the request was cancelled.
 * - `requested`: you have requested a connection.
 * - `asked`: the peer has requested a connection.
 * - `accepted`: both sides want a connection. With `connect: "always"`, this is the initial value.
 * - `declined`: the peer does not want a connection.
 */
export type Relation = 'none' | 'requested' | 'asked' | 'accepted' | 'declined';

/** Types of the steps that `pace` can delay. */
export type PausableStep =
  | 'create-connection'
  | 'create-channel'
  | 'create-offer'
  | 'create-answer'
  | 'set-local-description'
  | 'set-remote-description'
  | 'add-candidate'
  | 'offer'
  | 'answer'
  | 'candidate';

/** Types of the steps in this browser (`direction: "local"`), each with its payload. */
export interface LocalSteps {
  /** The configuration, including the credentials of TURN servers. */
  'create-connection': RTCConfiguration;
  /** The label of the data channel. */
  'create-channel': string;
  /** Only with `pace`. Otherwise the browser creates and sets the description in one call. */
  'create-offer': RTCSessionDescriptionInit;
  /** Only with `pace`, like `create-offer`. */
  'create-answer': RTCSessionDescriptionInit;
  'set-local-description': RTCSessionDescription;
  'set-remote-description': RTCSessionDescriptionInit;
  /** Both sides made an offer, and the other side is polite: it takes ours. */
  'ignore-offer': RTCSessionDescriptionInit;
  /** The browser found a candidate of its own. */
  'local-candidate': RTCIceCandidate;
  'add-candidate': RTCIceCandidateInit;
  /** A candidate arrived before its description, and is added later. */
  'queue-candidate': RTCIceCandidateInit;
  /** The peer sends a track. */
  track: MediaStreamTrack;
  'connection-state': RTCPeerConnectionState;
  'ice-connection-state': RTCIceConnectionState;
  'ice-gathering-state': RTCIceGatheringState;
  'signaling-state': RTCSignalingState;
  /** The state of the data channel. */
  'channel-state': 'open' | 'closed';
  /** The new relation with the peer. */
  relation: Relation;
  /** The new state of the room. */
  'room-state': RoomState;
}

/** One step of a handshake. */
export interface Step {
  /** The id of the peer, or null if the step concerns only you and the server. */
  peer: string | null;
  /** `in`: received from the server. `out`: sent to the server. `local`: done in this browser. */
  direction: 'in' | 'out' | 'local';
  /** For `in` and `out` the type of the frame, for `local` a key of `LocalSteps`. */
  type: string;
  /**
   * For `in` and `out` the payload of the frame, for `local` the value that `LocalSteps` lists. In
   * `pace`, null if the value does not exist yet.
   */
  payload: any;
}

/** A step that is done. `time`: milliseconds since 1970, with fractions. */
export type Trace = Step & { time: number };

/** Events of a `Room`, each with its `detail`. */
export interface RoomEvents {
  /** A peer is in the room. Add your tracks in this event. */
  peer: { peer: Peer };
  /**
   * A peer has left the room, or was replaced by a new page with the same id. In the second case an
   * event `peer` follows.
   */
  leave: { peer: Peer };
  /** A peer sent something over the data channel. Validate it: the peer can send anything. */
  message: { peer: Peer; data: any };
  /** A peer sends a track. */
  track: {
    peer: Peer;
    track: MediaStreamTrack;
    streams: readonly MediaStream[];
    transceiver: RTCRtpTransceiver;
    receiver: RTCRtpReceiver;
  };
  /** The relation, connection, negotiation or data channel of a peer has changed its state. */
  change: { peer: Peer };
  /** A peer requests a connection. Call `accept` or `decline`, now or later. */
  request: { peer: Peer; accept: () => void; decline: () => void };
  /** The relation with a peer has changed. */
  relation: { peer: Peer; relation: Relation; previous: Relation };
  /** A peer sent a signal with `Room.signal()`. */
  signal: { from: string; type: string; payload: any };
  /**
   * The state of the room has changed. After a disconnect, `code`, `reason` and `message` say why.
   * `retryIn` is the number of milliseconds until the next attempt, or null if none is planned.
   * `left` is true if the page closed the WebSocket itself on `pagehide`: the other peers see you leave.
   */
  state: {
    state: RoomState;
    code?: number;
    reason?: string;
    message?: string;
    retryIn?: number | null;
    left?: boolean;
  };
  /** The server refused a frame, or a negotiation failed. `to` is the id of the peer concerned. */
  error: { code: string; message: string; to?: string };
  /** The WebSocket was closed for good. Peers that are still connected stay until they disconnect. */
  close: { code: number; reason: string; message: string };
  /** A step of a handshake is done. */
  trace: Trace;
}

/** Another peer in the room. Only a `Room` creates peers. */
export interface Peer extends EventTarget {
  readonly id: string;
  /** Whether *you* are the polite peer of this pair, which takes the other's offer in glare. */
  readonly polite: boolean;
  readonly relation: Relation;
  /**
   * The connection with this peer. Add tracks and channels at any time: negotiation is automatic,
   * and starts when the relation is `accepted`. Reading this property creates the connection if
   * there is none. After `cancel()` the next connection is a new object.
   */
  readonly connection: RTCPeerConnection;
  /** Whether the data channel is open, so that `send()` sends without queueing. */
  readonly ready: boolean;
  /** Whether the connection state is `connected` and the peer has not closed the data channel. */
  readonly connected: boolean;
  /**
   * Sends text over the data channel, reliably and in order. Until the channel is open, up to 64
   * texts are queued. Texts that are queued or in flight when the connection ends are lost.
   * @throws {DOMException} `InvalidStateError` if the peer has left, `OperationError` if 64 texts
   *   are queued already
   */
  send(text: string): void;
  /** Requests a connection. If the peer has requested one already, accepts it. */
  request(): void;
  /** Accepts the peer's request. */
  accept(): void;
  /** Declines the peer's request. */
  decline(): void;
  /** Cancels your request, closes the connection, or declines the peer's request. */
  cancel(): void;
}

export class Room extends EventTarget {
  /**
   * Joins a room. Reconnects by itself until `close()` or `leaveServer()` is called, or the server
   * refuses for good.
   * @param name 1 to 128 bytes of UTF-8 without control characters, and neither `.` nor `..`
   * @throws {RangeError} if the name or the option `id`, `token` or `connect` is invalid
   */
  constructor(name: string, options?: RoomOptions);
  readonly name: string;
  readonly state: RoomState;
  /** Your peer id. Null until the room is joined for the first time, unless it was an option. */
  readonly id: string | null;
  /** The other peers in the room by id. The map is live. */
  readonly peers: ReadonlyMap<string, Peer>;
  /**
   * Sends a signal of your application through the server.
   * @param type any type that is not reserved for the library or the server
   * @param payload (optional): anything that JSON can express. Default: no payload
   * @param to (optional): id of the peer that receives the signal. Default: a broadcast to all
   *   other peers
   * @returns false if the WebSocket is disconnected; the signal is not queued
   * @throws {TypeError} if the type is reserved
   */
  signal(type: string, payload?: unknown, to?: string): boolean;
  /** Leaves the room and closes all connections. */
  close(): void;
  /**
   * Closes the WebSocket, but keeps the connections. Each peer stays until its connection ends.
   * After that you cannot add tracks, restart ICE or be discovered by newcomers.
   * @returns false if the WebSocket is disconnected and there are peers, because they could not be
   *   informed; nothing is done then
   */
  leaveServer(): boolean;

  addEventListener<T extends keyof RoomEvents>(
    type: T,
    listener: ((event: CustomEvent<RoomEvents[T]>) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<T extends keyof RoomEvents>(
    type: T,
    listener: ((event: CustomEvent<RoomEvents[T]>) => void) | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
