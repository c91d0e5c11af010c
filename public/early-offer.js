// @ts-check
/**
 * The offer that travels with the join, so that the first connection takes one round trip less. The
 * server passes it to a peer that is in the room, before this client knows who that is.
 */

import { createConnection } from './connection.js';
import { toPayload } from './description.js';
import { Messages } from './messages.js';

/** @import { Connection, DescriptionPayload } from "./parts.d.ts" */

/** The longest payload that the server passes on, in bytes. */
const MAX_BYTES = 4_096;

export class EarlyOffer {
  /** Undefined if it could not be created. @type {RTCPeerConnection=} */
  connection;
  /** @type {RTCDataChannel=} */
  channel;
  /** The payload of the signal. Undefined until it exists. @type {DescriptionPayload=} */
  payload;
  /** Resolves to the payload as JSON, or to undefined if there is no offer. */
  ready;
  /** Called after each call of `connection.close()`. */
  handleClose = () => {};

  #taken = false;

  /**
   * @param {Connection} Connection
   * @param {RTCConfiguration} configuration
   * @param {AbortSignal} stop ends the connection if no peer has taken it
   */
  constructor(Connection, configuration, stop) {
    this.ready = this.#create(Connection, configuration).catch(() => undefined);
    stop.addEventListener('abort', () => this.discard());
  }

  /**
   * Returns the connection for the peer that has the offer. Gathering has not begun, so it uses ICE
   * servers that have become known since.
   * @param {RTCConfiguration} configuration
   */
  take(configuration) {
    this.connection?.setConfiguration(configuration);
    this.#taken = true;
    return this.connection;
  }

  /** Closes the connection, unless a peer has taken it. */
  discard() {
    if (!this.#taken) this.connection?.close();
  }

  /** @param {Connection} Connection @param {RTCConfiguration} configuration */
  async #create(Connection, configuration) {
    const connection = createConnection(Connection, configuration, () => this.handleClose());
    this.connection = connection;
    this.channel = Messages.open(connection);
    this.payload = toPayload(await connection.createOffer());
    const json = JSON.stringify(this.payload);
    return json.length > MAX_BYTES ? undefined : json;
  }
}
