// @ts-check
/** The library in this Node.js process, with the WebRTC of werift, and a page in Chromium. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { RTCPeerConnection } from 'werift';
import { WebSocket } from 'ws';
import { Room } from '../../public/room.js';
import { connected, join, logged, newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const deployed = new Deployed();
const network = new TcpProxy(deployed);
const pages = new Pages(deployed);
/** @type {Room[]} */
const rooms = [];
useFixtures(deployed, network, pages, {
  start: async () => {},
  tidy: () => rooms.splice(0).forEach((room) => room.close()),
  stop: () => {},
});

/** Joins from this process, and answers each message. @param {string} name */
function bot(name) {
  const host = new URL(network.origin).host;
  const room = new Room(name, {
    host,
    id: 'bot',
    name: 'Bot',
    iceServers: [],
    RTCPeerConnection,
    WebSocket,
  });
  rooms.push(room);
  room.on('message', ({ peer, data }) => peer.send(data));
  return room;
}

/** @template {keyof import('../../public/room.js').RoomEvents} T @param {Room} room @param {T} type */
const next = (room, type) =>
  new Promise((done) => {
    const stop = room.on(type, (detail) => (stop(), done(detail)));
  });

/** Sends data of each kind to the bot, which returns it. @param {Page} page */
async function talks(page) {
  const returned = await page.evaluate(async () => {
    const { room } = /** @type {any} */ (globalThis);
    const bytes = Uint8Array.from({ length: 200_000 }, (_, at) => at % 251);
    const answers = [];
    for (const data of ['text', { json: [1, 'two', null] }, bytes]) {
      const answer = new Promise((done) => {
        const stop = room.on('message', (/** @type {any} */ detail) => (stop(), done(detail.data)));
      });
      await room.peers.get('bot').send(data);
      answers.push(await answer);
    }
    const [text, json, binary] = answers;
    const isSame = new Uint8Array(binary).every((byte, at) => byte === bytes[at]);
    return [text, json, binary.byteLength, isSame];
  });
  assert.deepEqual(returned, ['text', { json: [1, 'two', null] }, 200_000, true]);
}

test('a bot that waits in the room connects, reconnects and leaves', async () => {
  const name = newRoom();
  const room = bot(name);
  await next(room, 'state');
  assert.equal(room.state, 'joined');
  const page = await pages.open('ann');
  await join(page, name, { id: 'ann', name: 'Ann' });
  await connected(page, 'bot');
  await talks(page);
  assert.equal(room.peers.get('ann')?.name, 'Ann');
  const states = /** @type {string[]} */ ([]);
  room.on('state', ({ state }) => states.push(state));
  network.cut();
  while (!states.includes('joined')) await next(room, 'state');
  assert.deepEqual(states, ['reconnecting', 'joined']);
  await talks(page);
  room.close();
  await logged(page, 'leave bot');
});

test('a bot that comes later connects, and sees the page leave', async () => {
  const name = newRoom();
  const page = await pages.open('ann');
  await join(page, name, { id: 'ann' });
  await logged(page, 'state joined');
  const room = bot(name);
  await connected(page, 'bot');
  await talks(page);
  const left = next(room, 'leave');
  await page.evaluate(() => /** @type {any} */ (globalThis).room.close());
  assert.equal((await left).peer.id, 'ann');
  assert.equal(room.peers.size, 0);
});

test('a server that does not answer costs the bot an attempt, and no exception', async () => {
  network.down();
  const name = newRoom();
  const room = bot(name);
  await next(room, 'state');
  network.restore();
  while (room.state !== 'joined') await next(room, 'state');
});

test('without a class for WebRTC or WebSockets, the error names the option', () => {
  for (const [name, classes] of [
    ['RTCPeerConnection', { WebSocket }],
    ...('WebSocket' in globalThis ? [] : [['WebSocket', { RTCPeerConnection }]]),
  ])
    assert.throws(
      () => new Room('r', { host: 'x.example', .../** @type {object} */ (classes) }),
      new RegExp(`^TypeError: there is no ${name}: pass a class as the option ${name}`),
    );
});

test('the sample of docs/client.md runs', async () => {
  const text = readFileSync(new URL('../../docs/client.md', import.meta.url), 'utf8');
  const [sample] = text.split('\n## Node.js\n')[1].split('```js\n')[1].split('\n```');
  const name = newRoom();
  const code = sample
    .replace(/^import .*$/gm, '')
    .replace('your-worker.example', new URL(deployed.origin).host)
    .replace('demo', name);
  const run = new Function('Room', 'RTCPeerConnection', 'WebSocket', `${code}; return room;`);
  rooms.push(run(Room, RTCPeerConnection, WebSocket));
  const page = await pages.open('ann');
  await join(page, name, { id: 'ann' });
  await logged(page, 'message');
  await page.evaluate(() => {
    const [peer] = /** @type {any} */ (globalThis).room.peers.values();
    peer.send('hi');
  });
  await until(page, 'the bot has answered', () =>
    /** @type {any} */ (globalThis).log.some((/** @type {string} */ line) =>
      line.endsWith('You said: hi'),
    ),
  );
});
