// @ts-check
/**
 * Two applications that send back what they receive, for the test suites of the protocols. The suites
 * expect an Engine.IO server that echoes, and a Socket.IO server with certain events.
 *
 * They exist only if the Worker has the variable `TEST_ECHO`, which no deployment has: `"true"` for the
 * times that the suites expect, `"slow"` for the times of a room.
 */

import { random } from './seat.js';

/** @typedef {import('./packet.js').Message} Message */
/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('./session.js').App} App */

/** The path of each application, and the room that stands for it. */
const ROOM_OF_PATH = new Map([
  ['/test/echo/engine.io/', 'test/echo/engine.io'],
  ['/test/echo/socket.io/', 'test/echo/socket.io'],
]);
/** The limits that the suites expect. */
const LIMITS = { pingInterval: 300, pingTimeout: 200, maxPayload: 1_000_000 };

/** The delay of the event `auth` in milliseconds. */
const AUTH_DELAY = 20;

/** @param {any} env */
const isOn = (env) => ['true', 'slow'].includes(env.TEST_ECHO);

/**
 * Turns a request for an echo into a request for its room.
 * @param {Request} request
 * @param {unknown} env
 */
export function echoRequest(request, env) {
  if (!isOn(env)) return request;
  const url = new URL(request.url);
  const room = ROOM_OF_PATH.get(url.pathname);
  if (!room) return request;
  url.pathname = '/socket.io/';
  url.searchParams.set('room', room);
  return new Request(url, request);
}

/**
 * Returns the limits of an echo, or undefined for the limits of a room.
 * @param {string} room
 * @param {any} env
 */
export const echoLimits = (room, env) =>
  env.TEST_ECHO === 'true' && isEcho(room, env) ? LIMITS : undefined;

/** @param {string} room @param {any} env */
const isEcho = (room, env) => isOn(env) && [...ROOM_OF_PATH.values()].includes(room);

/**
 * Returns the application of an echo, or undefined for a room.
 * @param {Session} session
 * @param {string} room
 * @param {unknown} env
 * @returns {App | undefined}
 */
export function createEcho(session, room, env) {
  if (!isEcho(room, env)) return undefined;
  return room === ROOM_OF_PATH.get('/test/echo/engine.io/')
    ? new EngineEcho(session)
    : new SocketEcho(session);
}

/** Sends back every message. @implements {App} */
class EngineEcho {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
  }

  /** @param {Message} message */
  receive(message) {
    this.session.send(message);
  }

  confirm() {}
  leave() {}

  end() {
    return false;
  }

  /** @returns {Promise<unknown>} */
  async handOver() {
    return undefined;
  }

  async release() {}

  /** @param {unknown} _state @param {() => Promise<void>} sendEarlier */
  resume(_state, sendEarlier) {
    return sendEarlier();
  }
}

/** The type, number of attachments, namespace, number of the acknowledgement, and data of a packet. */
const PACKET = /^([0-6])(?:(\d+)-)?(?:(\/[^,]+),?)?(\d+)?(.*)$/s;

/**
 * Sends the event `auth` after a CONNECT packet, answers `message` with `message-back`, and
 * acknowledges `message-with-ack`.
 */
class SocketEcho extends EngineEcho {
  #namespaces = new Set();
  /** The binary event whose attachments have not all arrived. */
  #event = { missing: 0, answer: '', attachments: /** @type {Message[]} */ ([]) };

  /** @param {Message} message */
  receive(message) {
    try {
      if (typeof message === 'string') this.#handle(message);
      else this.#attach(message);
    } catch {
      this.session.end();
    }
  }

  /** @param {string} packet */
  #handle(packet) {
    const [, type, count = '', namespace = '/', ack = '', json] = PACKET.exec(packet) ?? [];
    const prefix = namespace === '/' ? '' : `${namespace},`;
    const data = json ? JSON.parse(json) : undefined;
    if (type === '0') this.#connect(namespace, prefix, data);
    else if (!this.#namespaces.has(namespace)) throw new Error('not connected');
    else if (type === '1') this.#namespaces.delete(namespace);
    else if (type === '2' || type === '5') {
      const [name, ...rest] = data;
      const isAck = name === 'message-with-ack';
      const answer = JSON.stringify(isAck ? rest : ['message-back', ...rest]);
      const answerType = Number(type) + (isAck ? 1 : 0);
      const attachments = count && `${count}-`;
      this.#event = {
        missing: Number(count),
        answer: `${answerType}${attachments}${prefix}${isAck ? ack : ''}${answer}`,
        attachments: [],
      };
      this.#answer();
    } else throw new Error('unexpected packet');
  }

  /** @param {string} namespace @param {string} prefix @param {any} auth */
  #connect(namespace, prefix, auth = {}) {
    if (!['/', '/custom'].includes(namespace))
      return this.session.send(`4${prefix}{"message":"Invalid namespace"}`);
    this.#namespaces.add(namespace);
    this.session.send(`0${prefix}${JSON.stringify({ sid: random() })}`);
    // The suite loses an event that arrives together with the reply.
    setTimeout(() => this.session.send(`2${prefix}${JSON.stringify(['auth', auth])}`), AUTH_DELAY);
  }

  /** @param {Message} attachment */
  #attach(attachment) {
    if (this.#event.missing === 0) throw new Error('unexpected attachment');
    this.#event.missing -= 1;
    this.#event.attachments.push(attachment);
    this.#answer();
  }

  #answer() {
    const { missing, answer, attachments } = this.#event;
    if (missing === 0) for (const message of [answer, ...attachments]) this.session.send(message);
  }

  async handOver() {
    return [...this.#namespaces];
  }

  /** @param {string[]} namespaces @param {() => Promise<void>} sendEarlier */
  resume(namespaces, sendEarlier) {
    this.#namespaces = new Set(namespaces);
    return sendEarlier();
  }
}
