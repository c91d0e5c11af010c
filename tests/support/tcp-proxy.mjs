// @ts-check
/** A TCP proxy between a client and the server, which can interrupt the network. */
import net from 'node:net';

export class TcpProxy {
  #server = net.createServer((near) => this.#handleConnection(near));
  /** Each socket and its counterpart on the other side. @type {Map<net.Socket, net.Socket>} */
  #sockets = new Map();
  #down = false;
  #target;

  /** @param {{ port: number }} target the server, whose port may be set later */
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

  /** Resets every connection. New connections are still accepted. */
  cut() {
    for (const socket of this.#sockets.keys()) reset(socket);
  }

  /** Resets every connection, and refuses new ones until `restore`. */
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

  /** Forwards no bytes until `thaw`, while the connections stay open. */
  freeze() {
    for (const socket of this.#sockets.keys()) socket.unpipe().pause();
  }

  /** Forwards all bytes that arrived since `freeze`. */
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
      socket.on('error', () => {}); // its `close` follows
      socket.on('close', () => {
        this.#sockets.delete(socket);
        if (!other.destroyed) reset(other);
      });
      socket.pipe(other);
    }
  }
}

/**
 * Resets a connection. A connection that is already ending is destroyed instead: after a reset of such
 * a connection, Node waits for it forever when the process exits.
 *
 * @param {net.Socket} socket
 */
export function reset(socket) {
  if (socket.writableEnded || socket.connecting || socket.destroyed) socket.destroy();
  else socket.resetAndDestroy();
}
