// @ts-check
/**
 * An Engine.IO session: the heartbeat, and the packets between a transport (polling or a WebSocket)
 * and an application (the connection to a room).
 *
 * The server pings, because socket.io-client closes its connection when a ping is late, whatever else
 * arrives (engine.io-client 6.6).
 */

import { CLOSE, MESSAGE, NOOP, PING, PONG, messagePacket, sizeOf } from './packet.js';

/** @typedef {import('./packet.js').Packet} Packet */
/** @typedef {import('./packet.js').Message} Message */

/**
 * The times in milliseconds and the maximum size in bytes that the server tells the client.
 * @typedef {object} Limits
 * @property {number} pingInterval the time between two pings
 * @property {number} pingTimeout the time that the client has for a pong
 * @property {number} maxPayload the maximum size of a packet, and of the body of a request
 */

/**
 * @typedef {object} Transport
 * @property {(packet: Packet) => void} send
 * @property {(last: string, isOrderly: boolean, mayReturn: boolean) => void} close `last`: the packet
 *   for a poll that waits. `isOrderly`: whether packets that the client has not read must still reach
 *   it. `mayReturn`: the result of `App.end`
 */

/**
 * @typedef {object} App
 * @property {(message: Message) => void} receive handles a message of the client
 * @property {() => void} confirm the client has read all earlier messages
 * @property {() => void} leave the client has left its page
 * @property {() => boolean} end the session has ended. Returns whether the client may return in a new
 *   session, and then expects the messages that it has not read
 * @property {() => Promise<unknown>} handOver returns the state with which `resume` continues the
 *   session elsewhere. It can be encoded as JSON
 * @property {() => Promise<void>} release settles when the app has no more messages to send, because it
 *   was resumed elsewhere
 * @property {(state: any, sendEarlier: () => Promise<void>) => Promise<void>} resume continues a
 *   session. Calls `sendEarlier` before it sends its first message
 */

export class Session {
  #limits;
  #transport;
  #isOpen = true;
  #isPongDue = false;
  #pingAt = 0;
  /** @type {(number | null)[]} */
  #timers = [];

  /**
   * @param {Limits} limits
   * @param {Transport} transport
   * @param {(session: Session) => App} createApp
   * @param {number} [pingIn] the time until the first ping, in milliseconds
   */
  constructor(limits, transport, createApp, pingIn = limits.pingInterval) {
    this.#limits = limits;
    this.#transport = transport;
    this.app = createApp(this);
    this.#schedulePing(pingIn);
  }

  /** The time until the next ping, in milliseconds. 0: the client must answer a ping. */
  get pingIn() {
    return this.#isPongDue ? 0 : Math.max(0, this.#pingAt - Date.now());
  }

  /**
   * Handles a packet of the client. Returns whether it is valid. An invalid packet ends the session.
   * @param {Packet} packet
   */
  receive(packet) {
    if (!this.#isOpen) return false;
    const isValid = sizeOf(packet) <= this.#limits.maxPayload && this.#handle(packet);
    if (!isValid) this.end();
    return isValid;
  }

  /** @param {Packet} packet */
  #handle(packet) {
    if (typeof packet !== 'string') {
      this.app.receive(packet);
      return true;
    }
    switch (packet[0]) {
      case MESSAGE:
        this.app.receive(packet.slice(1));
        return true;
      case PONG:
        if (this.#isPongDue) {
          this.#schedulePing(this.#limits.pingInterval);
          this.app.confirm();
        }
        return true;
      case CLOSE:
        this.end(NOOP);
        return true;
      case NOOP:
        return true;
      default:
        return false;
    }
  }

  /** Sends a message to the client. @param {Message} message */
  send(message) {
    if (this.#isOpen) this.#transport.send(messagePacket(message));
  }

  /**
   * Ends the session.
   * @param {string} [last] the packet for a poll that waits
   * @param {boolean} [isOrderly] whether the client must still receive what was sent to it
   */
  end(last = CLOSE, isOrderly = false) {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.stopPings();
    const mayReturn = this.app.end();
    this.#transport.close(last, isOrderly, mayReturn);
  }

  /** Stops the heartbeat, because the session continues elsewhere. */
  stopPings() {
    this.#timers.forEach(clearTimeout);
  }

  /** @param {number} pingIn */
  #schedulePing(pingIn) {
    this.stopPings();
    this.#isPongDue = false;
    this.#pingAt = Date.now() + pingIn;
    const ping = () => {
      this.#isPongDue = true;
      this.#transport.send(PING);
    };
    this.#timers = [
      setTimeout(ping, pingIn),
      setTimeout(() => this.end(), pingIn + this.#limits.pingTimeout),
    ];
  }
}
