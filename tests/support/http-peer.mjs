// @ts-check
/**
 * A peer of the HTTP dialect. A test calls its methods to send requests and to read the events of its
 * stream one by one.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { within } from './peer.mjs';

/** @typedef {import('./workerd.mjs').Server} Server */
/** @typedef {{ id?: string, data: string }} Event */
/** @typedef {{ key?: string, token?: string, headers?: Record<string, string> }} Credentials */

/** One response of `/events`, with a queue of the events that the test has not read. */
export class EventStream {
  /** The last event id received, including ids of events without data. */
  lastId = '';
  /** All data received so far. */
  raw = '';
  #rest = '';
  /** @type {Event[]} */
  #unread = [];
  #changed = () => {};

  /** @param {http.IncomingMessage} response */
  constructor(response) {
    this.response = response;
    this.ended = false;
    /** Resolves when the stream is closed or lost. @type {Promise<void>} */
    this.gone = new Promise((resolve) => {
      response.on('close', () => {
        this.ended = true;
        resolve();
        this.#changed();
      });
    });
    response.on('error', () => {}); // errors are ignored, because a `close` event always follows
    response.setEncoding('utf8').on('data', (text) => this.#read(text));
  }

  /** @param {string} text */
  #read(text) {
    this.raw += text;
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const lines = block.split('\n');
      const field = (/** @type {string} */ name) =>
        lines
          .filter((line) => line.startsWith(`${name}: `))
          .map((line) => line.slice(name.length + 2));
      const [id] = field('id');
      const data = field('data').join('\n');
      if (id) this.lastId = id;
      if (data) this.#unread.push({ id, data });
    }
    this.#changed();
  }

  /** Reads the next event, skipping pings. @param {number} [timeout] @returns {Promise<Event>} */
  async next(timeout) {
    for (;;) {
      const event = this.#unread.shift();
      if (event && !isPing(event)) return event;
      if (event) continue;
      assert.ok(!this.ended, 'expected an event, but the stream has ended');
      await this.#change('an event arrives', timeout);
    }
  }

  /** Waits for the next ping, which is an event without an id. Returns its data. */
  async pinged() {
    for (;;) {
      const at = this.#unread.findIndex(isPing);
      if (at >= 0) return JSON.parse(this.#unread.splice(at, 1)[0].data);
      await this.#change('a ping arrives');
    }
  }

  /** @param {string} claim @param {number} [timeout] */
  #change(claim, timeout) {
    return within(
      new Promise((resolve) => (this.#changed = () => resolve(undefined))),
      claim,
      timeout,
    );
  }

  /** Events that were received but not read yet, except pings. */
  get unread() {
    return this.#unread.filter((event) => !isPing(event));
  }

  /** Destroys the client's end of the connection. */
  cut() {
    this.response.socket.destroy();
  }
}

/** @param {Event} event */
const isPing = ({ data }) => data.startsWith('{"type":"ping"');

export class HttpPeer {
  /** @type {EventStream | undefined} */
  stream;
  /**
   * The id of the last event that the test has read, for tests that record it.
   * @type {string | undefined}
   */
  lastId;

  /**
   * @param {Server} server
   * @param {string} room
   * @param {string} id
   * @param {Credentials} [credentials]
   */
  constructor(server, room, id, credentials = {}) {
    this.server = server;
    this.room = room;
    this.id = id;
    this.credentials = credentials;
  }

  /** @param {string} call `register`, `message` or `events` */
  path(call) {
    const query = new URLSearchParams();
    for (const name of /** @type {const} */ (['key', 'token'])) {
      const value = this.credentials[name];
      if (value !== undefined) query.set(name, value);
    }
    const search = query.toString();
    const [room, id] = [this.room, this.id].map(encodeURIComponent);
    return `/${call}/${room}/${id}${search && `?${search}`}`;
  }

  register() {
    return this.server.request(this.path('register'), {
      method: 'POST',
      headers: this.credentials.headers,
    });
  }

  /**
   * Registers and opens the event stream.
   * @param {Server} server
   * @param {string} room
   * @param {string} id
   * @param {Credentials} [credentials]
   */
  static async join(server, room, id, credentials) {
    const peer = new HttpPeer(server, room, id, credentials);
    const { status, text } = await peer.register();
    assert.equal(status, 200, text);
    await peer.open();
    return peer;
  }

  /** Posts a message. @param {unknown} body a string is sent unchanged, any other value as JSON */
  post(body) {
    const headers = { 'Content-Type': 'application/json', ...this.credentials.headers };
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.server.request(this.path('message'), { method: 'POST', headers, body: text });
  }

  /** Posts a message and asserts that it was accepted. @param {unknown} body */
  async sends(body) {
    const { status, text } = await this.post(body);
    assert.deepEqual([status, text], [200, '{"message":"Message sent"}']);
  }

  /**
   * Requests the event stream.
   * @param {string} [last] the id of the last event received
   * @param {string} [method]
   * @returns {Promise<http.IncomingMessage>}
   */
  async request(last, method = 'GET') {
    const headers = {
      ...this.credentials.headers,
      ...(last === undefined ? {} : { 'Last-Event-ID': last }),
    };
    const { port } = this.server;
    const options = {
      host: '127.0.0.1',
      port,
      path: this.path('events'),
      method,
      headers,
      agent: false,
    };
    const request = http.request(options);
    const answered = once(request, 'response');
    request.end();
    const [response] = await within(answered, 'the server answers the request for a stream');
    return response;
  }

  /** Opens the event stream, and asserts that the request succeeds. @param {string} [last] */
  async open(last) {
    const response = await this.request(last);
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers['content-type'], 'text/event-stream');
    return this.listen(response);
  }

  /** @param {http.IncomingMessage} response */
  listen(response) {
    this.stream = new EventStream(response);
    return this.stream;
  }

  /**
   * Reopens the stream with the last received event id, so that the server sends all later events.
   */
  resume() {
    return this.open(this.stream?.lastId);
  }

  /** @param {number} [timeout] */
  next(timeout) {
    assert.ok(this.stream, `${this.id} has no stream; call open() first`);
    return this.stream.next(timeout);
  }

  /** Asserts that the next event has this data, byte for byte. @param {string} data */
  async receives(data) {
    assert.equal((await this.next()).data, data);
  }
}
