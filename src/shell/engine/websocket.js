// @ts-check
/**
 * The WebSocket transport of Engine.IO. The stateless Worker holds the WebSocket: a WebSocket that
 * needs pings would prevent the hibernation of a room.
 */

import { ask, rest, take } from './handover.js';
import { PROBE, PROBED, UPGRADE, sizeOf } from './packet.js';
import { Session } from './session.js';

/** @typedef {import('./packet.js').Packet} Packet */
/** @typedef {import('./session.js').Limits} Limits */
/** @typedef {import('./session.js').App} App */
/** @typedef {(session: Session) => App} CreateApp */

/** The time that a client has to change from polling to its WebSocket, in milliseconds. */
const UPGRADE_TIMEOUT = 10_000;
/** The maximum size of the packets that arrive during a takeover, in bytes or UTF-16 units. */
const MAX_EARLY = 256 * 1024;

/** Returns both ends of a new WebSocket. The server's end is accepted. */
function acceptPair() {
  const { 0: client, 1: server } = new WebSocketPair();
  // Otherwise, binary frames would arrive as blobs.
  server.binaryType = 'arraybuffer';
  server.accept();
  return { server, response: new Response(null, { status: 101, webSocket: client }) };
}

/**
 * Returns the transport of a WebSocket.
 * @param {WebSocket} socket
 */
const transportOf = (socket) => ({
  send(/** @type {Packet} */ packet) {
    // Throws after the WebSocket is closed. Its `close` event then ends the session.
    try {
      socket.send(packet);
    } catch {}
  },
  close() {
    closeSocket(socket);
  },
});

/** @param {WebSocket} socket */
function closeSocket(socket) {
  try {
    socket.close(1000);
  } catch {
    // The WebSocket is already closed.
  }
}

/**
 * Passes the frames of a WebSocket to its session.
 * @param {WebSocket} socket
 * @param {(packet: Packet) => void} receive
 * @param {(code: number) => void} onEnd
 */
function listen(socket, receive, onEnd) {
  socket.addEventListener('message', ({ data }) => receive(data));
  socket.addEventListener('close', ({ code }) => onEnd(code));
  socket.addEventListener('error', () => onEnd(1006));
}

/** The close code of a browser that leaves the page (RFC 6455 §7.4.1). */
const GOING_AWAY = 1001;

/**
 * Opens a session over a WebSocket.
 * @param {string} open the packet that opens the session
 * @param {Limits} limits
 * @param {CreateApp} createApp
 */
export function openWebSocket(open, limits, createApp) {
  const { server, response } = acceptPair();
  const session = new Session(limits, transportOf(server), createApp);
  server.send(open);
  listen(
    server,
    (packet) => session.receive(packet),
    (code) => endAfter(session, code),
  );
  return response;
}

/** @param {Session} session @param {number} code */
function endAfter(session, code) {
  if (code === GOING_AWAY) session.app.leave();
  session.end();
}

/**
 * Moves a session from polling to a WebSocket: the client sends a probe, stops polling, and sends the
 * packet UPGRADE. The Worker then takes the session over from the object that held it.
 * @param {DurableObjectStub} engine the object
 * @param {(context: any) => CreateApp} createApp
 */
export function upgradeToWebSocket(engine, createApp) {
  const { server, response } = acceptPair();
  const upgrade = new Takeover(engine, server, createApp);
  listen(
    server,
    (packet) => upgrade.receive(packet),
    (code) => upgrade.end(code),
  );
  return response;
}

/** The change of one session to a WebSocket. */
class Takeover {
  #engine;
  #socket;
  #createApp;
  /** The session, after it was taken over. @type {Session | undefined} */
  #session;
  #isTaking = false;
  /** The packets that arrived before the session was taken over. @type {Packet[]} */
  #early = [];
  #earlySize = 0;
  /** The close code of the WebSocket, once it is closed. */
  #endCode = 0;
  /** The requests to the object, one after another. */
  #work = Promise.resolve();
  #timer;

  /**
   * @param {DurableObjectStub} engine
   * @param {WebSocket} socket
   * @param {(context: any) => CreateApp} createApp
   */
  constructor(engine, socket, createApp) {
    this.#engine = engine;
    this.#socket = socket;
    this.#createApp = createApp;
    this.#timer = setTimeout(() => this.#isTaking || closeSocket(socket), UPGRADE_TIMEOUT);
    // If the session does not exist, or continues elsewhere, the WebSocket is closed. A status 400
    // would be an uncaught error in some clients.
    this.#then(async () => void (await ask(engine, 'reserve')));
  }

  /** @param {Packet} packet */
  receive(packet) {
    if (this.#session) this.#session.receive(packet);
    else if (this.#isTaking) this.#keep(packet);
    else if (packet === PROBE) this.#then(() => this.#probe());
    else if (packet === UPGRADE) {
      this.#isTaking = true;
      this.#then(() => this.#take());
    } else closeSocket(this.#socket);
  }

  /** @param {number} code */
  end(code) {
    clearTimeout(this.#timer);
    this.#endCode = code;
    if (this.#session) endAfter(this.#session, code);
  }

  /** @param {Packet} packet */
  #keep(packet) {
    this.#early.push(packet);
    this.#earlySize += sizeOf(packet);
    if (this.#earlySize > MAX_EARLY) closeSocket(this.#socket);
  }

  /** @param {() => Promise<void>} step */
  #then(step) {
    this.#work = this.#work.then(step).catch(() => closeSocket(this.#socket));
  }

  async #probe() {
    await ask(this.#engine, 'probe');
    this.#socket.send(PROBED);
  }

  async #take() {
    const { context, limits, pingIn, state } = await take(this.#engine);
    // The client may be back already, in a new session that this one must not replace.
    if (this.#endCode) return;
    const transport = transportOf(this.#socket);
    const session = new Session(
      limits,
      transport,
      this.#createApp({ ...context, sid: undefined }),
      pingIn,
    );
    try {
      await session.app.resume(state, () => this.#sendRest());
    } catch {
      session.end();
    }
    this.#session = session;
    for (const packet of this.#early) session.receive(packet);
    this.#early = [];
    if (this.#endCode) endAfter(session, this.#endCode);
  }

  /** Sends the packets that the client has not polled. */
  async #sendRest() {
    for (const packet of await rest(this.#engine)) this.#socket.send(packet);
  }
}
