// @ts-check
/** A web server for tests. */
import { once } from 'node:events';
import http from 'node:http';

/** A web server on a free loopback port, whose pages may use the fake camera. */
export class Site {
  #server;

  /** @param {http.RequestListener} [answer] Default: an empty page */
  constructor(answer = (_, response) => response.end('<!doctype html><title>Test</title>')) {
    this.#server = http.createServer((request, response) => {
      response.setHeader('content-type', 'text/html');
      answer(request, response);
    });
  }

  get origin() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    return `http://127.0.0.1:${port}`;
  }

  async start() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
