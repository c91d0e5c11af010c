// @ts-check
/** Runs the back ends in examples/, in Node and in Rust, and the page in docs/auth.md that uses them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterEach, before, describe, test } from 'node:test';
import { root, show } from '../../scripts/run.mjs';
import { until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer, within } from '../support/peer.mjs';
import { Site } from '../support/site.mjs';
import { ROOM_SECRET, sign } from '../support/token.mjs';
import { Server, startWorkerd } from '../support/workerd.mjs';

/** The origin of the page that may use the back ends, unless a test uses a real page. */
const ORIGIN = 'https://game.example';
const BOB = basic('bob', 'green kettle');
const ANN = basic('ann', 'blue lantern');

const auth = readFileSync(join(root, 'docs', 'auth.md'), 'utf8');

/** @typedef {'Node' | 'Rust'} Name */
/** @type {Record<Name, string[]>} */
const COMMANDS = {
  Node: [process.execPath, join(root, 'examples', 'token-server.mjs')],
  Rust: [join(root, 'target', 'debug', 'examples', 'token-server')],
};

/** @type {import('../support/workerd.mjs').Workerd<Name>} */
let workerd;
const pages = new Pages();
/** The website that uses the back ends. */
const site = new Site();
/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

before(() => {
  // After `cargo test`, which builds the examples, this takes a second.
  assert.ok(
    show(['cargo', 'build', '--locked', '--example', 'token-server']),
    'the example compiles',
  );
});
useFixtures(
  {
    start: async () =>
      (workerd = await startWorkerd(
        { Node: { ROOM_SECRET }, Rust: { ROOM_SECRET } },
        { assets: true },
      )),
    stop: () => workerd?.stop(),
  },
  pages,
  site,
);
afterEach(async () => {
  for (const child of children) {
    child.kill();
    await once(child, 'close');
  }
  children.clear();
});

/** Returns the header of a login. @param {string} id @param {string} password */
function basic(id, password) {
  return { Authorization: `Basic ${Buffer.from(`${id}:${password}`).toString('base64')}` };
}

/**
 * Returns the code block of docs/auth.md in this language that contains `part`.
 * @param {string} language
 * @param {string} part
 */
function block(language, part) {
  const blocks = auth.split(`\n\`\`\`${language}\n`).slice(1);
  const found = blocks.map((text) => text.split('\n```')[0]).find((text) => text.includes(part));
  assert.ok(found, `docs/auth.md has no ${language} with ${part}`);
  return found;
}

/** Runs a script of the documentation. Returns its output. @param {string} script */
async function run(script) {
  const child = spawn('bash', ['-ec', script], {
    cwd: root,
    env: { ...process.env, ROOM_SECRET },
    stdio: ['ignore', 'pipe', 'ignore'], // curl reports its progress to stderr
  });
  return (await child.stdout.setEncoding('utf8').toArray()).join('');
}

/** Starts a back end, for a page of this origin. @param {Name} name */
async function startBackEnd(name, origin = ORIGIN, secret = ROOM_SECRET) {
  const [command, ...args] = COMMANDS[name];
  const env = { ROOM_SECRET: secret, WORKER: workerd.at[name].origin, ORIGIN: origin, PORT: '0' };
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  child.stderr.pipe(process.stderr, { end: false });
  const [line] = await within(once(child.stdout, 'data'), 'the back end listens');
  return new Server(Number(/port (\d+)/.exec(String(line))?.[1]));
}

/**
 * Sends a POST request to a back end.
 * @param {Server} backEnd
 * @param {string} path
 * @param {object | string} body
 * @param {Record<string, string>} headers
 */
async function post(backEnd, path, body, headers) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await backEnd.request(path, {
    method: 'POST',
    headers: { ...headers, 'Content-Length': String(Buffer.byteLength(text)) },
    body: text,
  });
  return { ...answer, json: JSON.parse(answer.text) };
}

/**
 * Sends bytes over TCP. Returns the status of each response, and the end of the connection as 0. Returns
 * early if `count` responses have arrived.
 * @param {Server} backEnd
 * @param {string} bytes
 */
async function statuses({ port }, bytes, count = Infinity) {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {}); // an `error` is an end, too
  socket.setTimeout(10_000, () => socket.destroy(new Error('no end')));
  socket.write(bytes);
  let text = '';
  const found = () => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
  try {
    for await (const chunk of socket) {
      text += chunk;
      if (found().length >= count) return found();
    }
  } catch {} // the connection was reset
  return [...found(), 0];
}

test('the curl session in auth.md lists the peers of a room, removes one and closes the room', async () => {
  const server = workerd.at.Node;
  const script = block('sh', '/admin/demo').replace('http://localhost:1999', server.origin);
  const exp = Math.floor(Date.now() / 1000) + 60;
  const token = (/** @type {string} */ sub) => sign({ room: 'demo', sub, exp });
  const ann = await Peer.join(server, 'demo', 'ann', { token: token('ann') });
  const carl = await Peer.join(server, 'demo', 'carl', { token: token('carl') });
  const said = await run(script.replaceAll('bob', 'carl'));
  assert.equal(said, '{"ids":["ann","carl"]}\n{"removed":1}\n{"removed":1}\n');
  await carl.isClosed(4012, 'removed');
  await ann.isClosed(4012, 'removed');
});

for (const name of /** @type {Name[]} */ (['Node', 'Rust']))
  describe(`the back end in ${name}`, () => {
    test('gives users a token for their id and their rooms', async () => {
      const backEnd = await startBackEnd(name);
      const { status, headers, json } = await post(backEnd, '/token', { room: 'demo' }, BOB);
      assert.deepEqual([status, Object.keys(json)], [200, ['token']]);
      assert.equal(headers['cache-control'], 'no-store');
      const { token } = json;
      const [, claims] = token
        .split('.')
        .map((/** @type {string} */ part) => Buffer.from(part, 'base64url'));
      const { exp, iat, ...rest } = JSON.parse(String(claims));
      assert.deepEqual(rest, { room: 'demo', sub: 'bob' });
      assert.ok(Math.abs(exp - Date.now() / 1000 - 300) < 60, 'the token expires in 5 minutes');

      const at = workerd.at[name];
      const bob = await Peer.join(at, 'demo', 'bob', {
        protocols: ['partyline', `token.${token}`],
      });
      for (const [room, id, join] of [
        ['demo', 'bob', {}],
        ['demo', 'ann', { token }],
        ['attic', 'bob', { token }],
      ]) {
        const peer = await Peer.connect(at, String(room), {
          id: String(id),
          .../** @type {{}} */ (join),
        });
        await peer.isClosed(4010, 'unauthorized');
        const registered = await new HttpPeer(
          at,
          String(room),
          String(id),
          /** @type {{}} */ (join),
        ).register();
        assert.equal(registered.status, 401);
      }
      await bob.close(1000);
    });

    test('refuses everything else', async () => {
      const backEnd = await startBackEnd(name);
      const room = { room: 'demo' };
      for (const [expected, path, body, headers] of /** @type {const} */ ([
        [401, '/token', room, {}],
        [401, '/token', room, basic('bob', 'blue lantern')],
        [401, '/token', room, basic('bob', '')],
        [401, '/token', room, basic('eve', '')],
        [401, '/token', room, { Authorization: 'Basic !' }],
        [401, '/token', room, { Authorization: `Bearer ${ROOM_SECRET}` }],
        [403, '/token', room, { ...BOB, Origin: 'https://evil.example' }],
        [403, '/token', { room: 'attic' }, BOB],
        [403, '/token', { room: '*' }, BOB],
        [403, '/token', { room: ['demo'] }, BOB],
        [403, '/token', {}, BOB],
        [403, '/remove', { room: 'demo', id: 'ann' }, BOB],
        [403, '/remove', { room: 'attic', id: 'bob' }, ANN],
        [400, '/remove', { room: 'demo', id: 'a b' }, ANN],
        [400, '/remove', { room: 'demo' }, ANN],
        [401, '/remove', { room: 'demo', id: 'bob' }, {}],
        [400, '/token', 'demo', BOB],
        [400, '/token', '"demo"', BOB],
        [400, '/token', 'null', BOB],
        [413, '/token', { room: 'demo', text: 'x'.repeat(1024) }, BOB],
        [404, '/constructor', room, BOB],
        [404, '/', room, BOB],
      ])) {
        const { status, json } = await post(backEnd, path, body, headers);
        assert.deepEqual(
          [status, Object.keys(json)],
          [expected, ['error']],
          `${path} ${JSON.stringify(body)}`,
        );
      }
      const { status, headers } = await backEnd.request('/token', { headers: BOB });
      assert.deepEqual([status, headers.allow], [405, 'OPTIONS, POST']);
      const login = await post(backEnd, '/token', room, {});
      assert.equal(login.headers['www-authenticate'], 'Basic realm="rooms"');
      assert.equal((await post(backEnd, '/token', room, { ...BOB, Origin: ORIGIN })).status, 200);
    });

    test('survives a huge body that is never sent', async () => {
      const backEnd = await startBackEnd(name);
      for (const length of ['1000000000000', '9223372036854775807', '99999999999999999999'])
        for (const login of ['', `Authorization: ${BOB.Authorization}\r\n`]) {
          const head = `POST /token HTTP/1.1\r\nHost: x\r\n${login}Content-Length: ${length}\r\n\r\n`;
          const [status] = await statuses(backEnd, head, 1);
          assert.ok([400, login ? 413 : 401].includes(Number(status)), `${length}: ${status}`);
        }
      assert.equal((await post(backEnd, '/token', { room: 'demo' }, BOB)).status, 200);
    });

    test('does not take a part of a body for a request', async () => {
      const backEnd = await startBackEnd(name);
      const close = 'HTTP/1.1\r\nHost: x\r\nConnection: close\r\n';
      const hidden = `POST /hidden ${close}Content-Length: 0\r\n\r\n`; // the answer would be 404
      const chunks = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
      for (const login of ['', `Authorization: ${BOB.Authorization}\r\n`]) {
        const head = `POST /token HTTP/1.1\r\nHost: x\r\n${login}`;
        const refusal = login ? 413 : 401;
        const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}`;
        assert.deepEqual(
          await statuses(backEnd, `${chunked}GET /token ${close}\r\n`),
          [refusal, 405, 0],
          'the body is in chunks',
        );
        const two = `Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n`;
        assert.deepEqual(await statuses(backEnd, head + two + hidden), [400, 0], 'two lengths');
      }
      assert.equal((await post(backEnd, '/token', { room: 'demo' }, BOB)).status, 200);
    });

    test('answers the command in auth.md with a token', async () => {
      const backEnd = await startBackEnd(name);
      const [command = ''] = /curl -u .*/.exec(auth) ?? [];
      assert.ok(command.includes('http://localhost:8080'), 'auth.md has the command');
      const said = await run(command.replace('http://localhost:8080', backEnd.origin));
      assert.deepEqual(Object.keys(JSON.parse(said)), ['token']);
    });

    test('gives the page in auth.md a token', async () => {
      const backEnd = await startBackEnd(name, site.origin);
      const sample = block('js', '/token');
      const pasted = sample
        .replace('http://localhost:8080', backEnd.origin)
        .replace('http://localhost:1999', workerd.at[name].origin)
        // A static import is not allowed in a function.
        .replace(/^import ({.*}) from (".*");/, 'const $1 = await import($2);');
      const login = await post(backEnd, '/token', { room: 'demo' }, ANN);
      const ann = await Peer.join(workerd.at[name], 'demo', 'ann', login.json);
      const page = await pages.open('bob', site.origin);
      await page.evaluate(`(async () => { ${pasted}\n globalThis.room = room; })()`);
      const isJoined = () => /** @type {any} */ (globalThis).room?.state === 'joined';
      await until(page, 'the page joins', isJoined);
      await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
      await page.evaluate(() => /** @type {any} */ (globalThis).room.close());
      while (JSON.parse(await ann.next()).type !== 'peer-left');
      await ann.close(1000);
    });

    test('logs why the Worker refuses a request', async () => {
      const backEnd = await startBackEnd(
        name,
        ORIGIN,
        'another secret, which the Worker does not have',
      );
      const [{ stderr }] = children;
      let log = '';
      stderr?.setEncoding('utf8').on('data', (text) => (log += text));
      const refused = await post(backEnd, '/remove', { room: 'demo', id: 'bob' }, ANN);
      assert.deepEqual([refused.status, refused.json], [502, { error: 'the request failed' }]);
      while (!log.includes('\n'))
        await within(once(/** @type {any} */ (stderr), 'data'), 'the log');
      assert.match(log, /the Worker answered 401: .*the signature of the token does not match/);
    });

    test('removes a user for the owner of the room', async () => {
      const backEnd = await startBackEnd(name);
      const { token } = (await post(backEnd, '/token', { room: 'demo' }, BOB)).json;
      const join = { protocols: ['partyline', `token.${token}`] };
      const bob = await Peer.join(workerd.at[name], 'demo', 'bob', join);
      const removed = await post(backEnd, '/remove', { room: 'demo', id: 'bob' }, ANN);
      assert.deepEqual([removed.status, removed.json], [200, { removed: 1 }]);
      await bob.isClosed(4012, 'removed');
      // The old token is still valid, but the id is refused.
      const again = await Peer.connect(workerd.at[name], 'demo', { id: 'bob', ...join });
      await again.isClosed(4012, 'removed');
      assert.equal((await post(backEnd, '/token', { room: 'demo' }, BOB)).status, 403);
    });
  });
