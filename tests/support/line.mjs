// @ts-check
/** A network that can go away: a TCP proxy to stand between a page and the server. */
import net from 'node:net';

export class Line {
  #server = net.createServer((near) => this.#handleConnection(near));
  /** Each with the one on the other side. @type {Map<net.Socket, net.Socket>} */
  #sockets = new Map();
  #dead = false;
  #end;

  /** @param {{ port: number }} end the server behind it, whose port may come later */
  constructor(end) {
    this.#end = end;
  }

  /** One that is there. @param {{ port: number }} end */
  static async to(end) {
    const line = new Line(end);
    await line.start();
    return line;
  }

  start() {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve(undefined)));
  }

  get origin() {
    const { port } = /** @type {net.AddressInfo} */ (this.#server.address());
    return `http://127.0.0.1:${port}`;
  }

  /**
   * Ends every connection without a word, as a network does that goes away. New ones come through.
   */
  cut() {
    for (const socket of this.#sockets.keys()) reset(socket);
  }

  /** Cuts, and lets no new connection through until `mend`. */
  down() {
    this.#dead = true;
    this.cut();
  }

  mend() {
    this.#dead = false;
  }

  tidy() {
    this.mend();
  }

  /** Nothing goes through any more, but the connections look open to both ends. */
  freeze() {
    for (const socket of this.#sockets.keys()) socket.unpipe().pause();
  }

  /** What has been stuck since `freeze` goes through. */
  thaw() {
    for (const [socket, other] of this.#sockets) socket.pipe(other);
  }

  stop() {
    this.cut();
    this.#server.close();
  }

  /** @param {net.Socket} near */
  #handleConnection(near) {
    if (this.#dead) return reset(near);
    const far = net.connect(this.#end.port, '127.0.0.1');
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
 * Ends a connection without a word. One that is already ending cannot be reset: Node believes that
 * it was, and then waits for it for ever when the process exits.
 *
 * @param {net.Socket} socket
 */
export function reset(socket) {
  if (socket.writableEnded || socket.connecting || socket.destroyed) socket.destroy();
  else socket.resetAndDestroy();
}
