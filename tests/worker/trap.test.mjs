// @ts-check
/**
 * A trap in the Rust code restarts the Wasm instance. Requests in progress fail at once, and rooms
 * continue. `trap-streams.test.mjs` tests event streams.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer, expectQuiet, within } from '../support/peer.mjs';
import { startTrapping } from '../support/trapping.mjs';

/** @type {import('../support/trapping.mjs').Trapping} */
let worker;

before(async () => {
  worker = await startTrapping();
});
after(() => worker?.stop());

/**
 * Lets two peers join, and returns a function that exchanges signals in both directions.
 * @param {string} room
 */
async function pair(room) {
  const server = worker.server;
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
  await worker.trapNext();
  room.ann.send({ type: 'word', to: 'bob', payload: 'lost' });
  await room.exchange();
  await other.exchange();
  const { peers } = await worker.server.status('frame');
  assert.equal(peers, 2);
  await expectQuiet(room.ann, room.bob, other.ann, other.bob);
});

test('a join that traps gets a 500 response, and the next join is accepted', async () => {
  const { ann, bob, exchange } = await pair('join');
  await worker.trapNext();
  const { status } = await worker.server.upgrade('/parties/main/join?id=eve');
  assert.equal(status, 500);
  const eve = await Peer.join(worker.server, 'join', 'eve');
  for (const peer of [ann, bob])
    await peer.receives({ type: 'peer-joined', id: 'eve', polite: true });
  await exchange();
  await expectQuiet(ann, bob, eve);
});

test('a message that traps after its body has arrived gets a 500 response', async () => {
  const { ann, bob, exchange } = await pair('message');
  const device = await HttpPeer.join(worker.server, 'message', 'device');
  for (const peer of [ann, bob])
    await peer.receives({ type: 'peer-joined', id: 'device', polite: true });
  await worker.trapNext();
  const word = { type: 'word', target: 'ann', payload: 'lost' };
  assert.equal((await device.post(word)).status, 500);
  await device.sends({ ...word, payload: 'heard' });
  await ann.receives({ type: 'word', from: 'device', payload: 'heard' });
  await exchange();
  await expectQuiet(ann, bob);
});

for (const [exception, query] of [
  ['a RuntimeError', ''],
  ['another exception', '?plain'],
])
  test(`a request that traps in a promise callback with ${exception} gets a 500 response, and the next request a 200 response`, async () => {
    const status = async () => (await worker.server.request('/ice-servers?room=trap')).status;
    assert.equal(await status(), 200);
    const { starts } = await worker.counts();
    await worker.trapNext(query);
    assert.equal(await status(), 500);
    assert.equal(await status(), 200);
    assert.equal(
      (await worker.counts()).starts,
      starts + 1,
      'the Wasm instance was restarted once',
    );
  });

test('a join, a registration and a body in progress fail as soon as the Rust code traps', async () => {
  const { ann, bob, exchange } = await pair('progress');
  const { server } = worker;
  const body = request({
    port: server.port,
    path: '/message/progress/device?key=k',
    method: 'POST',
  });
  const answered = once(body, 'response');
  await new HttpPeer(server, 'progress', 'device', { key: 'k' }).register();
  for (const peer of [ann, bob])
    await peer.receives({ type: 'peer-joined', id: 'device', polite: true });
  body.write('{"type":');
  const join = server.upgrade('/parties/main/never-answers?id=ann');
  const registration = server.request('/register/never-answers/bob', { method: 'POST' });
  while ((await worker.counts()).held < 2);
  await worker.trapNext();
  ann.send({ type: 'word', to: 'bob', payload: 'lost' });
  const [response] = await within(answered, 'the request with the body is answered');
  assert.equal(response.resume().statusCode, 500);
  body.destroy();
  assert.equal((await within(join, 'the join is answered')).status, 500);
  assert.equal((await within(registration, 'the registration is answered')).status, 500);
  await exchange();
  await expectQuiet(ann, bob);
});

test('a request that began before the restart causes no other restart', async () => {
  const { ann, bob, exchange } = await pair('begun');
  await HttpPeer.join(worker.server, 'begun', 'device');
  for (const peer of [ann, bob])
    await peer.receives({ type: 'peer-joined', id: 'device', polite: true });
  const { port } = worker.server;
  const headers = { direct: 'begun' };
  const begun = request({ port, path: '/message/begun/device', method: 'POST', headers });
  const answered = once(begun, 'response');
  begun.write('{"type":"word",');
  while ((await worker.counts()).direct === 0);
  const { starts } = await worker.counts();
  await worker.trapNext();
  ann.send({ type: 'word', to: 'bob', payload: 'lost' });
  const [response] = await within(answered, 'the request is answered');
  assert.equal(response.resume().statusCode, 500);
  begun.end('"target":"bob"}');
  await exchange();
  assert.equal((await worker.counts()).starts, starts + 1);
});
