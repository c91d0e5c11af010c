// @ts-check
/**
 * A server that does the same work as our Worker with partyserver, as partyserver's README shows.
 */

import { routePartykitRequest, Server } from 'partyserver';
import { check, refusal } from './frame.js';

export class Room extends Server {
  static options = { hibernate: true };

  onRequest() {
    return Response.json({ status: 'ok' });
  }

  /** @param {import('partyserver').Connection} connection */
  onConnect(connection) {
    const others = [...this.getConnections()].filter((other) => other.id !== connection.id);
    if (others.length >= Number(/** @type {any} */ (this.env).MAX_PEERS))
      return connection.close(4003, 'room-full');
    const seats = others.map((other) => /** @type {any} */ (other.state).seat);
    const seat = seats.reduce((most, other) => Math.max(most, other + 1), 0);
    connection.setState({ seat });
    const peers = others
      .map((other, place) => ({ id: other.id, seat: seats[place] }))
      .sort((a, b) => a.seat - b.seat)
      .map((other) => ({ id: other.id, polite: seat < other.seat }));
    connection.send(JSON.stringify({ type: 'welcome', id: connection.id, room: this.name, peers }));
    this.broadcast(JSON.stringify({ type: 'peer-joined', id: connection.id, polite: true }), [
      connection.id,
    ]);
  }

  /** @param {import('partyserver').Connection} connection @param {unknown} message */
  onMessage(connection, message) {
    const { signal, error } = check(message);
    if (!signal) return connection.send(refusal('malformed', error));
    const frame = JSON.stringify({
      type: signal.type,
      from: connection.id,
      payload: signal.payload,
    });
    if (signal.to === undefined) return this.broadcast(frame, [connection.id]);
    const to = this.getConnection(signal.to);
    if (to) to.send(frame);
    else connection.send(refusal('no-such-peer', 'no peer in the room has this id', signal.to));
  }

  /** @param {import('partyserver').Connection} connection */
  onClose(connection) {
    this.broadcast(JSON.stringify({ type: 'peer-left', id: connection.id }), [connection.id]);
  }
}

export default {
  /** @param {Request} request @param {any} env */
  async fetch(request, env) {
    return (await routePartykitRequest(request, env)) ?? new Response('not found', { status: 404 });
  },
};
