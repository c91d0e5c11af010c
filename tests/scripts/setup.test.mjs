// @ts-check
/**
 * The first contact of a new user: what the scripts print in a fresh clone, without npm packages, if
 * something is missing. Each problem has one message, exit code 1, and no stack trace.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const clone = mkdtempSync(join(tmpdir(), 'partyline-clone-'));
/** A registry on a port at which no server listens. */
const UNREACHABLE = { npm_config_registry: 'http://127.0.0.1:9/' };

before(() => {
  const files = ['package.json', 'package-lock.json', 'Cargo.toml', 'Cargo.lock', 'wrangler.toml'];
  for (const file of [...files, 'patches', 'scripts', 'src'])
    cpSync(join(ROOT, file), join(clone, file), { recursive: true });
  mkdirSync(join(clone, 'empty'));
});
after(() => rmSync(clone, { recursive: true, force: true }));

/**
 * Runs a script of the clone, which must fail with exactly one message.
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @param {RegExp} message
 */
async function failsWith(args, env, message) {
  const options = { cwd: clone, env: { ...process.env, ...env } };
  const child = spawn(process.execPath, args, options);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  const [code] = await once(child, 'close');
  assert.equal(code, 1, output);
  assert.match(output, message);
  assert.equal(output.match(/^partyline: /gm)?.length, 1, output);
  assert.doesNotMatch(output, /^\s+at /m);
}

describe('a fresh clone', () => {
  for (const script of ['setup', 'build', 'start', 'live', 'test']) {
    const port = ['start', 'live'].includes(script) ? ['--port=2999'] : [];
    const args = [join('scripts', `${script}.mjs`), ...port];

    it(`${script} reports an unreachable npm registry`, () =>
      failsWith(args, UNREACHABLE, /npm cannot reach its registry, http:\/\/127\.0\.0\.1:9/));

    it(`${script} reports missing Rust before it runs npm`, () =>
      failsWith(args, { ...UNREACHABLE, PATH: join(clone, 'empty') }, /Rust is missing/));
  }

  it('start reports a port that is in use', async () => {
    const server = createServer().listen(0, 'localhost');
    await once(server, 'listening');
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    const args = [join('scripts', 'start.mjs'), `--port=${port}`];
    const message = new RegExp(`port ${port} of localhost \\(EADDRINUSE\\)`);
    await failsWith(args, {}, message).finally(() => server.close());
  });

  it('start reports an argument that is no option', () =>
    failsWith([join('scripts', 'start.mjs'), '2005'], {}, /options only, not "2005"/));
});
