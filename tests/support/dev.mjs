// @ts-check
/**
 * Runs `wrangler dev`, as users do. wrangler serves the files of `public/` and the Worker on one port.
 *
 * The configuration has no build step, because a test that starts three servers would wait for
 * three builds of the Worker. Run `npm run build` first.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSite } from '../../scripts/site.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * The path of wrangler. `npm test -- --all` sets the environment variable to run the current
 * version instead of the version in package.json.
 */
const WRANGLER =
  process.env.PARTYLINE_WRANGLER ?? path.join(ROOT, 'node_modules/wrangler/bin/wrangler.js');

/** The ids of the running process groups. An interrupted test run kills all these groups. */
const groups = new Set();

const killAll = () => groups.forEach((group) => process.kill(-group, 'SIGKILL'));
process.once('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/** One `wrangler dev` process. It uses the same port and storage after `kill` and a new `start`. */
export class Dev {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  #port = 0;
  #state = '';
  /** @type {string[]} */
  #args;
  #protocol;

  /**
   * @param {Record<string, string>} [vars] settings that override the settings in `wrangler.toml`
   * @param {"http" | "https"} [protocol] with `https`, wrangler uses a self-signed certificate
   */
  constructor(vars = {}, protocol = 'http') {
    this.#protocol = protocol;
    this.#args = Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
  }

  get port() {
    return this.#port;
  }

  get origin() {
    return `${this.#protocol}://127.0.0.1:${this.#port}`;
  }

  async start() {
    await buildSite();
    this.#port ||= await freePort();
    this.#state ||= await mkdtemp(path.join(tmpdir(), 'partyline-'));
    const config = path.join(this.#state, 'wrangler.toml');
    await writeFile(config, await configWithoutBuild());
    const where =
      `--ip 127.0.0.1 --port ${this.#port} --inspector-port 0 ` +
      `--local-protocol ${this.#protocol}`;
    const what = ['--config', config, '--persist-to', this.#state, ...this.#args];
    const child = spawn(process.execPath, [WRANGLER, 'dev', ...where.split(' '), ...what], {
      cwd: ROOT,
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: '1' },
      detached: true, // `kill` must end the process group, because workerd is a child of wrangler
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    const group = child.pid;
    groups.add(group);
    child.once('exit', () => groups.delete(group));
    let output = '';
    await new Promise((resolve, reject) => {
      const read = (/** @type {Buffer} */ text) => {
        output += text;
        if (output.includes('Ready on')) resolve(undefined);
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.on('exit', (code) => reject(new Error(`wrangler dev exited with ${code}:\n${output}`)));
    });
  }

  async kill() {
    const child = this.#process;
    this.#process = undefined;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await gone;
  }

  async stop() {
    await this.kill();
    if (this.#state) await rm(this.#state, { recursive: true, force: true });
  }
}

/** Returns the text of `wrangler.toml` without the build step, and with absolute paths. */
async function configWithoutBuild() {
  const toml = await readFile(path.join(ROOT, 'wrangler.toml'), 'utf8');
  const absolute = (
    /** @type {string} */ _,
    /** @type {string} */ key,
    /** @type {string} */ name,
  ) => `${key} = ${JSON.stringify(path.join(ROOT, name))}`;
  return toml
    .replace(/^\[build\]\n(?:[^[\n].*\n|\n)*/m, '')
    .replace(/^(main|directory)\s*=\s*"([^"]*)"/gm, absolute);
}

/**
 * Returns a free port from 3100 to 3199. The search starts at a random port, so that concurrent
 * test files rarely choose the same port.
 */
async function freePort() {
  const start = Math.floor(Math.random() * 100);
  for (let i = 0; i < 100; i += 1) {
    const port = 3100 + ((start + i) % 100);
    const server = net.createServer();
    const free = await new Promise((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (free) return port;
  }
  throw new Error('No port from 3100 to 3199 is free. Stop a process that uses one.');
}
