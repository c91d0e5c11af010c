// @ts-check
/**
 * The keys of the HTTP dialect on a server that requires tokens. The server signs them, so the Worker
 * refuses forged and expired keys without asking a room.
 */
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { assertError } from '../support/errors.mjs';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer } from '../support/peer.mjs';
import { mint, mintWithJose, soon } from '../support/jwt.mjs';
import { countObjects } from '../support/objects.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const OLD_SECRET = 'the secret before, which is long enough';
const folder = mkdtempSync(join(tmpdir(), 'partyline-keys-'));

/** @type {import('../support/workerd.mjs').Workerd<'tokens' | 'rotated' | 'open'>} */
let workerd;
before(async () => {
  const instances = {
    tokens: { ROOM_SECRET },
    rotated: { ROOM_SECRET, ROOM_SECRET_PREVIOUS: OLD_SECRET },
    open: {},
  };
  workerd = await startWorkerd(instances, { persist: folder });
});
after(async () => {
  await workerd?.stop();
  rmSync(folder, { recursive: true });
});

const now = () => Math.floor(Date.now() / 1000);
/**
 * Returns the key of a peer, computed as the documentation says.
 * @param {{ exp: number | string, room: string, id: string, secret?: string, nonce?: Buffer }} of
 */
function keyOf({ exp, room, id, secret = ROOM_SECRET, nonce = randomBytes(16) }) {
  const text = `key\n${exp}\n${nonce.toString('base64url')}\n${id}\n${room}`;
  const signature = createHmac('sha256', secret).update(text).digest();
  return `${exp}.${Buffer.concat([nonce, signature]).toString('base64url')}`;
}

/** Returns the nonce of a key. @param {string} key */
const nonceOf = (key) => Buffer.from(key.split('.')[1], 'base64url').subarray(0, 16);

/** @param {string} room @param {string} id @param {import('../support/http-peer.mjs').Credentials} who */
const peer = (room, id, who) => new HttpPeer(workerd.at.tokens, room, id, who);

/** Registers a peer, and returns its key. @param {HttpPeer} peer */
async function register(peer) {
  const { status, text } = await peer.register();
  assert.equal(status, 200, text);
  return JSON.parse(text).key;
}

/** @param {import('../support/workerd.mjs').Answer} answer */
const isRefused = (answer, status = 401, code = 'unauthorized', about = '') =>
  assertError(answer, status, code, about);

/** Sends a message, and opens the event stream. @param {HttpPeer} who */
async function uses(who) {
  const response = await who.request();
  const headers = response.headers;
  const opened = response.statusCode ?? 0;
  if (opened === 200) response.destroy();
  const text = opened === 200 ? '' : (await response.toArray()).join('');
  return [await who.post({ type: 'x', target: 'nobody' }), { status: opened, headers, text }];
}

describe('with ROOM_SECRET', () => {
  test('the key is signed for the room, the id and the expiry of the token', async () => {
    const exp = soon();
    const tokens = [
      mint({ room: 'r: ä', exp }),
      mint({ room: '*', sub: 'a:b', exp: exp + 0.9 }),
      await mintWithJose({ room: 'r: ä', exp }),
    ];
    const keys = [];
    for (const token of tokens) keys.push(await register(peer('r: ä', 'a:b', { token })));
    assert.deepEqual(
      keys.map((key) => keyOf({ exp, room: 'r: ä', id: 'a:b', nonce: nonceOf(key) })),
      keys,
    );
    assert.equal(new Set(keys).size, 3, 'each registration has a key of its own');
    const key = keys[2];
    const ann = peer('r: ä', 'a:b', { key });
    await ann.open();
    await ann.sends({ type: 'x', target: 'a:b' });
    await ann.receives('{"type":"x","payload":null,"senderId":"a:b"}');
    await ann.resume();
  });

  test('a key that the client has made up is ignored, and is no credential', async () => {
    const token = mint({ room: 'own', sub: 'ann' });
    const key = await register(peer('own', 'ann', { token, key: 'my own key' }));
    assert.match(key, /^\d{10}\.[\w-]{64}$/);
    for (const answer of await uses(peer('own', 'ann', { key: 'my own key' }))) {
      const message = isRefused(answer);
      assert.match(message, /^the key is not valid for this peer.*Register with a token/);
    }
    // Nobody has used the key of the server yet, so the id is not locked.
    const next = await register(peer('own', 'ann', { token, key: 'another one' }));
    isRefused(await peer('own', 'ann', { key }).post({ type: 'x' }), 409, 'id-taken');
    await peer('own', 'ann', { key: next }).sends({ type: 'x' });
    const eve = peer('own', 'ann', { token: mint({ room: 'own' }), key: 'my own key' });
    isRefused(await eve.register(), 409, 'id-taken');
  });

  test('a key is refused if it is for another peer, changed, expired or unsigned, and asks no room', async () => {
    const [room, id, exp] = ['attacked', 'bob', soon()];
    const key = await register(peer(room, id, { token: mint({ room, exp }) }));
    const bob = peer(room, id, { key });
    await bob.open();
    const [, signature] = key.split('.');
    /** @type {Record<string, string>} */
    const forged = {
      'of another room': keyOf({ exp, room: 'another', id }),
      'of another peer': keyOf({ exp, room, id: 'ann' }),
      'of another secret': keyOf({ exp, room, id, secret: OLD_SECRET }),
      'with room and id exchanged': keyOf({ exp, room: id, id: room }),
      'that has expired': keyOf({ exp: now() - 1, room, id }),
      'that expires now': keyOf({ exp: now(), room, id }),
      'with a later expiry': `${exp + 1}.${signature}`,
      'with an expiry in front': `9${exp}.${signature}`,
      'with a sign': keyOf({ exp: `+${exp}`, room, id }),
      'with a fraction': keyOf({ exp: `${exp}.5`, room, id }),
      'with a huge expiry': keyOf({ exp: '9'.repeat(40), room, id }),
      'without an expiry': keyOf({ exp: '', room, id }),
      'without a signature': `${exp}.`,
      'that is a signature': signature,
      'that is half a signature': key.slice(0, -20),
      'with more after it': `${key}x`,
      'with padding': `${key}=`,
      'with a space in front': ` ${key}`,
      'in capitals': key.toUpperCase(),
      'that is text': 'open sesame',
      'with characters of 4 bytes': '🔑'.repeat(128),
    };
    const objects = countObjects(folder);
    for (const [name, key] of Object.entries(forged)) {
      const eve = peer(room, id, { key });
      for (const answer of await uses(eve)) isRefused(answer, 401, 'unauthorized', name);
      assert.equal((await eve.request(undefined, 'HEAD')).statusCode, 401, name);
      const elsewhere = peer(`never ${name}`, id, { key });
      for (const answer of await uses(elsewhere)) isRefused(answer, 401, 'unauthorized', name);
    }
    for (const answer of await uses(peer(room, id, { key: forged['that has expired'] })))
      assert.match(isRefused(answer), /^the key has expired.*Register again with a new token/);
    for (const answer of await uses(peer(room, id, {}))) isRefused(answer);
    for (const answer of await uses(peer(room, 'ann', { key }))) isRefused(answer);
    const twice = `/message/${room}/${id}?key=${key}&key=${key}`;
    isRefused(await workerd.at.tokens.request(twice, { method: 'POST' }), 400, 'bad-key');
    assert.equal(countObjects(folder), objects, 'no room was asked');
    await bob.sends({ type: 'still', target: 'bob' });
    await bob.receives('{"type":"still","payload":null,"senderId":"bob"}');
    assert.ok(bob.stream && !bob.stream.ended);
  });

  test('one valid credential is enough, and the room compares the key', async () => {
    const [room, id, exp] = ['both', 'bob', soon()];
    const token = mint({ room, exp });
    const key = await register(peer(room, id, { token }));
    const expired = mint({ room, exp: 1 });
    await peer(room, id, { token: expired, key }).sends({ type: 'x' });
    for (const answer of await uses(peer(room, id, { token: expired, key: 'x' })))
      assert.match(isRefused(answer), /^the token has expired/);
    // The id is locked now. A token does not replace the key of the peer.
    for (const wrong of [undefined, 'x', keyOf({ exp: exp + 1, room, id })])
      for (const answer of await uses(peer(room, id, { token, key: wrong })))
        isRefused(answer, 409, 'id-taken', wrong);
  });

  test('a peer whose key has expired registers again with it', async () => {
    const [room, id] = ['expired', 'ann'];
    // Registers until the short token is still valid when it arrives, also on a slow machine.
    let exp = 0;
    let answer;
    do {
      exp = now() + 2;
      answer = await peer(room, id, { token: mint({ room, exp }) }).register();
    } while (answer.status === 401);
    const key = JSON.parse(answer.text).key;
    assert.equal(key.split('.')[0], String(exp));
    const token = mint({ room });
    // The first use of the key locks the id. The token permits it, whether the key has expired or not.
    await peer(room, id, { token, key }).sends({ type: 'x' });
    while (now() < exp) await setTimeout(50);
    for (const answer of await uses(peer(room, id, { key })))
      assert.match(isRefused(answer), /^the key has expired/);
    for (const proof of [undefined, 'x', keyOf({ exp: exp - 1, room, id }), `${key}x`]) {
      const eve = peer(room, id, { token: mint({ room }), key: proof });
      isRefused(await eve.register(), 409, 'id-taken', proof);
    }
    isRefused(await peer(room, id, { key }).register());
    const lost = await register(peer(room, id, { token, key }));
    assert.notEqual(lost, key);
    // The id stays locked, although nobody has used the renewed key.
    isRefused(await peer(room, id, { token: mint({ room }) }).register(), 409, 'id-taken');
    // The client did not get the answer, so it registers with the old key again.
    const next = await register(peer(room, id, { token, key }));
    const ann = peer(room, id, { key: next });
    await ann.open();
    await ann.sends({ type: 'x', target: id });
    await ann.receives('{"type":"x","payload":null,"senderId":"ann"}');
    // A WebSocket that shows the key takes the peer over.
    await Peer.join(workerd.at.tokens, room, id, { key: next, token });
  });

  test('with ROOM_SECRET_PREVIOUS, tokens and keys of both secrets are valid', async () => {
    const [room, id, exp] = ['rotated', 'bob', soon()];
    const at = (/** @type {import('../support/http-peer.mjs').Credentials} */ who) =>
      new HttpPeer(workerd.at.rotated, room, id, who);
    const oldKey = keyOf({ exp, room, id, secret: OLD_SECRET });
    // The Worker accepts the key, so the room answers.
    isRefused(await at({ key: oldKey }).post({ type: 'x' }), 409, 'not-registered');
    let key = '';
    for (const secret of [ROOM_SECRET, OLD_SECRET]) {
      key = await register(at({ token: mint({ room, exp }, secret) }));
      const expected = keyOf({ exp, room, id, nonce: nonceOf(key) });
      assert.equal(key, expected, 'the current secret signs');
    }
    await at({ key }).sends({ type: 'x' });
    const older = 'a secret that is neither of them, but long';
    isRefused(await at({ key: keyOf({ exp, room, id, secret: older }) }).post({ type: 'x' }));
    isRefused(await at({ token: mint({ room }, older) }).register());
    // Without the setting, the old secret opens nothing.
    isRefused(await peer(room, id, { key: oldKey }).post({ type: 'x' }));
    isRefused(await peer(room, id, { token: mint({ room }, OLD_SECRET) }).register());
  });
});

test('a client cannot send the headers with which the Worker tells a room the key', async () => {
  const headers = { 'X-Key': 'forged' };
  const ann = new HttpPeer(workerd.at.open, 'headers', 'ann', { headers });
  assert.match(await register(ann), /^[0-9a-f]{32}$/);
  const token = mint({ room: 'headers' });
  const bob = peer('headers', 'bob', { token });
  const key = await register(bob);
  await peer('headers', 'bob', { key }).sends({ type: 'x' });
  const eve = peer('headers', 'bob', { token, headers: { 'X-Key': key } });
  isRefused(await eve.register(), 409, 'id-taken');
});

test('without ROOM_SECRET, the client chooses its key, or needs none', async () => {
  const of = (/** @type {import('../support/http-peer.mjs').Credentials} */ who, id = 'ann') =>
    new HttpPeer(workerd.at.open, 'free', id, who);
  const key = keyOf({ exp: 1, room: 'free', id: 'ann' });
  assert.equal(await register(of({ key })), key, 'even one that looks like a key of the server');
  await of({ key }).sends({ type: 'x' });
  for (const wrong of [undefined, 'x'])
    isRefused(await of({ key: wrong }).post({ type: 'x' }), 409, 'id-taken');
  await register(of({}, 'bob'));
  await of({}, 'bob').sends({ type: 'x' });
});
