// @ts-check
/**
 * A trap in the Rust code restarts the Wasm instance. Only the request or frame that traps fails.
 * Rooms and other requests continue. `trap-streams.test.mjs` tests event streams.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer, expectQuiet, within } from '../support/peer.mjs';
import { startTrapping } from '../support/trapping.mjs';
import { WorkerLog } from '../support/worker-log.mjs';

/** @type {import('../support/trapping.mjs').Trapping} */
let worker;
const log = new WorkerLog();

before(async () => {
  worker = await startTrapping(log.add);
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
  ['a RuntimeError', '?callback'],
  ['another exception', '?callback&plain'],
])
  test(`a join that traps in a promise callback with ${exception} gets a 500 response, and the next join is accepted`, async () => {
    const join = async () => (await worker.server.upgrade('/parties/main/callback?id=ann')).status;
    assert.equal(await join(), 101);
    const { starts } = await worker.counts();
    await worker.trapNext(query);
    assert.equal(await join(), 500);
    assert.equal(await join(), 101);
    assert.equal(
      (await worker.counts()).starts,
      starts + 1,
      'the Wasm instance was restarted once',
    );
  });

test('an alarm that cannot be written is logged in one line, and is no trap', async () => {
  const ann = await Peer.join(worker.server, 'no-alarm', 'ann');
  const { starts } = await worker.counts();
  ann.send({ type: 'word' }); // is kept for the next peer, until the alarm
  await log.lines('effect', 1);
  await ann.settle();
  const lines = log.text.split('\n').filter((line) => line.includes('the disk is full'));
  assert.deepEqual(lines, ['{"event":"effect","message":"Error: the disk is full"}']);
  assert.equal((await worker.counts()).starts, starts);
  await expectQuiet(ann);
});

test('a join, a registration and a body in progress are answered after a trap', async () => {
  const { ann, bob, exchange } = await pair('progress');
  const { server } = worker;
  const device = new HttpPeer(server, 'progress', 'device', { key: 'k' });
  const body = request({ port: server.port, path: device.path('message'), method: 'POST' });
  const answered = once(body, 'response');
  await device.register();
  for (const peer of [ann, bob])
    await peer.receives({ type: 'peer-joined', id: 'device', polite: true });
  body.write('{"type":"word","target":"ann",');
  const join = server.upgrade('/parties/main/waits?id=ann');
  const registration = server.request('/register/waits/bob', { method: 'POST' });
  while ((await worker.counts()).waiting < 2);
  const { starts } = await worker.counts();
  await worker.trapNext();
  ann.send({ type: 'word', to: 'bob', payload: 'lost' });
  await exchange();
  await worker.release();
  assert.equal((await within(join, 'the join is answered')).status, 101);
  assert.equal((await within(registration, 'the registration is answered')).status, 200);
  body.end('"payload":"kept"}');
  const [response] = await within(answered, 'the request with the body is answered');
  assert.equal(response.resume().statusCode, 200);
  await ann.receives({ type: 'word', from: 'device', payload: 'kept' });
  assert.equal((await worker.counts()).starts, starts + 1);
  await expectQuiet(ann, bob);
});
