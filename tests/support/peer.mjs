// @ts-check
/** A peer with a WebSocket. Received frames are queued, and the test reads them one by one. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';

/** @typedef {import('./workerd.mjs').Server} Server */
/**
 * @typedef {object} Join
 * @property {string} [id]
 * @property {string} [key]
 * @property {string | string[]} [token]
 * @property {string} [dialect]
 * @property {string} [next] the size of a group of matchbox
 * @property {string} [meta] the parameter `meta`, encoded
 * @property {boolean} [inPath] whether the path names the dialect, and not the query
 * @property {string[]} [protocols]
 * @property {Record<string, string>} [headers]
 */
/** @typedef {{ code: number, reason: string }} Closed */

/**
 * The heartbeat of each dialect that has another one than `ping` and `pong`: the frame and its answer.
 * A dialect without a heartbeat has a frame that the server answers. `#` stands for a number that no
 * other peer has. The third frame is sent first.
 * @type {Record<string, [ping: string, pong: string, first?: string] | undefined>}
 */
const HEARTBEATS = {
  peerjs: ['{"type":"HEARTBEAT"}', 'ok'],
  'y-webrtc': ['{"type":"ping"}', '{"type":"pong"}'],
  nostr: [
    '["EVENT",{"id":"echo #"}]',
    '["OK","echo #",false,"blocked: only ephemeral events (20000 to 29999)"]',
  ],
  tracker: [
    '{"action":"scrape"}',
    '{"action":"scrape","files":{},"flags":{"min_request_interval":600}}',
  ],
  // The server sends each message to its sender, too.
  trystero: [
    '{"type":"publish","topic":"echo #","payload":0}',
    '{"topic":"echo #","payload":0}',
    '{"type":"subscribe","topic":"echo #"}',
  ],
  rxdb: ['{"type":"ping"}', '{"type":"pong"}'],
  // The server forwards a signal of a client to itself, with the id in the client's first frame.
  matchbox: ['', ''],
};
/** The number of the next peer. */
let nextPeer = 1;

/** The timeout for a frame in milliseconds. Only a failing test waits for the whole timeout. */
const TIMEOUT = 10_000;

/** Returns the path and query for a WebSocket join. @param {string} room @param {Join} [join] */
export function joinPath(room, { id, key, token, dialect, next, meta, inPath } = {}) {
  const query = new URLSearchParams();
  const isPeerJs = dialect === 'peerjs';
  const named = isPeerJs || inPath;
  const params = isPeerJs
    ? { id, token: key, key: token ?? 'peerjs' } // the words of PeerJS are not ours
    : { _pk: id, key, token, next, meta, ...(!named && { dialect }) };
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined) for (const one of [value].flat()) query.append(name, one);
  }
  const search = query.toString();
  const path = `/parties/main/${encodeURIComponent(room)}${named ? `/${dialect}` : ''}`;
  return `${path}${search && `?${search}`}`;
}

export class Peer {
  /** The `welcome` frame of the native dialect, which `join` reads. @type {any} */
  welcome;
  /** @type {string[]} */
  #unread = [];
  /** @type {(() => void)[]} */
  #wakers = [];
  /** @type {[string, string]} */
  /**
   * One entry for each expected pong: the callback of `settle`, or undefined for a ping of the
   * test.
   * @type {((() => void) | undefined)[]}
   */
  #pings = [];
  /** @type {Closed | undefined} */
  #ended;

  /** @param {Server} server @param {string} room @param {Join} join @param {WebSocket} socket */
  constructor(server, room, { id = 'nameless', dialect = '' }, socket) {
    this.server = server;
    this.room = room;
    this.name = id;
    /** The dialect, if it is of another family than the native dialect. */
    this.dialect = dialect in HEARTBEATS ? dialect : undefined;
    const number = String(nextPeer++);
    const heartbeat = HEARTBEATS[dialect] ?? ['ping', 'pong'];
    this.heartbeat = heartbeat.map((frame) => frame?.replace('#', number) ?? '');
    this.socket = socket;
    /** @type {Promise<Closed>} */
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.#ended = { code, reason: reason.toString() };
        resolve(this.#ended);
        this.#wake();
      });
    });
    socket.on('error', () => {}); // errors are ignored, because a `close` event always follows
    socket.on('message', (data, binary) => {
      const text = binary
        ? `(binary frame of ${/** @type {Buffer} */ (data).length} bytes)`
        : data.toString();
      const own = dialect === 'matchbox' && /^\{"IdAssigned":"(\w+)"\}$/.exec(text);
      if (own)
        this.heartbeat = /** @type {[string, string]} */ ([
          `{"Signal":{"receiver":"${own[1]}","data":"echo"}}`,
          `{"Signal":{"sender":"${own[1]}","data":"echo"}}`,
        ]);
      const settle = text === this.heartbeat[1] ? this.#pings.shift() : undefined;
      if (settle) return settle();
      this.#unread.push(text);
      this.#wake();
    });
  }

  /**
   * Opens a WebSocket to a room, without reading a frame.
   * @param {Server} server
   * @param {string} room
   * @param {Join} [join]
   */
  static async connect(server, room, join = {}) {
    // workerd does not end the TCP connection of a WebSocket that never sent a frame, even after
    // both Close frames. So the client ends the connection 2 s after its Close frame. The object
    // `close` is separate, because @types/ws 8.18 does not declare `closeTimeout`.
    const close = { closeTimeout: 2000 };
    const options = { headers: join.headers, perMessageDeflate: false, ...close };
    const socket = new WebSocket(
      `ws://${server.host}${joinPath(room, join)}`,
      join.protocols ?? [],
      options,
    );
    const peer = new Peer(server, room, join, socket);
    await once(socket, 'open', { signal: AbortSignal.timeout(TIMEOUT) });
    const [, , first] = peer.heartbeat;
    if (first) socket.send(first);
    return peer;
  }

  /**
   * Joins a room and reads the `welcome`.
   * @param {Server} server
   * @param {string} room
   * @param {string} id
   * @param {Join} [join]
   */
  static async join(server, room, id, join = {}) {
    const peer = await Peer.connect(server, room, { ...join, id });
    peer.welcome = JSON.parse(await peer.next());
    assert.equal(
      peer.welcome.type,
      'welcome',
      `${id} expected a welcome: ${JSON.stringify(peer.welcome)}`,
    );
    return peer;
  }

  get open() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** Frames that were received but not read yet. */
  get unread() {
    return this.#unread;
  }

  /**
   * Sends a frame.
   * @param {unknown} frame a string or buffer is sent unchanged, any other value as JSON
   */
  send(frame) {
    if (frame === this.heartbeat[0]) this.#pings.push(undefined);
    this.socket.send(
      typeof frame === 'string' || frame instanceof Buffer ? frame : JSON.stringify(frame),
    );
  }

  /** Reads the next frame as text. @param {number} [timeout] @returns {Promise<string>} */
  async next(timeout = TIMEOUT) {
    const late = Date.now() + timeout;
    for (;;) {
      const frame = this.#unread.shift();
      if (frame !== undefined) return frame;
      if (this.#ended)
        throw new Error(
          `${this.name} expected a frame, but its WebSocket closed: ${JSON.stringify(this.#ended)}`,
        );
      const left = late - Date.now();
      if (left <= 0) throw new Error(`${this.name} received no frame within ${timeout} ms`);
      await new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wakers.push(() => (clearTimeout(timer), resolve()));
      });
    }
  }

  /**
   * Asserts that the next frame is JSON and deeply equal to `expected`.
   * @param {any} expected
   * @param {number} [timeout]
   */
  async receives(expected, timeout) {
    assert.deepEqual(JSON.parse(await this.next(timeout)), expected);
  }

  /**
   * Asserts that the next frame is an error with this code. Returns the message of the error.
   * @param {string} code
   * @param {{ to?: string }} [about] the other keys of the error
   * @param {number} [timeout]
   */
  async receivesError(code, about = {}, timeout = TIMEOUT) {
    const { message, ...rest } = JSON.parse(await this.next(timeout));
    assert.deepEqual(rest, { type: 'error', code, ...about });
    assert.ok(typeof message === 'string' && message.length > 0, 'an error has a message');
    return /** @type {string} */ (message);
  }

  /**
   * Asserts that the server closes the WebSocket with this code.
   * @param {number} code
   * @param {string} [reason] if omitted, any reason is allowed
   */
  async isClosed(code, reason) {
    const closed = await within(this.closed, `the WebSocket of ${this.name} closes`);
    assert.deepEqual(closed, { code, reason: reason ?? closed.reason });
  }

  /**
   * Waits until the server has handled all frames of this peer. Sends a ping and waits for the
   * pong, because the server handles the frames of a WebSocket in order.
   */
  async settle() {
    const answered = new Promise((/** @type {(value?: unknown) => void} */ resolve) =>
      this.#pings.push(resolve),
    );
    this.socket.send(this.heartbeat[0]);
    await within(Promise.race([answered, this.closed]), `${this.name} receives a pong`);
  }

  /**
   * Sends a Close frame and waits for the server's Close frame.
   * @param {number} [code]
   * @param {string} [reason]
   */
  async close(code, reason) {
    this.socket.close(code, reason);
    return within(this.closed, `${this.name} receives the server's Close frame`);
  }

  /** Cuts the connection without a Close frame, and waits until the server has noticed the loss. */
  async cut() {
    this.socket.terminate();
    await this.closed;
    await waitUntilNoticed(this.server, this.room, this.dialect);
  }

  #wake() {
    this.#wakers.splice(0).forEach((wake) => wake());
  }
}

/**
 * Waits until the server has noticed that a connection of this room is closed or lost. The loss
 * reaches workerd before the two requests of this function, or at the same time as the first
 * request. In the latter case, workerd may handle the first request before the loss. The second
 * request is sent after the first response, so workerd handles the loss before the second request.
 * @param {Server} server
 * @param {string} room
 * @param {string} [dialect]
 */
export async function waitUntilNoticed(server, room, dialect) {
  await server.status(room, undefined, dialect);
  await server.status(room, undefined, dialect);
}

/**
 * Waits until the room has handled all frames of the peers and the peers have received all frames
 * of the room. Then asserts that no peer has an unread frame.
 * @param {Peer[]} peers peers of the same room
 */
export async function expectQuiet(...peers) {
  const settleAll = () =>
    Promise.all(peers.filter((peer) => peer.open).map((peer) => peer.settle()));
  await settleAll();
  // The platform delays frames until storage writes are durable, but does not delay pongs. The
  // platform also delays HTTP responses of the room, so a response follows all delayed frames.
  await peers[0].server.status(peers[0].room, undefined, peers[0].dialect);
  await settleAll();
  assert.deepEqual(
    peers.map((peer) => [peer.name, ...peer.unread]),
    peers.map((peer) => [peer.name]),
    'no frame is left unread',
  );
}

/**
 * Settles like `promise`, or rejects if the timeout expires first.
 * @template T
 * @param {Promise<T>} promise
 * @param {string} claim the expected event in words, for the error message
 * @returns {Promise<T>}
 */
export async function within(promise, claim, timeout = TIMEOUT) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${claim}: did not happen within ${timeout} ms`)),
      timeout,
    );
  });
  try {
    return await /** @type {Promise<T>} */ (Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}
