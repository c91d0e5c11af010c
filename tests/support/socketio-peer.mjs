// @ts-check
/** A peer with an unmodified socket.io-client. Received events are queued, and the test reads them. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { io } from 'socket.io-client';
import { within } from './peer.mjs';

/** @typedef {'polling' | 'websocket'} Transport */
/** @typedef {keyof typeof MODES} Mode */
/**
 * @typedef {object} Options
 * @property {Mode} [mode] Default: the default settings of socket.io-client
 * @property {Record<string, unknown>} [auth]
 * @property {string} [namespace] Default: `/`
 * @property {number} [retryDelay] the delay before a reconnect in milliseconds. Default: 300
 */

/** The transports of each mode. By default, socket.io-client polls and then opens a WebSocket. */
export const MODES = {
  'default settings': undefined,
  'WebSocket only': /** @type {Transport[]} */ (['websocket']),
  'polling only': /** @type {Transport[]} */ (['polling']),
};

export class SocketIoPeer {
  /** Events that were received but not read yet. @type {any[][]} */
  unread = [];
  #changes = new EventEmitter();

  /**
   * @param {string} origin the origin of the server
   * @param {string | undefined} room
   * @param {Options} [options]
   */
  constructor(origin, room, { mode, auth, namespace = '/', retryDelay = 300 } = {}) {
    this.socket = io(origin + namespace, {
      query: room === undefined ? {} : { room },
      auth,
      forceNew: true,
      reconnectionDelay: retryDelay,
      reconnectionDelayMax: retryDelay,
      randomizationFactor: 0,
      ...(mode && MODES[mode] ? { transports: MODES[mode] } : {}),
    });
    this.mode = mode;
    this.socket.onAny((...event) => {
      this.unread.push(event);
      this.#changes.emit('event');
    });
  }

  /**
   * Joins a room, and reads the list of the other peers.
   * @param {string} origin
   * @param {string} room
   * @param {Options} [options]
   * @param {unknown[]} [peers] the expected list
   */
  static async join(origin, room, options, peers = []) {
    const peer = new SocketIoPeer(origin, room, options);
    await peer.fires('connect');
    await peer.receives('peers', peers);
    return peer;
  }

  /** The low-level client of Engine.IO. */
  get engine() {
    return this.socket.io.engine;
  }

  /**
   * Waits for an event of the client itself, and returns its arguments.
   * @param {'connect' | 'connect_error' | 'disconnect'} type
   * @returns {Promise<any[]>}
   */
  fires(type) {
    // `events.once` would reject at an `error` event, which is an event of the server here.
    const fired = new Promise((/** @type {(args: any[]) => void} */ resolve) =>
      /** @type {any} */ (this.socket).once(type, (/** @type {any[]} */ ...args) => resolve(args)),
    );
    return within(fired, `socket.io-client fires ${type}`);
  }

  /** Reads the next event: its name and its arguments. @returns {Promise<any[]>} */
  async next() {
    while (!this.unread.length) await within(once(this.#changes, 'event'), 'an event arrives');
    return /** @type {any[]} */ (this.unread.shift());
  }

  /** Reads events until one equals the given event. @param {...unknown} event */
  async until(...event) {
    while (!isDeepStrictEqual(await this.next(), event));
    return true;
  }

  /** Asserts that this is the next event. @param {...unknown} event */
  async receives(...event) {
    assert.deepEqual(await this.next(), event);
  }

  /** Asserts that the next event is an error with this code. @param {string} code @param {object} [rest] */
  async receivesError(code, rest = {}) {
    const [name, { message, ...error }] = await this.next();
    assert.deepEqual([name, error], ['error', { code, ...rest }]);
    assert.ok(message.length > 0, 'an error has a message');
  }

  /**
   * Waits until the client and the server have changed to a WebSocket, unless the client only polls.
   * The acknowledgement arrives after the change.
   */
  async upgraded() {
    const { engine, mode } = this;
    if (mode === 'polling only') return;
    if (engine.transport.name === 'polling')
      await within(
        new Promise((resolve) => engine.once('upgrade', () => resolve(undefined))),
        'socket.io-client changes to a WebSocket',
      );
    assert.equal((await this.ask('settled', null, 'nobody')).error.code, 'no-such-peer');
  }

  /**
   * Emits an event and waits for its acknowledgement.
   * @param {string} name
   * @param {...unknown} args
   */
  ask(name, ...args) {
    return within(this.socket.emitWithAck(name, ...args), `the server acknowledges ${name}`);
  }

  close() {
    this.socket.disconnect();
  }
}
