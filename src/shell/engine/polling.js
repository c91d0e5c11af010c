// @ts-check
/**
 * The polling transport of Engine.IO: a Durable Object for each session, because the requests of one
 * client can arrive at different Workers. The object stores nothing. It ends with the session, or when
 * the client changes to a WebSocket. After a session that the client has lost, the platform keeps the
 * object in memory for a while, so that the next session can take what the client has not polled.
 */

import { readText } from '../body.js';
import { createApp } from './app.js';
import { CLOSE, NOOP, decodePayload, encodePayload, sizeOf } from './packet.js';
import { Session } from './session.js';

/** @typedef {import('./packet.js').Packet} Packet */

/** The maximum size of the packets that a client has not polled, in bytes or UTF-16 units. */
const MAX_UNREAD = 1024 * 1024;
/** The time that a client has to change to a WebSocket, in milliseconds. */
const UPGRADE_TIMEOUT = 10_000;
/** The time until a poll is ended after a probe, in milliseconds. */
const RELEASE = 100;
/** The time that the Worker has to take a session over, in milliseconds. */
const TAKEOVER = 10_000;

/** The response to a `POST` of the client. */
const ok = () => new Response('ok');
/** The response to the Worker. */
const done = () => new Response(null);

/** Returns the response to a request whose session does not exist. */
export const unknownSession = () => refuse(400, 1, 'Session ID unknown');

/** @param {number} status @param {number} code @param {string} message */
const refuse = (status, code, message) => Response.json({ code, message }, { status });

/**
 * Resolves with the text of a body, or with the HTTP status of the refusal.
 * @param {Request} request
 * @param {number} limit the maximum size of the body, in bytes
 */
async function read({ headers, body }, limit) {
  const length = Number(headers.get('Content-Length') ?? limit);
  if (!(length <= limit)) return 413;
  return body ? readText(body, length) : '';
}

export class Engine {
  #env;
  /** The request that opened the session. @type {any} */
  #context;
  /** @type {import('./session.js').Limits | undefined} */
  #limits;
  /** @type {Session | undefined} */
  #session;
  /** The packets that the client has not polled. @type {Packet[]} */
  #unread = [];
  #unreadSize = 0;
  /** Answers the poll that waits. @type {((response: Response) => void) | undefined} */
  #answer;
  /** Whether the session has ended, and the client must still receive `#unread` and CLOSE. */
  #isClosing = false;
  /** The time for which the peer of a lost session keeps its seat, in milliseconds. */
  #grace = 0;
  /** The time until which the next session of the client may take `#unread`, after the session is lost. */
  #keptUntil = 0;
  #isPosting = false;
  #isTaken = false;
  /** The time until which no other WebSocket may take the session over. */
  #reservedUntil = 0;
  /** The time until which polls are ended early. */
  #probedUntil = 0;

  /** @param {DurableObjectState} _state @param {unknown} env */
  constructor(_state, env) {
    this.#env = env;
  }

  /**
   * Handles a request of the Worker. The path is one of `/open`, `/poll`, `/post`,
   * `/reserve`, `/probe`, `/take`, `/return` and `/rest`.
   * @param {Request} request
   * @returns {Promise<Response>}
   */
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/open') return this.#open(await request.json());
    if (pathname === '/rest') return this.#rest();
    if (this.#isTaken) return unknownSession();
    if (pathname === '/poll') return this.#poll(request);
    if (pathname === '/return') return this.#return();
    if (!this.#session) return this.#isClosing && pathname === '/post' ? ok() : unknownSession();
    if (pathname === '/post') return this.#post(request, this.#session);
    if (pathname === '/reserve') return this.#reserve();
    if (pathname === '/probe') return this.#probe();
    return this.#take(this.#session);
  }

  /** @param {any} session */
  #open({ context, limits, grace }) {
    this.#context = context;
    this.#limits = limits;
    this.#grace = grace;
    const transport = {
      send: (/** @type {Packet} */ packet) => this.#send(packet),
      close: (
        /** @type {string} */ last,
        /** @type {boolean} */ isOrderly,
        /** @type {boolean} */ mayReturn,
      ) => this.#close(last, isOrderly, mayReturn),
    };
    this.#session = new Session(limits, transport, createApp(context, this.#env));
    return done();
  }

  /** @param {Request} request @returns {Promise<Response> | Response} */
  #poll({ signal }) {
    if (this.#answer) {
      this.#session?.end();
      return refuse(
        400,
        3,
        'two polls of this session overlap: wait for the response to the first',
      );
    }
    if (!this.#session && !this.#isClosing) return unknownSession();
    const response = new Promise((/** @type {(response: Response) => void} */ resolve) => {
      this.#answer = resolve;
      // The session would swallow the next packet. The room, however, keeps it for the client.
      signal.addEventListener('abort', () => this.#answer === resolve && this.#session?.end());
    });
    if (this.#isClosing && !this.#unread.length) this.#end(CLOSE);
    else this.#flush();
    if (Date.now() < this.#probedUntil) setTimeout(() => this.#release(), RELEASE);
    return response;
  }

  /** @param {Request} request @param {Session} session */
  async #post(request, session) {
    if (this.#isPosting) {
      session.end();
      return refuse(400, 3, 'two requests of this session overlap: wait for the first response');
    }
    this.#isPosting = true;
    const body = await read(request, this.#limits?.maxPayload ?? 0);
    this.#isPosting = false;
    if (this.#session !== session || this.#isTaken) return unknownSession();
    if (typeof body === 'number') {
      session.end();
      return refuse(body, 3, 'the body is too large, too slow or not UTF-8: send fewer packets');
    }
    const isValid = decodePayload(body).every((packet) => session.receive(packet));
    return isValid ? ok() : refuse(400, 3, 'the body contains an invalid packet');
  }

  /** @param {Packet} packet */
  #send(packet) {
    this.#unread.push(packet);
    this.#unreadSize += sizeOf(packet);
    if (this.#unreadSize > MAX_UNREAD) {
      this.#takeUnread();
      this.#session?.end();
      return;
    }
    // Packets that are sent together reach the client in one response.
    queueMicrotask(() => this.#flush());
  }

  #flush() {
    if (this.#unread.length) this.#reply(() => new Response(this.#takeUnread()));
  }

  /** Answers the poll that waits. @param {() => Response} respond */
  #reply(respond) {
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.(respond());
  }

  /** Removes the unread packets and returns them as one payload. */
  #takeUnread() {
    const payload = encodePayload(this.#unread);
    this.#unread = [];
    this.#unreadSize = 0;
    return payload;
  }

  /** @param {string} last @param {boolean} isOrderly @param {boolean} mayReturn */
  #close(last, isOrderly, mayReturn) {
    this.#session = undefined;
    // socket.io-client would not handle a packet that arrives in the same payload as CLOSE.
    if (isOrderly && (this.#unread.length || !this.#answer)) this.#isClosing = true;
    else if (mayReturn) {
      this.#keptUntil = Date.now() + this.#grace;
      this.#reply(() => new Response(last));
    } else this.#end(last);
  }

  /** @param {string} last */
  #end(last) {
    this.#unread = [];
    this.#unreadSize = 0;
    this.#isClosing = false;
    this.#reply(() => new Response(last));
  }

  /** Reserves the session for one WebSocket. */
  #reserve() {
    if (Date.now() < this.#reservedUntil)
      return refuse(400, 3, 'another WebSocket is about to continue this session');
    this.#reservedUntil = Date.now() + UPGRADE_TIMEOUT;
    return done();
  }

  /** Ends polls early while the client tests its WebSocket, because it must stop polling. */
  #probe() {
    this.#probedUntil = Date.now() + UPGRADE_TIMEOUT;
    setTimeout(() => this.#release(), RELEASE);
    return done();
  }

  #release() {
    this.#reply(() => new Response(NOOP));
  }

  /** Lets the Worker continue the session over a WebSocket. @param {Session} session */
  async #take(session) {
    this.#isTaken = true;
    this.#reply(unknownSession);
    session.stopPings();
    const state = await session.app.handOver();
    setTimeout(() => this.#session?.end(), TAKEOVER);
    const { pingIn } = session;
    return Response.json({ context: this.#context, limits: this.#limits, pingIn, state });
  }

  /** Lets the next session of the client continue this session, or take the rest of a lost session. */
  #return() {
    if (this.#session) return this.#take(this.#session);
    if (Date.now() >= this.#keptUntil) return unknownSession();
    this.#isTaken = true;
    return Response.json({ context: this.#context });
  }

  /** Returns the packets that the client has not polled, and ends the session. */
  async #rest() {
    await this.#session?.app.release();
    const rest = this.#takeUnread();
    this.#session?.end();
    return new Response(rest);
  }
}
