// @ts-check
/** Runs the back end in docs/live.md, unchanged. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { useFixtures } from '../support/fixtures.mjs';
import { LIVE_KEY, NO_MEDIA } from '../support/live.mjs';
import { Peer, within } from '../support/peer.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { Server, startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;
/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

useFixtures({
  start: async () =>
    (workerd = await startWorkerd({ main: { ...NO_MEDIA, LIVE_KEY, ROOM_SECRET } })),
  stop: () => {
    children.forEach((child) => child.kill());
    return workerd?.stop();
  },
});

/** Starts the back end with this key. @param {string} key */
async function startBackEnd(key) {
  const page = readFileSync(new URL('../../docs/live.md', import.meta.url), 'utf8');
  const [, sample] = /\n```js\n([^]*?)\n```\n/.exec(page) ?? [];
  const lines = sample.split('\n').length;
  assert.ok(lines <= 25, `the sample has ${lines} lines`);
  const code = `${sample}\nserver.on("listening", () => console.log(server.address().port));`;
  const env = { ...process.env, LIVE_KEY: key, SERVER: workerd.at.main.origin, PORT: '0' };
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  const [port] = await within(once(child.stdout, 'data'), 'the back end listens');
  return new Server(Number(port));
}

test('the back end creates a session, which its viewers can join', async () => {
  const backEnd = await startBackEnd(LIVE_KEY);
  const path = '/live/create-stream-request';
  const { status, text } = await backEnd.request(path, { method: 'POST' });
  const { viewerToken, ...rest } = JSON.parse(text);
  const socket = { path: '/socket.io/', query: { room: 'front-door' } };
  assert.deepEqual([status, rest], [201, { sessionId: 'front-door', socket }]);
  await Peer.join(workerd.at.main, 'front-door', 'ann', { token: viewerToken });
  assert.equal((await backEnd.request(path, { method: 'POST' })).status, 200);
  assert.equal((await backEnd.request(path)).status, 404);
});

test('the back end passes errors on', async () => {
  const backEnd = await startBackEnd('another key');
  const path = '/live/create-stream-request';
  const { status, text } = await backEnd.request(path, { method: 'POST' });
  assert.deepEqual([status, JSON.parse(text).error.code], [401, 'unauthorized']);
});
