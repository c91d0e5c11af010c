/** The types of `room.js`, and of what goes into it and comes out. README tells more. */

export interface RoomOptions {
  /** Where the server is: `example.com`, or with scheme. Without it, where `room.js` came from. */
  host?: string;
  /** Our peer id, 1 to 64 of `A-Z a-z 0-9 . _ ~ : -`. Without it the server makes one. */
  id?: string;
  /** Proves that the id is ours when we come back. Without it, 128 random bits. */
  key?: string;
  /** The admission ticket of a server that asks for one. */
  token?: string;
  /** Without it, those that the server names. */
  iceServers?: RTCIceServer[];
  /** With everybody, which it is without it; or only with whom both want (`peer.request()`). */
  connect?: 'always' | 'on-request';
  /** Called before each step of a handshake, which waits for the promise, if there is one. */
  pace?: (step: Step) => Promise<void> | void;
}

export type RoomState = 'connecting' | 'joined' | 'reconnecting' | 'closed';

/**
 * `none`: nobody has asked, or it was taken back. `requested`: we have asked it. `asked`: it has
 * asked us. `accepted`: both want a connection; with `connect: "always"` it begins here. `declined`:
 * it does not want one.
 */
export type Relation = 'none' | 'requested' | 'asked' | 'accepted' | 'declined';

/** What can wait for `pace`. */
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

/** What happens in this browser, with what in `payload`. */
export interface LocalSteps {
  /** With the credentials of TURN servers. */
  'create-connection': RTCConfiguration;
  /** The label of the data channel. */
  'create-channel': string;
  /** This and the next only with `pace`: otherwise the browser makes and sets in one call. */
  'create-offer': RTCSessionDescriptionInit;
  'create-answer': RTCSessionDescriptionInit;
  'set-local-description': RTCSessionDescription;
  'set-remote-description': RTCSessionDescriptionInit;
  /** Both have offered, and the other gives way. */
  'ignore-offer': RTCSessionDescriptionInit;
  /** A candidate of ours was found. */
  'local-candidate': RTCIceCandidate;
  'add-candidate': RTCIceCandidateInit;
  /** Until its description comes. */
  'queue-candidate': RTCIceCandidateInit;
  track: MediaStreamTrack;
  'connection-state': RTCPeerConnectionState;
  'ice-connection-state': RTCIceConnectionState;
  'ice-gathering-state': RTCIceGatheringState;
  'signaling-state': RTCSignalingState;
  'channel-state': 'open' | 'closed';
  relation: Relation;
  /** The line to the server. */
  'room-state': RoomState;
}

export interface Step {
  /** The peer's id; null: between us and the server alone. */
  peer: string | null;
  /** From the server to us, from us to the server, or in this browser. */
  direction: 'in' | 'out' | 'local';
  /** With `in` and `out`, the `type` of a frame; with `local`, one of `LocalSteps`. */
  type: string;
  /** Of the frame, or what it is done with; for `pace` null if that is not made yet. */
  payload: any;
}

/** `time`: milliseconds since 1970, with fractions. */
export type Trace = Step & { time: number };

export interface RoomEvents {
  /** Somebody is there. Add your tracks now. */
  peer: { peer: Peer };
  /** It is gone, or has made way for a new page of the same id, whose `peer` follows. */
  leave: { peer: Peer };
  /** It sent something over the data channel; never trust it. */
  message: { peer: Peer; data: any };
  /** It sends a track. */
  track: {
    peer: Peer;
    track: MediaStreamTrack;
    streams: readonly MediaStream[];
    transceiver: RTCRtpTransceiver;
    receiver: RTCRtpReceiver;
  };
  /** Its relation, connection, negotiation or channel is in another state. */
  change: { peer: Peer };
  /** It asks for a connection. */
  request: { peer: Peer; accept: () => void; decline: () => void };
  /** Who has asked whom is different now. */
  relation: { peer: Peer; relation: Relation; previous: Relation };
  /** A signal of the application's own kind. */
  signal: { from: string; type: string; payload: any };
  /** The line to the server; when it was lost, why, and the milliseconds until the next try. */
  state: {
    state: RoomState;
    code?: number;
    reason?: string;
    message?: string;
    retryIn?: number | null;
    left?: boolean;
  };
  /** The server or a peer's connection refused something. */
  error: { code: string; message: string; to?: string };
  /** The line is over and does not come back; those whom we still reach stay until they end. */
  close: { code: number; reason: string; message: string };
  /** Something has happened between us, the server and a peer. */
  trace: Trace;
}

/** One other peer. Made by a `Room`. */
export interface Peer extends EventTarget {
  readonly id: string;
  /** Whether *we* are the polite one of this pair, who gives way when both offer at once. */
  readonly polite: boolean;
  readonly relation: Relation;
  /**
   * Add tracks and channels as you like: negotiation follows by itself, as soon as both want it.
   * Made when it is first needed, or asked for here; after `cancel` it is another one.
   */
  readonly connection: RTCPeerConnection;
  /** Whether text sent now would be on its way at once. */
  readonly ready: boolean;
  /** Whether the other side is certainly there: connected, and it has not closed the channel. */
  readonly connected: boolean;
  /**
   * Sends text over the data channel, reliably and in order. Until it is open the text waits, up to
   * 64 of them; what waits or is under way when the connection ends is lost.
   * @throws {DOMException} `InvalidStateError` if the peer has left, `OperationError` if too much
   *   waits already
   */
  send(text: string): void;
  /** Asks for a connection. If it has asked already, accepts. */
  request(): void;
  /** Accepts what it has asked. */
  accept(): void;
  /** Declines what it has asked. */
  decline(): void;
  /** Takes everything back: our request, or the connection. Declines what it has asked. */
  cancel(): void;
}

export class Room extends EventTarget {
  /**
   * @param name 1 to 128 bytes of UTF-8 without control characters
   * @throws {RangeError} if the name, the id, the token or `connect` cannot be
   */
  constructor(name: string, options?: RoomOptions);
  readonly name: string;
  readonly state: RoomState;
  /** Ours; null until the first welcome unless it was given. */
  readonly id: string | null;
  /** Who is there, by id; live. */
  readonly peers: ReadonlyMap<string, Peer>;
  /**
   * Sends a signal of the application's own kind through the server, to one peer or to all others.
   * @returns false if the signaling line is down; it is not kept for later
   * @throws {TypeError} if the kind is the library's or the server's
   */
  signal(type: string, payload?: unknown, to?: string): boolean;
  /** Leaves the room and closes all its connections. */
  close(): void;
  /**
   * Leaves the server, but not those whom we reach: each of them stays until its connection ends.
   * What needs the server is over: new tracks, repair, being found.
   * @returns false if the signaling line is down: the others cannot be told, so nothing is done
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
