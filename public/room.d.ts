/** Types of `room.js`: the class `Room`, its options and events, and the interface `Peer`. */

export interface RoomOptions {
  /**
   * Address of the server, for example `"example.com"` or `"https://example.com"`. Without a
   * scheme, loopback hosts are reached over `ws:` and all others over `wss:`. Default: the origin
   * of `room.js`. Required in a bundle.
   */
  host?: string;
  /**
   * Your peer id: 1 to 64 characters from `A-Z a-z 0-9 . _ ~ : -` that do not begin with `~`.
   * Default: an id that the server makes out of `key`, or a random one if `key` has less than 22
   * characters.
   */
  id?: string;
  /**
   * Secret that proves that the id is yours when you reconnect or reload the page: 1 to 128
   * characters. Two clients with one key and no `id` replace each other. Default: 128 random bits.
   */
  key?: string;
  /**
   * Admission token (JWT), for servers that require one, or a function that returns one. The function
   * is called before each join and before each request for ICE servers, so the tokens may be
   * short-lived. If it throws, rejects, or returns no token within 10 s, an `error` event has the code
   * `no-token`, and the library tries again. Default: none.
   */
  token?: string | (() => string | Promise<string>);
  /** Your name for the other peers, who read it as `Peer.name`. Default: none. */
  name?: string;
  /**
   * Any JSON value for the other peers, who read it as `Peer.metadata`. The server passes it on, so the
   * peers have it before they connect. As JSON, `{ name, metadata }` has at most 1,024 bytes. Default:
   * none.
   */
  metadata?: unknown;
  /**
   * The largest number of clients in the room, you included. If the room has as many peers already, you
   * leave it at once, and the event `close` has the reason `room-full`. A peer that joins later than
   * that stays out of `Room.peers` until another one leaves. Default: no limit but that of the server.
   */
  maxPeers?: number;
  /**
   * ICE servers for all connections. Default: the servers that `GET /ice-servers` returns. The
   * library fetches these servers again before they expire.
   */
  iceServers?: RTCIceServer[];
  /**
   * `"relay"` uses only TURN servers, which hides your network addresses from the peers. Without a
   * TURN server, no connection is possible then. Default: `"all"`.
   */
  iceTransportPolicy?: RTCIceTransportPolicy;
  /**
   * `"always"` connects to every peer, except in a room with a live session. `"on-request"` connects
   * only after both peers agree, see `Peer.request()`. Default: `"always"`.
   */
  connect?: 'always' | 'on-request';
  /**
   * Callback that the room calls before each step listed in `PausableStep`. If the callback returns
   * a promise, the step waits until the promise settles. Otherwise the step runs immediately.
   * Default: no callback.
   */
  pace?: (step: Step) => Promise<void> | void;
  /**
   * The class for connections where the runtime has none, such as that of the package `werift` in
   * Node.js. Default: `globalThis.RTCPeerConnection`.
   */
  RTCPeerConnection?: new (configuration?: any) => any;
  /**
   * The class for the WebSocket where the runtime has none, such as that of the package `ws` in Node.js
   * 20. Default: `globalThis.WebSocket`.
   */
  WebSocket?: new (url: any, protocols?: any) => any;
  /**
   * Whether the library limits the video that it sends from cameras, see `Room.addStream()`. With
   * `false`, the limits are yours. Default: true.
   */
  limitVideo?: boolean;
  /** Bytes of the largest message that you accept from a peer. Default: 268,435,456 (256 MiB). */
  maxMessageSize?: number;
}

/** Whether the audio and the video of a stream are muted. */
export interface Muted {
  audio: boolean;
  video: boolean;
}

/** Options of `send`. */
export interface SendOptions {
  /**
   * A JSON value that the receiver gets with the data, in the events `progress` and `message`. The
   * message may have 16 KiB of JSON apart from its data.
   */
  metadata?: unknown;
  /** Called after each part of the message that the browser has taken. The numbers are bytes. */
  onProgress?: (progress: { peer: Peer; sent: number; total: number }) => void;
  /** Cancels the message: the receiver drops the parts that it has. */
  signal?: AbortSignal;
}

/** Options of `ask`. */
export interface AskOptions {
  /** Milliseconds until the promise rejects with a `TimeoutError`. Default: 30,000. */
  timeout?: number;
  /** Gives up: the promise rejects with the reason of the signal. */
  signal?: AbortSignal;
}

/** Options of `Room.channel`, as those of `RTCPeerConnection.createDataChannel`. */
export interface ChannelOptions {
  /** Whether messages arrive in order. Default: true. */
  ordered?: boolean;
  /**
   * How often a lost message is sent again, 0 to 65,535. A message that is still lost then never
   * arrives. Default: until it arrives.
   */
  maxRetransmits?: number;
}

/** A named channel to all peers. Only a `Room` creates channels. */
export interface Channel extends EventTarget {
  readonly name: string;
  /**
   * Sends a JSON value, an `ArrayBuffer` or a view to the peers with a connection, or to one of them.
   * With `maxRetransmits`, data is dropped while a connection is not open or has more than 1 MiB to
   * send.
   * @param to a peer, or its id. Default: all peers
   * @throws {TypeError} if the data has more than 64,000 bytes, or is neither binary nor JSON
   * @throws {DOMException} `InvalidStateError` if the channel is closed, or if there is no such peer.
   *   `OperationError` if more than 1 MiB waits for a peer already, which does not get the data
   */
  send(data: unknown, to?: Peer | string): void;
  /** Closes the channel. Later data for it is dropped. */
  close(): void;
  /** Calls `handle` for each message. Returns a function that stops the calls, like `off`. */
  on(type: 'message', handle: (detail: { peer: Peer; data: any }) => void): () => void;
  off(type: 'message', handle: (detail: { peer: Peer; data: any }) => void): void;
}

/**
 * State of the WebSocket to the server.
 *
 * - `connecting`: the room has not been joined yet.
 * - `joined`: you are in the room.
 * - `reconnecting`: the WebSocket was lost, and the library reconnects.
 * - `closed`: the WebSocket is closed permanently.
 */
export type RoomState = 'connecting' | 'joined' | 'reconnecting' | 'closed';

/**
 * Whether you and a peer want a connection.
 *
 * - `none`: there is no connection and no pending request.
 * - `requested`: you have requested a connection.
 * - `asked`: the peer has requested a connection.
 * - `accepted`: both sides want a connection. With `connect: "always"`, this is the initial value.
 * - `declined`: the peer does not want a connection.
 */
export type Relation = 'none' | 'requested' | 'asked' | 'accepted' | 'declined';

/**
 * State of the live session of a room.
 *
 * - `waiting`: the device does not send yet.
 * - `live`: the media server has the tracks of the device.
 * - `away`: the device has stopped sending. It may return.
 * - `stopped`: the session is over.
 */
export type LiveState = 'waiting' | 'live' | 'away' | 'stopped';

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

/** Types of the steps with `direction: "local"`, each with the type of its payload. */
export interface LocalSteps {
  /** The configuration, including the credentials of TURN servers. */
  'create-connection': RTCConfiguration;
  /** The label of the data channel. */
  'create-channel': string;
  /**
   * Traced only with the option `pace`. Without `pace`, the browser creates and sets the
   * description in one call.
   */
  'create-offer': RTCSessionDescriptionInit;
  /** Traced only with the option `pace`, like `create-offer`. */
  'create-answer': RTCSessionDescriptionInit;
  'set-local-description': RTCSessionDescription;
  'set-remote-description': RTCSessionDescriptionInit;
  /**
   * The ignored offer of the other side. Both sides made an offer (glare), and this side is
   * impolite.
   */
  'ignore-offer': RTCSessionDescriptionInit;
  /** The browser gathered a local ICE candidate. */
  'local-candidate': RTCIceCandidate;
  'add-candidate': RTCIceCandidateInit;
  /**
   * The candidate arrived before its description. The library adds the candidate after the
   * description.
   */
  'queue-candidate': RTCIceCandidateInit;
  /** A remote track, which the peer sends. */
  track: MediaStreamTrack;
  'connection-state': RTCPeerConnectionState;
  'ice-connection-state': RTCIceConnectionState;
  'ice-gathering-state': RTCIceGatheringState;
  'signaling-state': RTCSignalingState;
  /** The state of the data channel. Other states of the channel are not traced. */
  'channel-state': 'open' | 'closed';
  /** The new relation with the peer. */
  relation: Relation;
  /** The new state of the room. */
  'room-state': RoomState;
}

/** A step of a handshake, as reported to `pace` and by the event `trace`. */
export interface Step {
  /** The id of the peer. Null if the step concerns only you and the server. */
  peer: string | null;
  /** `in`: received from the server. `out`: sent to the server. `local`: done in this browser. */
  direction: 'in' | 'out' | 'local';
  /** For `in` and `out`: the type of the frame. For `local`: a key of `LocalSteps`. */
  type: string;
  /**
   * For `in` and `out`: the payload of the frame. For `local`: the value that `LocalSteps` lists.
   * In `pace`, the payload of `create-offer` and `create-answer` is null, because the description
   * does not exist yet.
   *
   * `trace` leaves out the payload of a signal if it has more than 2,048 characters as JSON. An
   * `offer` or `answer` keeps its `sdp` in any case.
   */
  payload: any;
}

/** A completed step. `time` is in milliseconds since 1970-01-01 UTC, with fractions. */
export type Trace = Step & { time: number };

/** Events of a `Room`, each with the type of its `detail`. */
export interface RoomEvents {
  /**
   * A peer has joined, or was in the room when you joined.
   */
  peer: { peer: Peer };
  /**
   * A peer has left the room, or a new page with the same id has replaced the peer. After a
   * replacement, an event `peer` follows.
   */
  leave: { peer: Peer };
  /**
   * A peer sent `data` over the data channel. Validate `data`, because the peer can send anything.
   */
  message: { peer: Peer; data: any; metadata?: any };
  /** A part of a message that needs more than one frame has arrived. The numbers are bytes. */
  progress: { peer: Peer; received: number; total: number; metadata?: any };
  /** A peer has called `ask` and waits for your `reply`, now or later. */
  ask: { peer: Peer; data: any; reply: (data: unknown) => Promise<void> };
  /**
   * A peer has started to send `track`. `metadata`, `muted` and `camera` describe `streams[0]`, if the
   * peer passed it to `Room.addStream()`. Validate `metadata`, because the peer can send any JSON
   * value. `camera`: whether the stream contains video of a camera, not of a screen. The other fields
   * are those of `RTCTrackEvent`.
   */
  track: {
    peer: Peer;
    track: MediaStreamTrack;
    streams: readonly MediaStream[];
    transceiver: RTCRtpTransceiver;
    receiver: RTCRtpReceiver;
    metadata: unknown;
    muted: Muted;
    camera: boolean;
  };
  /**
   * A peer has muted or unmuted a stream that you receive, or has changed its metadata, or between a
   * camera and a screen.
   */
  mute: { peer: Peer; stream: MediaStream; metadata: unknown; muted: Muted; camera: boolean };
  /**
   * The relation, the connection state, the signaling state or the data channel of a peer has
   * changed.
   */
  change: { peer: Peer };
  /** A peer requests a connection. Call `accept` or `decline`, now or later. */
  request: { peer: Peer; accept: () => void; decline: () => void };
  /** The relation with a peer has changed. */
  relation: { peer: Peer; relation: Relation; previous: Relation };
  /** The state of the live session, or of the connection to the media server, has changed. */
  live: { state: LiveState | null; connected: boolean };
  /**
   * The stream of the device has arrived, or has arrived again over a new connection. Null after it
   * has ended.
   */
  stream: { stream: MediaStream | null };
  /** A peer sent an application signal with `Room.signal()`. */
  signal: { from: string; type: string; payload: any };
  /**
   * The state of the room has changed. After a disconnect, `code` and `reason` are those of the
   * WebSocket, or 1006 and `no token` if the function in the option `token` has failed. `message` is
   * the last error message of the server. `retryIn` is the number of milliseconds until the next
   * attempt, or null if no attempt is planned. `left` is true if the page closed the WebSocket on
   * `pagehide`: the other peers see you leave.
   */
  state: {
    state: RoomState;
    code?: number;
    reason?: string;
    message?: string;
    retryIn?: number | null;
    left?: boolean;
  };
  /**
   * The server refused a frame, a negotiation failed, a signal is too large, a queued message could
   * not be sent, a peer sent too many signals, the network blocks WebSockets, or a token or the ICE
   * servers could not be obtained. `to` is the id of the affected peer.
   */
  error: { code: string; message: string; to?: string };
  /**
   * The WebSocket is closed permanently. After `leaveServer()` or a refusal, connected peers stay
   * in `peers` until they disconnect.
   */
  close: { code: number; reason: string; message: string };
  /** A step of a handshake is complete. */
  trace: Trace;
}

/** Another peer in the room. Only a `Room` creates peers. */
export interface Peer extends EventTarget {
  readonly id: string;
  /**
   * The role that the server has assigned: `true` on exactly one of the two sides, so it can decide
   * which side does something. In glare, the polite peer drops its own offer and accepts the other's.
   * Between Firefox and another browser, Firefox does so, whatever its role.
   */
  readonly polite: boolean;
  /**
   * The option `name` of the peer. Any peer can choose any name. Undefined if the peer has none.
   */
  readonly name: string | undefined;
  /** The option `metadata` of the peer. Validate it, because the peer can send any JSON value. */
  readonly metadata: unknown;
  readonly relation: Relation;
  /**
   * The connection with this peer. Add tracks and channels at any time: negotiation is automatic,
   * and starts when the relation is `accepted`. Reading this property creates the connection if
   * none exists. After `cancel()`, the next connection is a new object. Closing the connection has the
   * effect of `cancel()`. The `on…` properties are yours.
   */
  readonly connection: RTCPeerConnection;
  /** Whether the data channel is open. */
  readonly ready: boolean;
  /**
   * Resolves when `ready` becomes true, and rejects when the peer leaves before. After a connection
   * is lost, it is another promise.
   */
  readonly open: Promise<void>;
  /** Whether the connection state is `connected` and the peer has not closed the data channel. */
  readonly connected: boolean;
  /**
   * Sends a message of any size, reliably. Strings, `ArrayBuffer`s, `Blob`s and `File`s arrive as such,
   * views as `ArrayBuffer`s, and everything else as JSON. Short messages stay in order. They overtake
   * longer ones and Blobs, so a chat goes on during a file. Messages wait until the connection is open.
   * @returns a promise that resolves when the browser has taken the whole message, so that you can
   *   send the next one. It rejects if the connection ends before, or if the message is cancelled or
   *   refused. You need not await it
   * @throws {DOMException} `InvalidStateError` if the peer has left, or while the relation is `none`
   *   or `declined`. `OperationError` if more than 16 MiB of other messages wait already
   * @throws {TypeError} if the data is neither binary nor a JSON value
   * @throws {RangeError} if the metadata has more than about 16 KiB
   */
  send(data: unknown, options?: SendOptions): Promise<void>;
  /**
   * Sends a message to which the other side replies: it gets the event `ask`. Throws like `send`.
   * @returns a promise of the reply. It rejects with a `TimeoutError`, with the reason of the signal,
   *   or when the connection ends
   */
  ask(data: unknown, options?: AskOptions): Promise<any>;
  /**
   * Requests a connection. If the peer has requested a connection already, accepts that request.
   */
  request(): void;
  /** Accepts the peer's request. */
  accept(): void;
  /** Declines the peer's request. */
  decline(): void;
  /** Cancels your request, closes the connection, or declines the peer's request. */
  cancel(): void;
}

/**
 * The live session of a room, in which a media server relays the tracks of one peer, the device, to
 * all other peers, the viewers. A back end creates the session.
 */
export interface Live {
  /** Null if the room has no live session, or has not been joined yet. */
  readonly state: LiveState | null;
  /** Whether the connection to the media server works. */
  readonly connected: boolean;
  /** The stream of the device. Null while nothing is received, and always null for the device. */
  readonly stream: MediaStream | null;
  /**
   * The connection to the media server, for example for `getStats()`. If it fails, the room replaces
   * it. Null if there is none.
   */
  readonly connection: RTCPeerConnection | null;
  /**
   * Publishes the first audio track and the first video track of a stream, if you are the device.
   * Call it at any time, and again with another stream to replace the tracks.
   */
  publish(stream: MediaStream): void;
}

export class Room extends EventTarget {
  /**
   * Joins a room. After a disconnect, reconnects until you call `close()` or `leaveServer()`, or
   * until the server refuses the client permanently.
   * @param name 1 to 128 bytes of UTF-8 without control characters, and neither `.` nor `..`. It is
   *   normalized (Unicode NFC), so that a name is the same however it was typed
   * @throws {RangeError} if the name of the room or the option `id`, `token`, `maxPeers`, `connect` or
   *   `iceTransportPolicy` is invalid, or `name` and `metadata` are too large
   * @throws {TypeError} if an option has the wrong type, the option `host` is not part of a valid URL,
   *   or the runtime lacks a class that the options could contain
   */
  constructor(name: string, options?: RoomOptions);
  readonly name: string;
  readonly state: RoomState;
  /** Resolves when the room is joined for the first time, and rejects when it is closed before. */
  readonly joined: Promise<void>;
  /**
   * Your peer id. Null until the room is joined for the first time, unless the option `id` is set.
   */
  readonly id: string | null;
  /** The live session of the room. */
  readonly live: Live;
  /** The other peers in the room, by id. The room updates this map. */
  readonly peers: ReadonlyMap<string, Peer>;
  /**
   * Sends an application signal through the server. Signals beyond the rate limit are queued.
   * @param type any type that is not reserved for the library or the server
   * @param payload any JSON value. Default: no payload
   * @param to id of the recipient. Default: a broadcast to all other peers
   * @returns false if the WebSocket is disconnected. The signal is then discarded.
   * @throws {TypeError} if the type is reserved
   */
  signal(type: string, payload?: unknown, to?: string): boolean;
  /**
   * Sends a message to all peers whose relation is neither `none` nor `declined`, like `Peer.send`.
   * @returns a promise that resolves when the browser has taken the message for each of them. It
   *   rejects with the first error, and the other peers get the message nevertheless
   */
  send(data: unknown, options?: SendOptions): Promise<void>;
  /**
   * Returns the channel with a name, for all peers that are in the room or join later. The options
   * count when the channel is opened first. The other side opens a channel with the same name.
   * @throws {RangeError} if `maxRetransmits` is invalid
   */
  channel(name: string, options?: ChannelOptions): Channel;
  /**
   * Sends a stream to every peer, now and later. Call it again after you have added tracks to the
   * stream or removed tracks, or to change the metadata.
   *
   * Video from a camera is limited by the number of clients that send one: to 1.5 Mbit/s for up to 2,
   * to 600 kbit/s for 3 or 4, to 250 kbit/s and 360p for 5 to 8, and to 150 kbit/s and 240p for more.
   * A screen is not limited. Where the browser has no `displaySurface` in the settings of its track,
   * set `contentHint` to `"detail"` or `"text"`.
   * @param options.metadata any JSON value, for example a title. Default: none, or that of the call
   *   before
   * @throws {RangeError} if there are more than 16 streams, or more than 4,000 characters of JSON about
   *   them: ids, metadata and mute states
   */
  addStream(stream: MediaStream, options?: { metadata?: unknown }): void;
  /** Stops sending a stream. Its tracks continue to run. */
  removeStream(stream: MediaStream): void;
  /**
   * Replaces a track of the streams that were passed to `addStream()`, without a negotiation if the
   * new track has the same kind. The streams then contain the new track.
   * @param newTrack the new track. Null sends nothing until the next call with the same `oldTrack`
   * @throws {TypeError} if no stream has `oldTrack`
   */
  replaceTrack(oldTrack: MediaStreamTrack, newTrack: MediaStreamTrack | null): void;
  /**
   * Mutes or unmutes a stream, and tells the peers. Sets `enabled` of its tracks, and disables tracks
   * that come later.
   * @param muted omit a kind to leave it as it is
   * @throws {TypeError} if the stream was not passed to `addStream()`
   */
  mute(stream: MediaStream, muted: Partial<Muted>): void;
  /** Leaves the room and closes all connections. */
  close(): void;
  /**
   * Closes the WebSocket, but keeps the connections. Each peer stays until its connection is closed
   * or lost. Without the server, you cannot add tracks or restart ICE, and new peers cannot find
   * you.
   * @returns false if the WebSocket is disconnected and there are peers. Nothing changes then,
   *   because the peers cannot be informed.
   */
  leaveServer(): boolean;

  /**
   * Calls `handle` with the `detail` of each event of a type.
   * @returns a function that stops the calls, like `off`
   */
  on<T extends keyof RoomEvents>(type: T, handle: (detail: RoomEvents[T]) => void): () => void;
  /** Stops the calls of a function that was passed to `on`. */
  off<T extends keyof RoomEvents>(type: T, handle: (detail: RoomEvents[T]) => void): void;

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
