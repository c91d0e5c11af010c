// @ts-check
/** A peer of the tests: a WebSocket whose frames are read one by one, in order, and never lost. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';

/** @typedef {import('./workerd.mjs').Server} Server */
/**
 * @typedef {object} Join
 * @property {string} [id]
 * @property {string} [key]
 * @property {string} [token]
 * @property {string} [dialect]
 * @property {string[]} [protocols]
 * @property {Record<string, string>} [headers]
 */
/** @typedef {{ code: number, reason: string }} Closed */

/**
 * How long a frame is waited for: far more than any takes, since only a failing test ever waits so
 * long.
 */
const PATIENCE = 10_000;

/** The path of a WebSocket join. @param {string} room @param {Join} [join] */
export function joinPath(room, { id, key, token, dialect } = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ _pk: id, key, token, dialect })) {
    if (value !== undefined) query.set(name, value);
  }
  const search = query.toString();
  return `/parties/main/${encodeURIComponent(room)}${search && `?${search}`}`;
}

export class Peer {
  /** What the native dialect says first; there after `meet`. @type {any} */
  welcome;
  /** @type {string[]} */
  #unread = [];
  /** @type {(() => void)[]} */
  #wakers = [];
  /**
   * Who asked for the pongs still under way: a `settle`, or the test itself.
   * @type {((() => void) | undefined)[]}
   */
  #pings = [];
  /** @type {Closed | undefined} */
  #ended;

  /** @param {Server} server @param {string} room @param {string} name @param {WebSocket} socket */
  constructor(server, room, name, socket) {
    this.server = server;
    this.room = room;
    this.name = name;
    this.socket = socket;
    /** @type {Promise<Closed>} */
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.#ended = { code, reason: reason.toString() };
        resolve(this.#ended);
        this.#wake();
      });
    });
    socket.on('error', () => {}); // a close always follows and says more
    socket.on('message', (data, binary) => {
      const text = binary
        ? `(binary frame of ${/** @type {Buffer} */ (data).length} bytes)`
        : data.toString();
      const settle = text === 'pong' ? this.#pings.shift() : undefined;
      if (settle) return settle();
      this.#unread.push(text);
      this.#wake();
    });
  }

  /**
   * Opens a socket into a room; any frame is still to be read.
   * @param {Server} server
   * @param {string} room
   * @param {Join} [join]
   */
  static async join(server, room, join = {}) {
    // Both Close frames have passed by then: workerd keeps the connection of a socket that it has
    // closed, and that never said anything. The types do not know the option yet.
    const patience = { closeTimeout: 2000 };
    const options = { headers: join.headers, perMessageDeflate: false, ...patience };
    const socket = new WebSocket(
      `ws://${server.host}${joinPath(room, join)}`,
      join.protocols ?? [],
      options,
    );
    const peer = new Peer(server, room, join.id ?? 'nameless', socket);
    await once(socket, 'open', { signal: AbortSignal.timeout(PATIENCE) });
    return peer;
  }

  /**
   * Joins and reads the welcome.
   * @param {Server} server
   * @param {string} room
   * @param {string} id
   * @param {Join} [join]
   */
  static async meet(server, room, id, join = {}) {
    const peer = await Peer.join(server, room, { ...join, id });
    peer.welcome = JSON.parse(await peer.next());
    assert.equal(peer.welcome.type, 'welcome', `${id} is let in: ${JSON.stringify(peer.welcome)}`);
    return peer;
  }

  get open() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** Frames that have come and were not read. */
  get unread() {
    return this.#unread;
  }

  /** Sends a frame: text as it is, anything else as JSON. @param {unknown} frame */
  say(frame) {
    if (frame === 'ping') this.#pings.push(undefined);
    this.socket.send(
      typeof frame === 'string' || frame instanceof Buffer ? frame : JSON.stringify(frame),
    );
  }

  /** The next frame, as text. @param {number} [patience] @returns {Promise<string>} */
  async next(patience = PATIENCE) {
    const late = Date.now() + patience;
    for (;;) {
      const frame = this.#unread.shift();
      if (frame !== undefined) return frame;
      if (this.#ended)
        throw new Error(
          `${this.name} waits for a frame, but was closed: ${JSON.stringify(this.#ended)}`,
        );
      const left = late - Date.now();
      if (left <= 0) throw new Error(`${this.name} got no frame in ${patience} ms`);
      await new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wakers.push(() => (clearTimeout(timer), resolve()));
      });
    }
  }

  /**
   * The next frame is this object, key for key.
   * @param {any} expected
   * @param {number} [patience]
   */
  async hears(expected, patience) {
    assert.deepEqual(JSON.parse(await this.next(patience)), expected);
  }

  /**
   * The next frame is an error notice with this code; returns its message.
   * @param {string} code
   * @param {{ to?: string }} [about]
   * @param {number} [patience]
   */
  async refused(code, about = {}, patience = PATIENCE) {
    const { message, ...rest } = JSON.parse(await this.next(patience));
    assert.deepEqual(rest, { type: 'error', code, ...about });
    assert.ok(typeof message === 'string' && message.length > 0, 'an error says what was wrong');
    return /** @type {string} */ (message);
  }

  /** The server ends the socket with this code. @param {number} code @param {string} [reason] */
  async ends(code, reason) {
    const closed = await within(this.closed, `${this.name} is closed`);
    assert.deepEqual(closed, { code, reason: reason ?? closed.reason });
  }

  /**
   * Resolves when the server has handled all that this peer has sent: a socket's frames are handled
   * one by one.
   */
  async settle() {
    const answered = new Promise((/** @type {(value?: unknown) => void} */ resolve) =>
      this.#pings.push(resolve),
    );
    this.socket.send('ping');
    await within(Promise.race([answered, this.closed]), `${this.name} gets its pong`);
  }

  /**
   * Sends a Close frame and waits for the server's.
   * @param {number} [code]
   * @param {string} [reason]
   */
  async close(code, reason) {
    this.socket.close(code, reason);
    return within(this.closed, `${this.name} gets the server's Close frame`);
  }

  /** Ends the connection without a Close frame, and gives the server the time to notice. */
  async cut() {
    this.socket.terminate();
    await this.closed;
    await noticed(this.server, this.room);
  }

  #wake() {
    this.#wakers.splice(0).forEach((wake) => wake());
  }
}

/**
 * By now the server has noticed that a connection of this room has ended: the operating system told
 * it of that before it told it of these requests.
 * @param {Server} server
 * @param {string} room
 */
export async function noticed(server, room) {
  await server.status(room);
  await server.status(room);
}

/**
 * Nobody in the room has a frame unread, nor is one under way: all that these peers have sent has
 * been handled, and all that the room has sent has come.
 * @param {Peer[]} peers all of one room
 */
export async function quiet(...peers) {
  const settleAll = () =>
    Promise.all(peers.filter((peer) => peer.open).map((peer) => peer.settle()));
  await settleAll();
  // A room's frames wait until what it has stored is safe, and pongs do not wait: the room's own
  // answer does.
  await peers[0].server.status(peers[0].room);
  await settleAll();
  assert.deepEqual(
    peers.map((peer) => [peer.name, ...peer.unread]),
    peers.map((peer) => [peer.name]),
    'no frame is left unread',
  );
}

/** @template T @param {Promise<T>} promise @param {string} claim @returns {Promise<T>} */
export async function within(promise, claim, patience = PATIENCE) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${claim}: not in ${patience} ms`)), patience);
  });
  try {
    return await /** @type {Promise<T>} */ (Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}
