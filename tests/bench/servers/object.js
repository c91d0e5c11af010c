// @ts-check
/**
 * A JavaScript server that does the same work as our Worker, with only the platform's API. It
 * parses and checks frames, inserts the sender, assigns roles by seat, and stores its state in
 * attachments.
 */

import { DurableObject } from 'cloudflare:workers';
import { check, refusal } from './frame.js';

const ID = /^[A-Za-z0-9._~:-]{1,64}$/;

export class Room extends DurableObject {
  /** @param {any} ctx @param {any} env */
  constructor(ctx, env) {
    super(ctx, env);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
  }

  /** @param {Request} request */
  async fetch(request) {
    const url = new URL(request.url);
    const id = url.searchParams.get('_pk') ?? crypto.randomUUID();
    if (!ID.test(id)) return new Response('bad id', { status: 400 });
    if (request.headers.get('Upgrade') !== 'websocket') return Response.json({ status: 'ok' });
    const others = this.others().map((ws) => ({ ws, ...ws.deserializeAttachment() }));
    if (others.length >= Number(this.env.MAX_PEERS)) return new Response('full', { status: 409 });
    const seat = others.reduce((most, other) => Math.max(most, other.seat + 1), 0);
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, [id]);
    server.serializeAttachment({ id, seat });
    const peers = others
      .sort((a, b) => a.seat - b.seat)
      .map((other) => ({ id: other.id, polite: seat < other.seat }));
    server.send(JSON.stringify({ type: 'welcome', id, room: this.ctx.id.name, peers }));
    const joined = JSON.stringify({ type: 'peer-joined', id, polite: true });
    for (const { ws } of others) ws.send(joined);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** @param {WebSocket} ws @param {string | ArrayBuffer} message */
  webSocketMessage(ws, message) {
    if (ws.readyState !== WebSocket.OPEN) return;
    const { signal, error } = check(message);
    if (!signal) return ws.send(refusal('malformed', error));
    const from = ws.deserializeAttachment().id;
    const frame = JSON.stringify({ type: signal.type, from, payload: signal.payload });
    if (signal.to === undefined) {
      for (const other of this.others(ws)) other.send(frame);
      return;
    }
    const [to] = this.ctx.getWebSockets(signal.to);
    if (to?.readyState === WebSocket.OPEN) to.send(frame);
    else ws.send(refusal('no-such-peer', 'no peer in the room has this id', signal.to));
  }

  /** @param {WebSocket} ws @param {number} code @param {string} reason */
  webSocketClose(ws, code, reason) {
    if (code === 1005) ws.close();
    else if (code !== 1006 && code !== 1015) ws.close(code, reason);
    const left = JSON.stringify({ type: 'peer-left', id: ws.deserializeAttachment().id });
    for (const other of this.others(ws)) other.send(left);
  }

  /** @param {WebSocket} [ws] */
  others(ws) {
    return this.ctx
      .getWebSockets()
      .filter(
        (/** @type {WebSocket} */ other) => other !== ws && other.readyState === WebSocket.OPEN,
      );
  }
}

export default {
  /** @param {Request} request @param {any} env */
  fetch(request, env) {
    const [, parties, main, room] = new URL(request.url).pathname.split('/');
    if (parties !== 'parties' || main !== 'main' || !room)
      return new Response('not found', { status: 404 });
    return env.ROOM.getByName(decodeURIComponent(room)).fetch(request);
  },
};
