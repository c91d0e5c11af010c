// @ts-check
/**
 * Stored state that the Worker cannot read is logged, and does not prevent the room from starting.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Peer } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/**
 * A module that overwrites the stored rows and attachments of a room, and then restores the room.
 */
const DAMAGING = `
  import ours, { Room as OurRoom } from './index.js';
  export class Room extends OurRoom {
    constructor(ctx, env) {
      super(ctx, env);
      this.restore = () => new OurRoom(ctx, env);
      this.ctx = ctx;
    }
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (!pathname.endsWith('/damage')) return super.fetch(request);
      this.ctx.storage.kv.put('held 7', 'secret row');
      this.ctx.storage.kv.put('outside x', 'secret overflow');
      const attachments = ['secret attachment', '@99', null];
      for (const ws of this.ctx.getWebSockets()) ws.serializeAttachment(attachments.pop());
      return this.restore().fetch(new Request(request.url.replace('/damage', '')));
    }
  }
  export default {
    fetch(request, env, ctx) {
      const [, room] = /([^/]+)\\/damage$/.exec(request.url) ?? [];
      return room ? env.ROOM.getByName(room).fetch(request) : ours.fetch(request, env, ctx);
    },
  };
`;

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
let logged = '';

before(async () => {
  const log = (/** @type {string} */ text) => (logged += text);
  workerd = await startWorkerd({ main: {} }, { around: DAMAGING, log });
});
after(() => workerd?.stop());

test('an unreadable row or attachment is logged without its content', async () => {
  const server = workerd.at.main;
  const peers = [];
  for (const id of ['ann', 'bob', 'eve']) peers.push(await Peer.join(server, 'broken', id));
  const status = await server.request('/parties/main/broken/damage');
  assert.equal(JSON.parse(status.text).peers, 0, 'no peer can be restored');
  // The log arrives through a separate pipe, possibly after the response.
  const lines = () => logged.match(/\{"event":"unreadable.*\}/g) ?? [];
  for (let tries = 0; lines().length < 4 && tries < 100; tries += 1) await setTimeout(20);
  const entries = lines().map((line) => JSON.parse(line));
  assert.deepEqual(entries.map(({ event, message }) => `${event}: ${message}`).sort(), [
    'unreadable-attachment: an attachment of 17 bytes is unreadable: ' +
      'expected the format of this version. The WebSocket is closed, and its client must reconnect',
    'unreadable-attachment: an attachment of 3 bytes is unreadable: ' +
      'expected the format of this version. The WebSocket is closed, and its client must reconnect',
    'unreadable-row: the row `held 7` of 10 bytes is unreadable: ' +
      'expected the format of this version. The row is deleted, and what it contained is lost',
    'unreadable-row: the row `outside x` of 15 bytes is unreadable: ' +
      'expected the format of this version. The row is deleted, and what it contained is lost',
  ]);
  assert.ok(!logged.includes('secret'), logged);

  // The platform lists the newest WebSocket first, so eve's attachment was empty, as after a close.
  for (const peer of peers.slice(0, 2)) await peer.isClosed(1012, 'the server has restarted');
  await server.request('/parties/main/broken/damage?again');
  const rows = lines().filter((line) => line.includes('unreadable-row'));
  assert.equal(rows.length, 2, 'the rows were deleted');
});
