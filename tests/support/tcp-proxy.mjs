// @ts-check
/** A TCP proxy between a client and the server. It can simulate interruptions of the network. */
import net from 'node:net';

export class TcpProxy {
  #server = net.createServer((near) => this.#handleConnection(near));
  /**
   * Each socket, and the socket to which the proxy forwards.
   * @type {Map<net.Socket, net.Socket>}
   */
  #sockets = new Map();
  #down = false;
  /** Called with the next connection, which is not forwarded. @type {(() => void) | null} */
  #swallowed = null;
  /** Connections that are not forwarded. @type {Set<net.Socket>} */
  #mute = new Set();
  #blocksWebSockets = false;
  #target;

  /** @param {{ port: number }} target the server. Its port is read at each connection */
  constructor(target) {
    this.#target = target;
  }

  /** Creates and starts a proxy. @param {{ port: number }} target */
  static async to(target) {
    const proxy = new TcpProxy(target);
    await proxy.start();
    return proxy;
  }

  start() {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve(undefined)));
  }

  get origin() {
    const { port } = /** @type {net.AddressInfo} */ (this.#server.address());
    return `http://127.0.0.1:${port}`;
  }

  /** Resets every connection, and continues to accept new connections. */
  cut() {
    for (const socket of [...this.#sockets.keys(), ...this.#mute]) reset(socket);
  }

  /** Resets every connection, and resets every new connection until `restore` is called. */
  down() {
    this.#down = true;
    this.cut();
  }

  restore() {
    this.#down = false;
  }

  /**
   * Accepts the next connection, but forwards and answers nothing. Later connections are forwarded.
   * The promise resolves when the connection has come.
   * @returns {Promise<void>}
   */
  swallow() {
    return new Promise((resolve) => (this.#swallowed = resolve));
  }

  /** Answers each request for a WebSocket with 403, and lets all other requests through. */
  blockWebSockets() {
    this.#blocksWebSockets = true;
  }

  tidy() {
    this.restore();
    this.#blocksWebSockets = false;
    this.#swallowed = null;
  }

  /** Stops forwarding bytes until `thaw` is called. The connections stay open. */
  freeze() {
    for (const socket of this.#sockets.keys()) socket.unpipe().pause();
  }

  /** Forwards all bytes that arrived after `freeze`, and continues forwarding. */
  thaw() {
    for (const [socket, other] of this.#sockets) socket.pipe(other);
  }

  stop() {
    this.cut();
    this.#server.close();
  }

  /** @param {net.Socket} near */
  #keepMute(near) {
    this.#swallowed?.();
    this.#swallowed = null;
    this.#mute.add(near);
    near.on('error', () => {}).on('close', () => this.#mute.delete(near));
    near.resume(); // otherwise, Node does not notice that the client has closed the connection
  }

  /** @param {net.Socket} near */
  #handleConnection(near) {
    if (this.#down) return reset(near);
    if (this.#swallowed) return this.#keepMute(near);
    if (!this.#blocksWebSockets) return this.#forward(near);
    near.on('error', () => {});
    near.once('data', (request) => {
      if (/^upgrade: *websocket/im.test(String(request))) {
        near.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      } else {
        near.unshift(request);
        this.#forward(near);
      }
    });
  }

  /** @param {net.Socket} near */
  #forward(near) {
    const far = net.connect(this.#target.port, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      this.#sockets.set(socket, other);
      socket.on('error', () => {}); // errors are ignored, because a `close` event always follows
      socket.on('close', () => {
        this.#sockets.delete(socket);
        if (!other.destroyed) reset(other);
      });
      socket.pipe(other);
    }
  }
}

/**
 * Resets a connection. If the connection is still connecting or already ending, destroys it without
 * a reset: after a reset of an ending connection, the Node process never exits.
 *
 * @param {net.Socket} socket
 */
export function reset(socket) {
  if (socket.writableEnded || socket.connecting || socket.destroyed) socket.destroy();
  else socket.resetAndDestroy();
}
