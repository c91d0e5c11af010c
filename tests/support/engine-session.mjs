// @ts-check
/** A raw Engine.IO session, for tests that send packets which no client sends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { within } from './peer.mjs';

/** @typedef {import('./workerd.mjs').Server} Server */

/** Separates the packets in a body. */
export const SEPARATOR = '\x1e';

/** A session over HTTP requests. */
export class PollingSession {
  /** The data of the packet that opened the session. @type {any} */
  handshake;

  /** @param {Server} server @param {string} path the path with a query that ends the handshake */
  constructor(server, path) {
    this.server = server;
    this.path = path;
    this.sid = '';
  }

  /** Opens a session. @param {Server} server @param {string} path the path and the query */
  static async open(server, path) {
    const session = new PollingSession(server, path);
    const { status, text } = await server.request(`${path}EIO=4&transport=polling`);
    assert.equal(status, 200, text);
    assert.equal(text[0], '0');
    session.handshake = JSON.parse(text.slice(1));
    session.sid = session.handshake.sid;
    return session;
  }

  get url() {
    return `${this.path}EIO=4&transport=polling&sid=${this.sid}`;
  }

  /** Sends a `GET`. */
  poll() {
    return this.server.request(this.url);
  }

  /** Sends packets in a `POST`. @param {...string} packets */
  post(...packets) {
    return this.server.request(this.url, { method: 'POST', body: packets.join(SEPARATOR) });
  }

  /** Asserts that the next poll returns these packets. @param {...string} packets */
  async receives(...packets) {
    const { status, text } = await this.poll();
    assert.deepEqual([status, ...text.split(SEPARATOR)], [200, ...packets]);
  }

  /** Asserts that the server accepts packets. @param {...string} packets */
  async sends(...packets) {
    const { status, text } = await this.post(...packets);
    assert.deepEqual([status, text], [200, 'ok']);
  }

  /** Asserts that the session does not exist any more. */
  async hasEnded() {
    const { status, text } = await this.poll();
    assert.deepEqual([status, JSON.parse(text)], [400, { code: 1, message: 'Session ID unknown' }]);
  }
}

/** A session, or the upgrade of a session, over a WebSocket. */
export class EngineSocket {
  /** The data of the packet that opened the session. @type {any} */
  handshake;
  /** @type {(string | Buffer)[]} */
  #unread = [];

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.on('close', (code) => resolve(code)));
    socket.on('error', () => {}); // a `close` event follows
    socket.on('message', (data, isBinary) => {
      this.#unread.push(isBinary ? /** @type {Buffer} */ (data) : data.toString());
      socket.emit('arrived');
    });
  }

  /**
   * Opens a WebSocket.
   * @param {Server} server
   * @param {string} path
   * @param {string} [sid] the session that the WebSocket is to continue
   */
  static async connect(server, path, sid) {
    const query = `EIO=4&transport=websocket${sid ? `&sid=${sid}` : ''}`;
    // workerd keeps the TCP connection open after both Close frames, so the client ends it.
    const options = { perMessageDeflate: false, ...{ closeTimeout: 500 } };
    const socket = new WebSocket(`ws://${server.host}${path}${query}`, options);
    const session = new EngineSocket(socket);
    await within(once(socket, 'open'), 'the WebSocket opens');
    return session;
  }

  /** Opens a session, and reads the handshake. @param {Server} server @param {string} path */
  static async open(server, path) {
    const session = await EngineSocket.connect(server, path);
    session.handshake = JSON.parse(String(await session.next()).slice(1));
    return session;
  }

  /** @param {...(string | Buffer)} packets */
  send(...packets) {
    for (const packet of packets) this.socket.send(packet);
  }

  async next() {
    while (!this.#unread.length) await within(once(this.socket, 'arrived'), 'a packet arrives');
    return this.#unread.shift();
  }

  /** Asserts that these packets arrive next. @param {...(string | Buffer)} packets */
  async receives(...packets) {
    for (const packet of packets) assert.deepEqual(await this.next(), packet);
  }

  /** Reads packets except pings, and asserts that they are equal. @param {...(string | Buffer)} packets */
  async receivesBetweenPings(...packets) {
    for (const packet of packets) {
      let next = await this.next();
      while (next === '2') {
        this.send('3');
        next = await this.next();
      }
      assert.deepEqual(next, packet);
    }
  }

  /** Asserts that the server closes the WebSocket without another packet, such as a ping. */
  async hasEnded() {
    await within(this.closed, 'the server closes the WebSocket');
    assert.deepEqual(this.#unread, []);
  }

  close() {
    this.socket.close();
    return this.closed;
  }
}
