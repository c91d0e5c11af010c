// @ts-check
/** On a server that requires tokens, the status of a room is shown to clients with a token only. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SignJWT } from 'jose';
import jsonwebtoken from 'jsonwebtoken';
import { countObjects } from '../support/objects.mjs';
import { Peer } from '../support/peer.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const folder = mkdtempSync(join(tmpdir(), 'partyline-status-'));
const HTML = 'text/html,*/*;q=0.8';

/** @type {import('../support/workerd.mjs').Workerd<'tokens' | 'open'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({ tokens: { ROOM_SECRET }, open: {} }, { persist: folder });
});
after(async () => {
  await workerd?.stop();
  rmSync(folder, { recursive: true });
});

/** @param {object} claims @param {string} [secret] */
const mint = (claims, secret = ROOM_SECRET) =>
  jsonwebtoken.sign(claims, secret, { expiresIn: '10m' });

/** @param {string} query @param {Record<string, string>} [headers] @param {string} [method] */
const ask = (query, headers, method) =>
  workerd.at.tokens.request(`/parties/main/${query}`, { headers, method });

test('without a valid token, the status has no number and creates no object', async () => {
  const ann = await Peer.join(workerd.at.tokens, 'secret', 'ann', { token: mint({ room: '*' }) });
  const objects = countObjects(folder);
  /** @type {[string, Record<string, string>?][]} */
  const requests = [
    [''],
    ['?token='],
    ['?token=x'],
    [`?token=${mint({ room: 'other' })}`],
    [`?token=${mint({ room: 'secret' }, 'x'.repeat(32))}`],
    [`?token=${jsonwebtoken.sign({ room: 'secret', exp: 1 }, ROOM_SECRET)}`],
    [`?token=${mint({ room: 'secret' })}&token=${mint({ room: 'secret' })}`],
    [`?token=${mint({ room: 'secret' })}`, { Authorization: `Bearer ${mint({ room: '*' })}` }],
    ['', { Authorization: 'Bearer x' }],
    ['', { Authorization: `Basic ${mint({ room: '*' })}` }],
  ];
  for (const [query, headers] of requests) {
    const { status, text } = await ask(`secret${query}`, headers);
    assert.deepEqual([status, text], [200, '{"status":"ok","room":"secret"}'], query);
    const page = await ask(`secret${query}`, { ...headers, Accept: HTML });
    assert.equal(page.status, 200);
    assert.match(page.headers['content-type'] ?? '', /^text\/html/);
    assert.match(page.text, /<h1>secret<\/h1>/);
    assert.match(page.text, /You need a token/);
    assert.doesNotMatch(page.text, /peer is here|peers are here|Nobody is here|In memory since/);
  }
  for (let n = 0; n < 5; n += 1) await ask(`never-${n}`);
  assert.equal((await ask('never', {}, 'HEAD')).status, 200);
  assert.equal(countObjects(folder), objects, 'no room was asked');
  await ask('never-0', { Authorization: `Bearer ${mint({ room: '*' })}` });
  assert.equal(countObjects(folder), objects + 1, 'a room that is asked has a file');
  await ann.close(1000);
});

test('with a valid token, the status has the number of peers', async () => {
  const secret = new TextEncoder().encode(ROOM_SECRET);
  const ofJose = new SignJWT({ room: 'shown' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('10m')
    .sign(secret);
  const tokens = [
    mint({ room: 'shown' }),
    mint({ room: '*' }),
    mint({ room: 'shown', sub: 'ann' }),
    await ofJose,
  ];
  const ann = await Peer.join(workerd.at.tokens, 'shown', 'ann', { token: tokens[0] });
  for (const token of tokens)
    for (const { status, text } of [
      await ask(`shown?token=${token}`),
      await ask('shown', { Authorization: `Bearer ${token}` }),
    ]) {
      const { awakeSince, ...rest } = JSON.parse(text);
      assert.equal(status, 200);
      assert.deepEqual(rest, { status: 'ok', room: 'shown', peers: 1 });
      assert.equal(new Date(awakeSince).toISOString(), awakeSince);
    }
  const page = await ask(`shown?token=${tokens[0]}`, { Accept: HTML });
  assert.match(page.text, /One peer is here/);
  await ann.close(1000);
});

test('without ROOM_SECRET, a token in the URL of a status is ignored', async () => {
  assert.equal((await workerd.at.open.status('public')).peers, 0);
  const { status, text } = await workerd.at.open.request('/parties/main/public?token=x');
  assert.deepEqual([status, JSON.parse(text).peers], [200, 0]);
});

test('a room named * is refused everywhere, because a token for it would open every room', async () => {
  const token = mint({ room: '*' });
  for (const server of [workerd.at.open, workerd.at.tokens]) {
    for (const [method, path] of [
      ['GET', '/parties/main/*'],
      ['GET', '/parties/main/%2A'],
      ['POST', '/register/*/ann'],
      ['POST', '/message/*/ann'],
      ['GET', '/events/%2a/ann'],
      ['GET', '/live/*'],
      ['GET', '/ice-servers?room=*'],
    ]) {
      const authorization = { Authorization: `Bearer ${token}` };
      const { status, text } = await server.request(path, { method, headers: authorization });
      assert.deepEqual([status, JSON.parse(text).error.code], [400, 'bad-room'], path);
      assert.match(text, /means every room in a token/);
    }
    const upgraded = await server.upgrade(`/parties/main/*?token=${token}`);
    assert.deepEqual([upgraded.status, JSON.parse(upgraded.text).error.code], [400, 'bad-room']);
    const engine = await server.request('/socket.io/?EIO=4&transport=polling&room=*');
    assert.equal(engine.status, 400, engine.text);
  }
});
