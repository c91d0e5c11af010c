// @ts-check
/**
 * The lower bound of the cost: a Durable Object that only finds WebSockets by tag and forwards
 * frames unchanged.
 */

import { DurableObject } from 'cloudflare:workers';

export class Room extends DurableObject {
  /** @param {Request} request */
  async fetch(request) {
    if (!request.headers.has('Upgrade')) return new Response('ok');
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, [new URL(request.url).searchParams.get('_pk') ?? '']);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** @param {WebSocket} ws @param {string} message */
  webSocketMessage(ws, message) {
    const at = message.indexOf('"to":"') + 6;
    if (at > 5) {
      for (const to of this.ctx.getWebSockets(message.slice(at, message.indexOf('"', at))))
        to.send(message);
    } else {
      for (const to of this.ctx.getWebSockets()) if (to !== ws) to.send(message);
    }
  }

  /** @param {WebSocket} ws @param {number} code */
  webSocketClose(ws, code) {
    ws.close(code);
  }
}

export default {
  /** @param {Request} request @param {any} env */
  fetch(request, env) {
    const room = new URL(request.url).pathname.split('/')[3];
    return env.ROOM.getByName(room).fetch(request);
  },
};
