// @ts-check
/**
 * The same conversation with this server and with the server of PeerJS: the clients receive the same
 * frames. `docs/dialects.md` has the differences that are intended.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { FrameRecorder } from '../support/frame-recorder.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const PATH = '/parties/main/demo';
/** Our answer to a heartbeat, which the client ignores. The server of PeerJS sends none. */
const HEARTBEAT_ANSWER = 'ok';

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
/**
 * The server of PeerJS. It cannot be stopped in its process, because its timers never end.
 * @type {import('node:child_process').ChildProcess}
 */
let reference;
/** The host and the port of the server of PeerJS. */
let referenceHost = '';
before(async () => {
  workerd = await startWorkerd({ main: {} });
  const options = JSON.stringify({ host: '127.0.0.1', port: 0, path: PATH });
  const script = `import { PeerServer } from 'peer';
    PeerServer(${options}, (server) => console.log(server.address().port));`;
  reference = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: new URL('.', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = /** @type {import('node:stream').Readable} */ (reference.stdout);
  const [port] = await once(output, 'data', { signal: AbortSignal.timeout(10_000) });
  referenceHost = `127.0.0.1:${Number(port)}`;
});
after(async () => {
  reference?.kill();
  await workerd?.stop();
});

/** Returns all frames of the conversation, by client. @param {string} host */
async function converse(host) {
  const connect = (/** @type {string} */ query) =>
    new FrameRecorder(`ws://${host}${PATH}/peerjs?${query}`, HEARTBEAT_ANSWER);
  const join = (/** @type {string} */ id, /** @type {string} */ token) =>
    connect(`key=peerjs&id=${encodeURIComponent(id)}&token=${token}&version=1.5.5`);
  const ann = join('ann', 'a');
  await ann.has(1);
  const bob = join('bob b', 'b');
  await bob.has(1);
  bob.send({ type: 'OFFER', payload: { sdp: { type: 'offer', sdp: 'v=0\r\n' } }, dst: 'ann' });
  await ann.has(2);
  ann.send({ type: 'ANSWER', payload: { browser: 'chrome' }, dst: 'bob b' });
  ann.send({ type: 'CANDIDATE', payload: { candidate: 'ä' }, dst: 'bob b', src: 'eve' });
  await bob.has(3);
  bob.send({ type: 'LEAVE', dst: 'ann' });
  await ann.has(3);
  // Nothing follows these frames.
  bob.send({ type: 'HEARTBEAT' });
  bob.send({ type: 'LEAVE', dst: 'nobody' });
  const eve = join('ann', 'e');
  await eve.has(1);
  const nameless = connect('key=peerjs&token=t');
  await nameless.has(1);
  for (const n of [1, 2]) bob.send({ type: 'OFFER', payload: n, dst: 'late' });
  for (const n of [1, 2]) bob.send({ type: 'OFFER', payload: n, dst: 'never' });
  bob.send({ type: 'CANDIDATE', payload: 3, dst: 'ann' });
  await ann.has(4);
  const late = join('late', 'l');
  await late.has(3);
  await bob.has(4);
  const clients = { ann, bob, eve, nameless, late };
  await Promise.all(Object.values(clients).map((client) => client.close()));
  return Object.fromEntries(
    Object.entries(clients).map(([name, { frames }]) => [
      name,
      frames.map((frame) => JSON.parse(frame)),
    ]),
  );
}

test('clients receive the same frames as from the server of PeerJS', async () => {
  const [ours, theirs] = await Promise.all([
    converse(workerd.at.main.host),
    converse(referenceHost),
  ]);
  assert.deepEqual(ours, theirs);
  assert.equal(ours.bob.length, 4);
});

test('an id is created as by the server of PeerJS', async () => {
  for (const origin of [workerd.at.main.origin, `http://${referenceHost}`]) {
    const url = `${origin}${PATH}/peerjs/id?ts=1`;
    const response = await fetch(url, { headers: { Origin: 'https://game.example' } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.match(`${response.headers.get('access-control-allow-origin')}`, /^(\*|https:.*)$/);
    assert.match(await response.text(), /^[0-9a-f-]{32,36}$/);
    assert.equal((await fetch(`${origin}${PATH}/peerjs/peers`)).status, 401);
  }
});
