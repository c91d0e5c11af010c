// @ts-check
/**
 * Socket.IO, packet by packet: how a client joins and leaves a room, and what the protocol requires of
 * a server. The latter is tested with the echo application of `src/shell/engine/echo.js`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EngineSocket, PollingSession, SEPARATOR } from '../support/engine-session.mjs';
import { Peer } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'echo' | 'open' | 'pinging' | 'strict'>} */
let workerd;
before(async () => {
  const echo = { TEST_ECHO: 'slow', PING_INTERVAL: '3' };
  const strict = { RECONNECT_GRACE: '0' };
  workerd = await startWorkerd({ echo, open: {}, pinging: { PING_INTERVAL: '3' }, strict });
});
after(() => workerd?.stop());

const SOCKET = '/test/echo/socket.io/?';

test('a client that answers pings may receive more than a client may leave unread', async () => {
  const server = workerd.at.pinging;
  const bob = await EngineSocket.open(server, '/socket.io/?room=unread&');
  bob.socket.on('message', (data) => String(data) === '2' && bob.send('3'));
  bob.send('40{"id":"bob"}');
  /** A peer may leave 4 MiB unread, and a peer may send 1 MiB at once. */
  const sending = async (/** @type {string} */ name) => {
    const peer = await Peer.join(server, 'unread', name);
    for (let n = 0; n < 15; n += 1)
      peer.send({ type: 'data', to: 'bob', payload: 'x'.repeat(65_000) });
    await peer.settle();
    await peer.close();
  };
  for (const name of ['ann', 'eve', 'zoe']) await sending(name);
  // The client has sent nothing else. Its pong shows that it has read everything.
  let packet;
  while (packet !== '2') packet = await bob.next();
  for (const name of ['kim', 'lee', 'max']) await sending(name);
  const nat = await Peer.join(server, 'unread', 'nat');
  bob.send('42["hello",1,"nat"]');
  await nat.receives({ type: 'hello', from: 'bob', payload: 1 });
  await bob.close();
});

/** Polls until this packet arrives. Returns all packets. @param {PollingSession} session @param {string} last */
async function pollUntil(session, last) {
  const packets = [];
  while (packets.at(-1) !== last) packets.push(...(await session.poll()).text.split(SEPARATOR));
  return packets;
}

describe('a client that leaves', { concurrency: true }, () => {
  /** @param {string} room */
  async function meet(room) {
    const nat = await Peer.join(workerd.at.open, room, 'nat');
    const socket = await EngineSocket.open(workerd.at.open, `/socket.io/?room=${room}&`);
    socket.send('40{"id":"bob"}');
    await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
    return { nat, socket };
  }

  test('leaves its room when it disconnects, and may join again in the same session', async () => {
    const { nat, socket } = await meet('again');
    socket.send('41');
    await nat.receives({ type: 'peer-left', id: 'bob' });
    socket.send('40{"id":"eve"}');
    await nat.receives({ type: 'peer-joined', id: 'eve', polite: true });
    await socket.close();
  });

  test('is disconnected if it connects twice', async () => {
    const { socket } = await meet('twice');
    assert.match(String(await socket.next()), /^40/);
    await socket.receives('42["peers",[{"id":"nat","polite":false}]]');
    socket.send('40{"id":"eve"}');
    await socket.hasEnded();
  });

  test('leaves its room when its page is closed', async () => {
    const { nat, socket } = await meet('page');
    socket.socket.close(1001);
    await nat.receives({ type: 'peer-left', id: 'bob' });
  });

  test('keeps its seat when its WebSocket is closed without a DISCONNECT packet', async () => {
    const { nat, socket } = await meet('seat');
    await socket.close();
    nat.send({ type: 'hello', to: 'bob', payload: 1 });
    await nat.settle();
    const again = await EngineSocket.open(workerd.at.open, '/socket.io/?room=seat&');
    again.send('40{"id":"bob"}');
    assert.match(String(await again.next()), /^40{"sid":"bob"/);
    await again.receives('42["peers",[{"id":"nat","polite":false}]]', '42["hello",1,"nat"]');
    again.send('41');
    await nat.receives({ type: 'peer-left', id: 'bob' });
    await again.close();
  });

  for (const [what, on, ...packets] of /** @type {const} */ ([
    ['it disconnects', 'open', '41', '1'],
    ['its session is lost without a grace period', 'strict', '1'],
  ]))
    test(`does not receive after its return what it has not polled when ${what}`, async () => {
      const server = workerd.at[on];
      const nat = await Peer.join(server, 'unpolled', 'nat');
      const bob = await PollingSession.open(server, '/socket.io/?room=unpolled&');
      const peers = '42["peers",[{"id":"nat","polite":false}]]';
      await bob.sends('40{"id":"bob"}');
      const [connected] = await pollUntil(bob, peers);
      nat.send({ type: 'hello', to: 'bob', payload: 1 });
      await nat.settle();
      await bob.sends(...packets);
      await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
      await nat.receives({ type: 'peer-left', id: 'bob' });
      const again = await PollingSession.open(server, '/socket.io/?room=unpolled&');
      await again.sends(`40${JSON.stringify({ pid: JSON.parse(connected.slice(2)).pid })}`);
      assert.match((await pollUntil(again, peers))[0], /^40{"sid":"bob"/);
      await again.sends('1');
    });

  for (const packet of ['41', '42["hello"]', '4', '4abc', '40[', '407'])
    test(`is disconnected if its first packet is \`${packet}\``, async () => {
      const socket = await EngineSocket.open(workerd.at.open, '/socket.io/?room=first&');
      socket.send(packet);
      if (packet !== '41') return socket.hasEnded();
      // The client is in no room, so the packet has no effect.
      socket.send('40/x');
      await socket.receives('44/x,{"message":"Invalid namespace"}');
      await socket.close();
    });
});

describe('Socket.IO', { concurrency: true }, () => {
  const connect = () => EngineSocket.open(workerd.at.echo, SOCKET);
  async function connected() {
    const socket = await connect();
    socket.send('40');
    assert.match(String(await socket.next()), /^40{"sid":"[^"]+"}$/);
    await socket.receives('42["auth",{}]');
    return socket;
  }

  test('connects to two namespaces, with a payload', async () => {
    for (const [namespace, auth] of [
      ['', ''],
      ['', '{"token":"123"}'],
      ['/custom,', ''],
      ['/custom,', '{"token":"abc"}'],
    ]) {
      const socket = await connect();
      socket.send(`40${namespace}${auth}`);
      const reply = String(await socket.next());
      assert.ok(reply.startsWith(`40${namespace}{"sid":"`), reply);
      await socket.receives(`42${namespace}["auth",${auth || '{}'}]`);
      await socket.close();
    }
  });

  test('refuses every other namespace', async () => {
    const socket = await connect();
    socket.send('40/random');
    await socket.receives('44/random,{"message":"Invalid namespace"}');
    await socket.close();
  });

  test('disconnects from one namespace only', async () => {
    const socket = await connected();
    socket.send('40/custom', '41/custom', '42["message","to the main namespace"]');
    await socket.next();
    await socket.receivesBetweenPings(
      '42["message-back","to the main namespace"]',
      '42/custom,["auth",{}]',
    );
    await socket.close();
  });

  test('carries events and acknowledgements, also binary ones', async () => {
    const socket = await connected();
    socket.send('42["message",1,"2",{"3":[true]}]');
    await socket.receivesBetweenPings('42["message-back",1,"2",{"3":[true]}]');
    socket.send('42456["message-with-ack",1,"2"]');
    await socket.receivesBetweenPings('43456[1,"2"]');
    const places = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';
    const attachments = [Buffer.from([1, 2, 3]), Buffer.from([4, 5, 6])];
    socket.send(`452-["message",${places}]`, ...attachments);
    await socket.receivesBetweenPings(`452-["message-back",${places}]`, ...attachments);
    socket.send(`452-789["message-with-ack",${places}]`, ...attachments);
    await socket.receivesBetweenPings(`462-789[${places}]`, ...attachments);
    await socket.close();
  });

  for (const packet of ['4abc', '42{}', '42abc["message"]', '43', '42/custom,["message"]'])
    test(`closes the WebSocket after \`${packet}\``, async () => {
      const socket = await connected();
      socket.send(packet);
      await socket.hasEnded();
    });
});
