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
    for (const socket of this.#sockets.keys()) reset(socket);
  }

  /** Resets every connection, and resets every new connection until `restore` is called. */
  down() {
    this.#down = true;
    this.cut();
  }

  restore() {
    this.#down = false;
  }

  tidy() {
    this.restore();
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
  #handleConnection(near) {
    if (this.#down) return reset(near);
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
