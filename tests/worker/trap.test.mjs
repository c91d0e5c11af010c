// @ts-check
/**
 * Should the Rust trap in the midst of something, it is started anew, and nobody else is worse off.
 *
 * Nothing is known that makes it trap. So the clock does: it throws what a trap throws when the Rust
 * asks it for the time, which it does with the room in its hands.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer, quiet, within } from '../support/peer.mjs';
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
      const room = request.headers.get('slow'); // the Worker would wait for the body itself
      if (room) return env.ROOM.getByName(room).fetch(request);
      const { pathname } = new URL(request.url);
      if (pathname === '/trap') Date.now = trap;
      else if (pathname !== '/told') return ours.fetch(request, env, ctx);
      return Response.json({ lives: __worker_init_state.instanceId, slow });
    },
  };
`;

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;

before(async () => {
  const relay = { TURN_URLS: 'turn:relay.example:3478', TURN_SECRET: '0123456789abcdef' };
  workerd = await startWorkerd({ main: { ...relay, TURN_OPEN: 'true' } }, { around: TRAPPING });
});
after(() => workerd?.stop());

/** The next time the Rust asks for the time, it traps. */
const trapNext = () => workerd.at.main.request('/trap');

/**
 * How often the Rust was started, and how many slow requests have reached their room.
 * @returns {Promise<{ lives: number, slow: number }>}
 */
const told = async () => JSON.parse((await workerd.at.main.request('/told')).text);

/**
 * Two who have met, and a line between them that works in both directions.
 * @param {string} room
 */
async function pair(room) {
  const server = workerd.at.main;
  const [ann, bob] = [await Peer.join(server, room, 'ann'), await Peer.join(server, room, 'bob')];
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  let count = 0;
  const talk = async () => {
    for (const [from, to] of [
      [ann, bob],
      [bob, ann],
    ]) {
      from.send({ type: 'word', to: to.name, payload: (count += 1) });
      await to.receives({ type: 'word', from: from.name, payload: count });
    }
  };
  await talk();
  return { ann, bob, talk };
}

test('a frame that traps is lost, and nothing else', async () => {
  const here = await pair('frame');
  const there = await pair('another');
  await trapNext();
  here.ann.send({ type: 'word', to: 'bob', payload: 'lost' });
  await here.talk();
  await there.talk();
  const { peers } = await workerd.at.main.status('frame');
  assert.equal(peers, 2);
  await quiet(here.ann, here.bob, there.ann, there.bob);
});

test('a join that traps is answered with an error, and the next one comes in', async () => {
  const { ann, bob, talk } = await pair('join');
  await trapNext();
  const { status } = await workerd.at.main.upgrade('/parties/main/join?id=eve');
  assert.equal(status, 500);
  const eve = await Peer.join(workerd.at.main, 'join', 'eve');
  for (const peer of [ann, bob])
    await peer.receives({ type: 'peer-joined', id: 'eve', polite: true });
  await talk();
  await quiet(ann, bob, eve);
});

test('a message that traps after its body has come is answered with an error', async () => {
  const { ann, bob, talk } = await pair('message');
  const device = await HttpPeer.join(workerd.at.main, 'message', 'device');
  for (const peer of [ann, bob])
    await peer.receives({ type: 'peer-joined', id: 'device', polite: true });
  await trapNext();
  const word = { type: 'word', target: 'ann', payload: 'lost' };
  assert.equal((await device.post(word)).status, 500);
  await device.sends({ ...word, payload: 'heard' });
  await ann.receives({ type: 'word', from: 'device', payload: 'heard' });
  await talk();
  await quiet(ann, bob);
});

test('what traps where nobody called it is answered with an error, and the next is not', async () => {
  const ask = async () => (await workerd.at.main.request('/ice-servers?room=trap')).status;
  assert.equal(await ask(), 200);
  const { lives } = await told();
  await trapNext();
  assert.equal(await ask(), 500);
  assert.equal(await ask(), 200);
  assert.equal((await told()).lives, lives + 1, 'the Rust was started anew, and once');
});

test('what was begun before that fails, and is not taken for another trap', async () => {
  const { ann, talk } = await pair('begun');
  const { port } = workerd.at.main;
  const headers = { slow: 'begun' };
  const slow = request({ port, path: '/message/begun/ann', method: 'POST', headers });
  const answered = once(slow, 'response');
  slow.write('{"type":"word",');
  while ((await told()).slow === 0);
  const { lives } = await told();
  await trapNext();
  ann.send({ type: 'word', to: 'bob', payload: 'lost' });
  await talk();
  slow.end('"target":"bob"}');
  const [response] = await within(answered, 'it is answered');
  assert.equal(response.resume().statusCode, 500);
  await talk();
  assert.equal((await told()).lives, lives + 1);
});
