// @ts-check
/** What README shows works when it is pasted. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const ROOM_SECRET = 'a secret of more than thirty-two bytes, for the tests';
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** @type {import('../support/workerd.mjs').Workerd<'open' | 'tokens'>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({ open: {}, tokens: { ROOM_SECRET } });
});
after(() => workerd?.stop());

/**
 * The first block of code in this language that has this in it.
 * @param {string} language
 * @param {string} part
 */
function block(language, part) {
  const blocks = readme
    .split(`\n\`\`\`${language}\n`)
    .slice(1)
    .map((text) => text.split('\n```')[0]);
  const found = blocks.find((text) => text.includes(part));
  assert.ok(found, `README has no ${language} with ${part}`);
  return found;
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 * @param {string} [cwd]
 */
async function run(command, args, env = process.env, cwd = ROOT) {
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
  const [code] = await once(child, 'close');
  return { code, said };
}

test('a session of curl alone', async () => {
  const pasted = block('sh', '/events/');
  assert.ok(pasted.includes('http://localhost:1999'), 'it is for the server that npm start runs');
  const script = pasted.replace('http://localhost:1999', workerd.at.open.origin);
  const { said } = await run('bash', ['-c', script]);
  assert.equal(said.match(/session registered successfully/g)?.length, 2, said);
  assert.match(said, /"message":"Message sent"/);
  assert.match(said, /data: \{"type":"new-peer","senderId":"phone"\}\n/);
  assert.match(said, /data: \{"type":"offer","payload":\{"sdp":"…"\},"senderId":"phone"\}\n/);
});

test('a token made in three lines of Node lets in, and only whom it is for', async () => {
  const lines = block('js', 'jsonwebtoken');
  assert.equal(lines.split('\n').length, 3);
  const folder = await mkdtemp(join(ROOT, 'target', 'readme-'));
  try {
    await writeFile(join(folder, 'mint.mjs'), `${lines}\nconsole.log(token);\n`);
    const { code, said } = await run(
      process.execPath,
      ['mint.mjs'],
      { ...process.env, ROOM_SECRET },
      folder,
    );
    assert.equal(code, 0, said);
    const token = said.trim();
    await Peer.join(workerd.at.tokens, 'demo', 'ann', {
      protocols: ['partyline', `token.${token}`],
    });
    assert.equal(
      (await new HttpPeer(workerd.at.tokens, 'demo', 'ann', { token }).register()).status,
      200,
    );
    assert.equal(
      (await new HttpPeer(workerd.at.tokens, 'demo', 'bob', { token }).register()).status,
      401,
    );
    assert.equal(
      (await new HttpPeer(workerd.at.tokens, 'other', 'ann', { token }).register()).status,
      401,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
