// @ts-check
/**
 * A trap in the Rust code restarts the Wasm instance and affects no other request.
 *
 * No known input causes a trap. These tests therefore replace `Date.now` with a function that
 * throws a `WebAssembly.RuntimeError`, like a trap. The Rust code calls `Date.now` while the room
 * is mutably borrowed, so without a restart, every later call to the room would fail.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer, expectQuiet, within } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const TRAPPING = `
  import ours, { Room as OurRoom } from './index.js';
  const { now } = Date;
  function trap() {
    Date.now = now;
    throw new WebAssembly.RuntimeError('unreachable');
  }
  let slow = 0;
  export class Room extends OurRoom {
    fetch(request) {
      const answer = super.fetch(request);
      if (request.headers.has('slow')) slow += 1;
      return answer;
    }
  }
  export default {
    fetch(request, env, ctx) {
      // A slow request goes directly to its room, because the Worker drops unknown headers.
      const room = request.headers.get('slow');
      if (room) return env.ROOM.getByName(room).fetch(request);
      const { pathname } = new URL(request.url);
      if (pathname === '/trap') Date.now = trap;
      else if (pathname !== '/counts') return ours.fetch(request, env, ctx);
      return Response.json({ starts: __worker_init_state.instanceId, slow });
    },
  };
`;

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;

before(async () => {
  const turn = { TURN_URLS: 'turn:relay.example:3478', TURN_SECRET: '0123456789abcdef' };
  workerd = await startWorkerd({ main: { ...turn, TURN_OPEN: 'true' } }, { around: TRAPPING });
});
after(() => workerd?.stop());

/** Makes the Rust code trap when it next reads the time. */
const trapNext = () => workerd.at.main.request('/trap');

/**
 * Returns the number of starts of the Wasm instance, and the number of slow requests that have
 * reached their room.
 * @returns {Promise<{ starts: number, slow: number }>}
 */
const counts = async () => JSON.parse((await workerd.at.main.request('/counts')).text);

/**
 * Lets two peers join, and returns a function that exchanges signals in both directions.
 * @param {string} room
 */
async function pair(room) {
  const server = workerd.at.main;
  const [ann, bob] = [await Peer.join(server, room, 'ann'), await Peer.join(server, room, 'bob')];
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  let count = 0;
  const exchange = async () => {
    for (const [from, to] of [
      [ann, bob],
      [bob, ann],
    ]) {
      from.send({ type: 'word', to: to.name, payload: (count += 1) });
      await to.receives({ type: 'word', from: from.name, payload: count });
    }
  };
  await exchange();
  return { ann, bob, exchange };
}

test('a trap loses only the frame that causes it', async () => {
  const room = await pair('frame');
  const other = await pair('another');
  await trapNext();
  room.ann.send({ type: 'word', to: 'bob', payload: 'lost' });
  await room.exchange();
  await other.exchange();
  const { peers } = await workerd.at.main.status('frame');
  assert.equal(peers, 2);
  await expectQuiet(room.ann, room.bob, other.ann, other.bob);
});

test('a join that traps gets a 500 response, and the next join is accepted', async () => {
  const { ann, bob, exchange } = await pair('join');
  await trapNext();
  const { status } = await workerd.at.main.upgrade('/parties/main/join?id=eve');
  assert.equal(status, 500);
  const eve = await Peer.join(workerd.at.main, 'join', 'eve');
  for (const peer of [ann, bob])
    await peer.receives({ type: 'peer-joined', id: 'eve', polite: true });
  await exchange();
  await expectQuiet(ann, bob, eve);
});

test('a message that traps after its body has arrived gets a 500 response', async () => {
  const { ann, bob, exchange } = await pair('message');
  const device = await HttpPeer.join(workerd.at.main, 'message', 'device');
  for (const peer of [ann, bob])
    await peer.receives({ type: 'peer-joined', id: 'device', polite: true });
  await trapNext();
  const word = { type: 'word', target: 'ann', payload: 'lost' };
  assert.equal((await device.post(word)).status, 500);
  await device.sends({ ...word, payload: 'heard' });
  await ann.receives({ type: 'word', from: 'device', payload: 'heard' });
  await exchange();
  await expectQuiet(ann, bob);
});

test('a request that traps in a promise callback gets a 500 response, and the next request a 200 response', async () => {
  const status = async () => (await workerd.at.main.request('/ice-servers?room=trap')).status;
  assert.equal(await status(), 200);
  const { starts } = await counts();
  await trapNext();
  assert.equal(await status(), 500);
  assert.equal(await status(), 200);
  assert.equal((await counts()).starts, starts + 1, 'the Wasm instance was restarted once');
});

test('a request that began before the restart fails without causing another restart', async () => {
  const { ann, bob, exchange } = await pair('begun');
  await HttpPeer.join(workerd.at.main, 'begun', 'device');
  for (const peer of [ann, bob])
    await peer.receives({ type: 'peer-joined', id: 'device', polite: true });
  const { port } = workerd.at.main;
  const headers = { slow: 'begun' };
  const slow = request({ port, path: '/message/begun/device', method: 'POST', headers });
  const answered = once(slow, 'response');
  slow.write('{"type":"word",');
  while ((await counts()).slow === 0);
  const { starts } = await counts();
  await trapNext();
  ann.send({ type: 'word', to: 'bob', payload: 'lost' });
  await exchange();
  slow.end('"target":"bob"}');
  const [response] = await within(answered, 'the slow request is answered');
  assert.equal(response.resume().statusCode, 500);
  await exchange();
  assert.equal((await counts()).starts, starts + 1);
});
