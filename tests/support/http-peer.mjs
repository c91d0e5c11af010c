// @ts-check
/**
 * A peer that speaks the HTTP dialect: requests, and an event stream that is read event by event.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { within } from './peer.mjs';

/** @typedef {import('./workerd.mjs').Server} Server */
/** @typedef {{ id?: string, data: string }} Event */
/** @typedef {{ key?: string, token?: string, headers?: Record<string, string> }} Who */

/** Its own event stream, from the opening to the end. */
export class EventStream {
  /** The last id that was given, with or without data, and so even with a ping. */
  lastId = '';
  /** All that has come, as it came. */
  raw = '';
  #rest = '';
  /** @type {Event[]} */
  #unread = [];
  #changed = () => {};

  /** @param {http.IncomingMessage} response */
  constructor(response) {
    this.response = response;
    this.ended = false;
    /** The server has ended it, or it was cut. @type {Promise<void>} */
    this.gone = new Promise((resolve) => {
      response.on('close', () => {
        this.ended = true;
        resolve();
        this.#changed();
      });
    });
    response.on('error', () => {}); // a close always follows
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

  /** The next event that is no ping. @param {number} [patience] @returns {Promise<Event>} */
  async next(patience) {
    for (;;) {
      const event = this.#unread.shift();
      if (event && !isPing(event)) return event;
      if (event) continue;
      assert.ok(!this.ended, 'the stream has ended, though an event was waited for');
      await this.#change('an event comes', patience);
    }
  }

  /** Waits for a ping: an event without an id. */
  async pinged() {
    for (;;) {
      const at = this.#unread.findIndex(isPing);
      if (at >= 0) return JSON.parse(this.#unread.splice(at, 1)[0].data);
      await this.#change('a ping comes');
    }
  }

  /** @param {string} claim @param {number} [patience] */
  #change(claim, patience) {
    return within(
      new Promise((resolve) => (this.#changed = () => resolve(undefined))),
      claim,
      patience,
    );
  }

  /** What has come and was not read, pings left out. */
  get unread() {
    return this.#unread.filter((event) => !isPing(event));
  }

  /** The client goes away without a word. */
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
   * The id of the last event that was read, not only received, if somebody keeps it.
   * @type {string | undefined}
   */
  lastId;

  /** @param {Server} server @param {string} room @param {string} id @param {Who} [who] */
  constructor(server, room, id, who = {}) {
    this.server = server;
    this.room = room;
    this.id = id;
    this.who = who;
  }

  /** @param {string} call */
  path(call) {
    const query = new URLSearchParams();
    for (const name of /** @type {const} */ (['key', 'token'])) {
      const value = this.who[name];
      if (value !== undefined) query.set(name, value);
    }
    const search = query.toString();
    const [room, id] = [this.room, this.id].map(encodeURIComponent);
    return `/${call}/${room}/${id}${search && `?${search}`}`;
  }

  register() {
    return this.server.request(this.path('register'), {
      method: 'POST',
      headers: this.who.headers,
    });
  }

  /**
   * Registers, is let in, and opens its stream.
   * @param {Server} server
   * @param {string} room
   * @param {string} id
   * @param {Who} [who]
   */
  static async meet(server, room, id, who) {
    const peer = new HttpPeer(server, room, id, who);
    const { status, text } = await peer.register();
    assert.equal(status, 200, text);
    await peer.open();
    return peer;
  }

  /** @param {unknown} body text as it is, anything else as JSON */
  post(body) {
    const headers = { 'Content-Type': 'application/json', ...this.who.headers };
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.server.request(this.path('message'), { method: 'POST', headers, body: text });
  }

  /** Posts what is sent. @param {unknown} body */
  async says(body) {
    const { status, text } = await this.post(body);
    assert.deepEqual([status, text], [200, '{"message":"Message sent"}']);
  }

  /**
   * Asks for its stream.
   * @param {string} [last] the id of the last event that it got
   * @param {string} [method]
   * @returns {Promise<http.IncomingMessage>}
   */
  async request(last, method = 'GET') {
    const headers = {
      ...this.who.headers,
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
    const [response] = await within(answered, 'the stream is answered');
    return response;
  }

  /** Opens its stream. @param {string} [last] */
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

  /** Opens it again, to go on after what it got last. */
  resume() {
    return this.open(this.stream?.lastId);
  }

  /** The next event. @param {number} [patience] */
  next(patience) {
    assert.ok(this.stream, `${this.id} has no stream`);
    return this.stream.next(patience);
  }

  /** The next event has these data, byte for byte. @param {string} data */
  async hears(data) {
    assert.equal((await this.next()).data, data);
  }
}
