// @ts-check
/**
 * The application of a session: it lets a Socket.IO client join its room, and passes Socket.IO packets
 * between them. `src/dialect/socketio.rs` describes the packets.
 *
 * The join is an ordinary request to the Rust code, which checks the token, the origin and the rate
 * limit.
 */

import { fetch as handleRequest } from '../rust.js';
import { run } from '../trap.js';
import { engineOf, rest, takeLast } from './handover.js';
import { MESSAGE } from './packet.js';
import { readSeat, seatOf, toBase64Url } from './seat.js';
import { RoomSocket } from './room-socket.js';
import { acknowledge, readStop, stopSession } from './stop.js';

/** @typedef {import('./packet.js').Message} Message */
/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('./seat.js').Peer} Peer */
/**
 * The request that opened the session.
 * @typedef {object} Context
 * @property {string} room the name of the room
 * @property {string} url
 * @property {Record<string, string>} headers
 * @property {string} [sid] the id of the session while its client polls
 */

/** The headers of the client's request that the join repeats. */
const HEADERS = ['Origin', 'CF-Connecting-IP'];
/** The types of Socket.IO packets. */
const CONNECT = '0';
const DISCONNECT = '1';
const EVENT = '2';
const CONNECT_ERROR = '4';
/** The close code after which the peer leaves the room; see `may_return` in `socketio.rs`. */
const LEAVE = 1000;
/** The close code after which the peer may return to its seat. */
const LOST = 1001;
/**
 * The time that a client has for its first CONNECT packet, in milliseconds. Until then, it has shown no
 * token, and a client that polls keeps an object in memory.
 */
const CONNECT_TIMEOUT = 20_000;
/** The close code at the end of a live session. */
const LIVE_OVER = 4011;
/**
 * The close codes of a room after which a client must not reconnect. `tests/core/close_table.rs`
 * compares the list with `src/core/close.rs`.
 */
const NEVER_RETRY = [
  4001, // replaced
  4009, // id-taken
  4010, // unauthorized
  1008, // bad-id
  1009, // too-large
  4011, // live-over
  4012, // removed
];

/** @param {Request} request @param {string} room @returns {Context} */
export function contextOf({ url, headers }, room) {
  const repeated = HEADERS.map((name) => [name, headers.get(name)]).filter(([, value]) => value);
  return { room, url, headers: Object.fromEntries(repeated) };
}

/** @implements {App} @typedef {import('./session.js').App} App */
export class RoomConnection {
  #session;
  #context;
  #env;
  /** The WebSocket to the room, while the client is in the room or joins it. */
  #socket = /** @type {RoomSocket | undefined} */ (undefined);
  /** The peer, after the room has admitted it. */
  #peer = /** @type {Peer | undefined} */ (undefined);
  /** The event `live/stop` that is being handled. */
  #stop = /** @type {import('./stop.js').Stop | undefined} */ (undefined);
  #isHandedOver = false;
  #timer = /** @type {ReturnType<typeof setTimeout> | null} */ (null);

  /** @param {Session} session @param {Context} context @param {unknown} env */
  constructor(session, context, env) {
    this.#session = session;
    this.#context = context;
    this.#env = env;
    this.#expectConnect();
  }

  /** Ends the session if the client does not join in time. */
  #expectConnect() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket || this.#session.end(), CONNECT_TIMEOUT);
  }

  /** @param {Message} message */
  receive(message) {
    if (typeof message === 'string' && message[0] === CONNECT) this.#connect(message);
    else if (message === DISCONNECT) this.leave();
    else {
      const stop = this.#peer && readStop(message);
      if (stop) void this.#stopSession(stop);
      else if (!this.#socket?.send(message)) this.#session.end();
    }
  }

  /**
   * Ends the live session, if the client may. One event at a time is handled.
   * @param {import('./stop.js').Stop} stop
   */
  async #stopSession(stop) {
    if (this.#stop) return;
    this.#stop = stop;
    try {
      this.#endStop(await stopSession(stop, this.#context, this.#peer?.token, this.#env));
    } catch (error) {
      console.error(JSON.stringify({ event: 'engine-stop', message: String(error) }));
      this.#stop = undefined;
    }
  }

  /** @param {object} result */
  #endStop(result) {
    const packet = this.#stop && acknowledge(this.#stop, result);
    this.#stop = undefined;
    if (packet) this.#session.send(packet);
  }

  confirm() {
    this.#socket?.ping();
  }

  leave() {
    this.#disconnect(LEAVE);
  }

  end() {
    const mayReturn = this.#peer !== undefined;
    clearTimeout(this.#timer);
    this.#disconnect(LOST);
    return mayReturn;
  }

  /** @param {number} code */
  #disconnect(code) {
    this.#socket?.close(code);
    this.#socket = undefined;
    this.#peer = undefined;
  }

  /** Handles a CONNECT packet. @param {string} packet */
  #connect(packet) {
    const [, namespace = '/', payload] = /^0(?:(\/[^,]*),?)?(.*)$/s.exec(packet) ?? [];
    if (namespace !== '/') {
      const error = '{"message":"Invalid namespace"}';
      return this.#session.send(`${CONNECT_ERROR}${namespace},${error}`);
    }
    const peer = this.#socket ? undefined : readSeat(payload);
    if (peer) this.#join(peer, (frame, own) => this.#admit(frame, own));
    else this.#session.end();
  }

  /**
   * Joins the room.
   * @param {Peer} peer
   * @param {(frame: string, peer: Peer) => void} onFrame receives the frames of the room
   * @param {() => Promise<void>} [beforeFrames] runs before the first frame, if the client continues
   * without a gap, on another WebSocket
   */
  async #join(peer, onFrame, beforeFrames) {
    const socket = (this.#socket = new RoomSocket());
    const isCurrent = () => this.#socket === socket;
    try {
      const last = await this.#takeLast(peer.sid);
      if (!isCurrent()) return;
      const response = await this.#request(peer, beforeFrames !== undefined);
      const own = { ...peer, socket: response.headers.get('X-Socket') ?? undefined };
      if (this.#peer) this.#peer = own;
      await beforeFrames?.();
      if (last) await this.#sendRest(last);
      if (response.webSocket)
        return socket.attach(
          response.webSocket,
          (frame) => isCurrent() && onFrame(frame, own),
          (code) => isCurrent() && this.#onClose(code),
        );
      const { error } = await response.json();
      if (!isCurrent()) return;
      // A client that is already in the room expects no CONNECT_ERROR packet.
      if (this.#peer) this.#session.end();
      else this.#refuse(error);
    } catch (error) {
      console.error(JSON.stringify({ event: 'engine-join', message: String(error) }));
      if (isCurrent()) this.#session.end();
    }
  }

  /**
   * Takes over the last session of a polling client that has returned to its room. Resolves with the
   * object of that session.
   * @param {string | undefined} sid
   */
  async #takeLast(sid) {
    if (!sid || sid === this.#context.sid) return undefined;
    const engine = engineOf(this.#env, sid);
    try {
      const { room } = await takeLast(engine);
      return room === this.#context.room ? engine : undefined;
    } catch {
      return undefined; // the session ended too long ago, or was taken over
    }
  }

  /**
   * Sends the events that the client has not polled in its last session. socket.io-client keeps them
   * until it is connected.
   * @param {DurableObjectStub} engine
   */
  async #sendRest(engine) {
    const isEvent = (/** @type {unknown} */ packet) => String(packet).startsWith(MESSAGE + EVENT);
    for (const packet of await rest(engine).catch(() => []))
      if (isEvent(packet)) this.#session.send(String(packet).slice(1));
  }

  /** @param {{ code: string, message: string }} error */
  #refuse({ code, message }) {
    this.#socket = undefined;
    this.#expectConnect();
    this.#session.send(CONNECT_ERROR + JSON.stringify({ message, data: { code } }));
  }

  /**
   * @param {Peer} peer
   * @param {boolean} moves whether the client continues without a gap, on another WebSocket
   * @returns {Promise<any>} the response of the room
   */
  async #request({ id, key, token, socket }, moves) {
    const { room, url, headers } = this.#context;
    const join = new URL(`/parties/main/${encodeURIComponent(room)}?dialect=socketio`, url);
    if (id !== undefined) join.searchParams.set('_pk', id);
    if (moves && socket) join.searchParams.set('moves', socket);
    const protocols = ['partyline'];
    if (key !== undefined) protocols.push(`key.${toBase64Url(key)}`);
    // Escapes only what no valid token contains, and no header either.
    if (token !== undefined) protocols.push(`token.${encodeURIComponent(token)}`);
    const request = new Request(join, {
      headers: {
        ...headers,
        Upgrade: 'websocket',
        'Sec-WebSocket-Protocol': protocols.join(', '),
      },
    });
    return run(() => handleRequest(request, this.#env));
  }

  /**
   * Handles a frame of the room. The first frame is a CONNECT packet, to which the Worker adds the
   * `pid`, or a CONNECT_ERROR packet.
   * @param {string} frame
   * @param {Peer} peer
   */
  #admit(frame, peer) {
    if (frame[0] !== CONNECT) {
      this.#session.send(frame);
      // The client may try again in the same session.
      if (frame[0] === CONNECT_ERROR) {
        this.#socket = undefined;
        this.#expectConnect();
      }
      return;
    }
    const { sid } = JSON.parse(frame.slice(1));
    this.#peer = { ...peer, id: sid, sid: this.#context.sid };
    const pid = seatOf(this.#peer);
    this.#session.send(CONNECT + JSON.stringify({ sid, pid }));
  }

  /** Handles the end of the WebSocket to the room. @param {number} code */
  #onClose(code) {
    this.#socket = undefined;
    this.#peer = undefined;
    if (this.#isHandedOver) return;
    // The room closes the WebSocket before it answers the request.
    if (code === LIVE_OVER) this.#endStop({ ok: true });
    // After a DISCONNECT packet, socket.io-client does not reconnect.
    if (NEVER_RETRY.includes(code)) this.#session.send(DISCONNECT);
    this.#session.end(undefined, true);
  }

  async handOver() {
    this.#isHandedOver = true;
    await this.#socket?.flush();
    return this.#peer;
  }

  async release() {
    await this.#socket?.whenClosed();
  }

  /**
   * @param {Peer | undefined} peer
   * @param {() => Promise<void>} sendEarlier
   */
  async resume(peer, sendEarlier) {
    if (!peer) return sendEarlier();
    let skipped = 0;
    // The client has already received the welcome, which consists of two frames.
    const forward = (/** @type {string} */ frame) => {
      if (skipped < 2) skipped += 1;
      else this.#session.send(frame);
    };
    this.#peer = { ...peer, sid: undefined };
    await this.#join(this.#peer, forward, sendEarlier);
  }
}
