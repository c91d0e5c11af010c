// @ts-check
/**
 * Checks README and docs/: samples work when they are pasted, links resolve, and documented
 * settings match wrangler.toml.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const ROOM_SECRET = 'a secret of more than thirty-two bytes, for the tests';
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const README_LINES = 150;

/** @param {string} file */
const read = (file) => readFileSync(join(ROOT, file), 'utf8');

/**
 * Returns the first code block of a page in this language that contains `part`.
 * @param {string} file
 * @param {string} language
 * @param {string} part
 */
function block(file, language, part) {
  const blocks = read(file)
    .split(`\n\`\`\`${language}\n`)
    .slice(1)
    .map((text) => text.split('\n```')[0]);
  const found = blocks.find((text) => text.includes(part));
  assert.ok(found, `${file} has no ${language} with ${part}`);
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

describe('samples', () => {
  /** @type {import('../support/workerd.mjs').Workerd<'open' | 'tokens'>} */
  let workerd;
  /** @type {Pages} */
  let pages;
  before(async () => {
    workerd = await startWorkerd({ open: {}, tokens: { ROOM_SECRET } }, { assets: true });
    pages = new Pages(workerd.at.open);
    await pages.start();
  });
  after(async () => {
    await pages?.stop();
    await workerd?.stop();
  });

  test('the sample page in README chats with a second window', async () => {
    const pasted = block('README.md', 'html', '/room.js');
    assert.ok(pasted.split('\n').length <= 15, 'the sample has at most 15 lines');
    assert.ok(pasted.includes('http://localhost:1999'), 'it uses the server of npm start');
    const body = pasted
      .replace('http://localhost:1999', workerd.at.open.origin)
      .replace('"demo"', JSON.stringify(newRoom()));
    // Serves the page from another origin, like a page on another site.
    const site = http.createServer((_, response) =>
      response.setHeader('Content-Type', 'text/html; charset=utf-8').end(body),
    );
    await new Promise((resolve) => site.listen(0, '127.0.0.1', () => resolve(undefined)));
    const { port } = /** @type {import('node:net').AddressInfo} */ (site.address());
    try {
      const ann = await pages.open('ann', `http://127.0.0.1:${port}`);
      const bob = await pages.open('bob', `http://127.0.0.1:${port}`);
      await Promise.all([ann, bob].map((page) => shows(page, ' joined')));
      await ann.fill('input', 'a pasted hello');
      await ann.click('button');
      await shows(bob, ': a pasted hello');
      await ann.close();
      await shows(bob, ' left');
      await pages.tidy();
    } finally {
      site.closeAllConnections();
      site.close();
    }
  });

  /** @param {import('playwright-core').Page} page @param {string} text */
  const shows = (page, text) =>
    until(page, text, (text) => document.body.innerText.includes(text), text);

  test('the curl session in http.md runs as pasted', async () => {
    const pasted = block('docs/http.md', 'sh', '/events/');
    assert.ok(pasted.includes('http://localhost:1999'), 'it uses the server of npm start');
    const script = pasted.replace('http://localhost:1999', workerd.at.open.origin);
    const { said } = await run('bash', ['-c', script]);
    assert.equal(said.match(/session registered successfully/g)?.length, 2, said);
    assert.match(said, /"message":"Message sent"/);
    assert.match(said, /data: \{"type":"new-peer","senderId":"phone"\}\n/);
    assert.match(said, /data: \{"type":"offer","payload":\{"sdp":"…"\},"senderId":"phone"\}\n/);
  });

  test('the Socket.IO sample in dialects.md greets the peers of its room', async () => {
    const room = newRoom();
    const ann = await Peer.join(workerd.at.open, room, 'ann');
    const sample = block('docs/dialects.md', 'js', 'socket.io-client')
      .replace('https://your-worker.example', workerd.at.open.origin)
      .replace('"demo"', JSON.stringify(room));
    // The folder is in the repository, because the sample imports a package from node_modules.
    await mkdir(join(ROOT, 'target'), { recursive: true });
    const folder = await mkdtemp(join(ROOT, 'target', 'readme-'));
    try {
      const end = 'socket.on("hello", () => socket.disconnect());';
      await writeFile(join(folder, 'sample.mjs'), `${sample}\n${end}\n`);
      const running = run(process.execPath, ['sample.mjs'], process.env, folder);
      await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
      await ann.receives({ type: 'hello', from: 'bob', payload: { from: 'bob' } });
      ann.send({ type: 'hello', to: 'bob', payload: 'welcome' });
      assert.deepEqual(await running, { code: 0, said: 'welcome ann\n' });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('the curl session in http.md for a server with tokens runs as pasted', async () => {
    const pasted = block('docs/http.md', 'sh', 'Bearer');
    const script = pasted.replace('http://localhost:1999', workerd.at.tokens.origin);
    assert.notEqual(script, pasted, 'it uses the server of npm start');
    const { said } = await run('bash', ['-c', script], { ...process.env, ROOM_SECRET });
    assert.match(said, /"message":"Message sent"/);
    assert.match(said, /retry: 1000\nid: \d{16}\n/);
  });

  test('the token of the Node sample admits only its peer and room', async () => {
    const lines = block('docs/auth.md', 'js', 'jsonwebtoken');
    assert.equal(lines.split('\n').length, 3);
    // The folder is in the repository, because the sample imports a package from node_modules.
    await mkdir(join(ROOT, 'target'), { recursive: true });
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
});

test('README, connections.md and recipes.md have the token function of auth.md, which a test of the back ends runs', () => {
  const sample = block('docs/auth.md', 'js', '/token"');
  assert.match(sample, /^import .*\n\nconst login/);
  for (const file of ['README.md', 'docs/connections.md', 'docs/recipes.md'])
    assert.equal(block(file, 'js', '/token"'), sample.replace(/^import .*\n\n/, ''), file);
});

test('recipes.md and the README of the package have the bot of client.md, which werift.test.mjs runs', () => {
  const sample = block('docs/client.md', 'js', '"werift"');
  for (const file of ['docs/recipes.md', 'package/README.md'])
    assert.equal(block(file, 'js', '"werift"'), sample, file);
});

test(`README has at most ${README_LINES} lines`, () => {
  const lines = read('README.md').trimEnd().split('\n').length;
  assert.ok(lines <= README_LINES, `${lines} lines`);
});

test('deploy.md lists the settings of wrangler.toml with their default values', () => {
  const [, vars] = read('wrangler.toml').split('\n[vars]\n');
  assert.ok(vars, 'wrangler.toml has [vars]');
  const settings = vars.split('\n[')[0].matchAll(/^(\w+) = "(.*)"$/gm);
  const [, documented] = read('docs/deploy.md').split('\n## Settings\n');
  const rows = documented.split('\n## ')[0].matchAll(/^\| `(\w+)` \| (\S+) \|/gm);
  assert.deepEqual(
    [...rows].map(([, name, value]) => [name, value === '(empty)' ? '' : value.slice(1, -1)]),
    [...settings].map(([, name, value]) => [name, value]),
  );
});

for (const [heading, type] of [
  ['Options', 'RoomOptions'],
  ['Events', 'RoomEvents'],
]) {
  test(`client.md documents every member of ${type}, and no others`, () => {
    const body = new RegExp(`interface ${type} {\n([^]*?)\n}`).exec(read('public/room.d.ts'))?.[1];
    const members = [...(body ?? '').matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name);
    const [, section] = read('docs/client.md').split(`\n## ${heading}\n`);
    const [table] = section.split('\n\n').filter((part) => part.startsWith('|'));
    const rows = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
    assert.deepEqual(rows, members);
  });
}

const PAGES = [
  'README.md',
  'CHANGELOG.md',
  ...['docs', '.github'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];

/**
 * Returns a page without its code blocks, because a `#` in a code block is no heading.
 * @param {string} file
 */
const prose = (file) => read(file).replace(/^```[^]*?^```/gm, '');

/** Returns the anchors that GitHub generates for the headings of a page. @param {string} file */
function anchors(file) {
  /** @type {Map<string, number>} */
  const times = new Map();
  return [...prose(file).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = text.replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-');
    const count = times.get(slug) ?? 0;
    times.set(slug, count + 1);
    return count ? `${slug}-${count}` : slug;
  });
}

for (const page of PAGES) {
  test(`every relative link of ${page} leads to a file and a heading`, () => {
    const links = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);
    const broken = links.filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [path, anchor] = link.split('#');
      const file = path ? relative(ROOT, join(ROOT, dirname(page), path)) : page;
      if (!existsSync(join(ROOT, file))) return true;
      return anchor !== undefined && !anchors(file).includes(anchor);
    });
    assert.deepEqual(broken, []);
  });
}
