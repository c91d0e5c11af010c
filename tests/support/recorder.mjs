// @ts-check
/** A local HTTP server that records its requests and answers them as the test says. */
import { once } from 'node:events';
import http from 'node:http';
import { within } from './peer.mjs';

/**
 * @typedef {object} Recorded
 * @property {string} line the method and the path
 * @property {http.IncomingHttpHeaders} headers
 * @property {string} body
 */
/** @typedef {(response: http.ServerResponse, request: Recorded) => void} Handler */

export class Recorder {
  /** All requests, in the order of arrival. @type {Recorded[]} */
  requests = [];
  #read = 0;
  #changed = () => {};

  /** @param {Handler} answer */
  constructor(answer) {
    this.answer = answer;
    this.server = http.createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) body += chunk;
      const { method, url, headers } = request;
      const recorded = { line: `${method} ${url}`, headers, body };
      this.requests.push(recorded);
      this.#changed();
      this.answer(response, recorded);
    });
  }

  async start() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.server.address());
    this.origin = `http://127.0.0.1:${port}`;
    return this.origin;
  }

  /** Waits for the next request that the test has not read. */
  async next() {
    while (this.requests.length <= this.#read) {
      const changed = new Promise((resolve) => (this.#changed = () => resolve(undefined)));
      await within(changed, 'the server receives a request');
    }
    return this.requests[(this.#read += 1) - 1];
  }

  /** The requests that the test has not read. */
  get unread() {
    return this.requests.slice(this.#read);
  }

  /** Marks all requests as read. */
  skip() {
    this.#read = this.requests.length;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
