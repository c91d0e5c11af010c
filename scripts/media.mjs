// @ts-check
/**
 * Builds and starts the media server in `media/`. The tests and `npm run live` use it.
 *
 * The dev profile compiles without optimization, in a fraction of the time of the release profile. It
 * forwards video to ten viewers with 8 % of a core. Deployments use the release profile; see
 * media/README.md.
 */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { root, step, stop } from './run.mjs';

/** The manifest of the media server, which is a Cargo workspace of its own. */
export const MANIFEST = join('media', 'Cargo.toml');

/** The folder of build results, within the `target` folder that CI caches. */
export const TARGET = join(root, 'target', 'media');

/** Milliseconds until a media server that was asked to end is killed. */
const PATIENCE = 5000;

/** The duration of the first build, on two cores. */
const FIRST_TIME = { dev: 'about a minute', release: 'about three minutes' };

/**
 * Compiles the media server. Returns the path of the program.
 * @param {'dev' | 'release'} [profile]
 */
export async function build(profile = 'dev') {
  const options = ['--locked', '--manifest-path', MANIFEST, '--target-dir', TARGET];
  if (profile === 'release') options.push('--release');
  if (!process.stdout.isTTY) options.push('--quiet'); // cargo then prints only warnings and errors
  const what = `compiling the media server (${FIRST_TIME[profile]} the first time)`;
  if (!(await step(what, ['cargo', 'build', ...options], { warnings: true })))
    stop('the media server does not compile. Fix the errors that cargo printed above.');
  const name = process.platform === 'win32' ? 'partyline-media.exe' : 'partyline-media';
  return join(TARGET, profile === 'release' ? 'release' : 'debug', name);
}

/**
 * @typedef {object} Options
 * @property {string} [program] the path of the program. Default: that of `build()`
 * @property {string} [listen] ip and port of the HTTP API. Default: a free port of 127.0.0.1
 * @property {string} [udp] ip and port of the UDP socket. Default: a free port of 127.0.0.1
 * @property {string} [publicAddress] where clients reach the UDP socket. Default: that of `udp`
 * @property {string} [app] the id of the app. Default: `partyline`
 * @property {string} [secret] the secret for the API. Default: none
 * @property {string[]} [args] more options of the program
 * @property {(line: string) => void} [log] receives each line of the log, a JSON object
 */

/**
 * @typedef {object} MediaServer
 * @property {string} url the base URL of the API, the value for `MEDIA_URL`
 * @property {string} app the value for `MEDIA_APP`
 * @property {string} health the URL of the figures
 * @property {string} udp ip and port of the UDP socket
 * @property {number} pid the process id
 * @property {Promise<number | null>} exited resolves to the exit code when the server ends
 * @property {() => Promise<number | null>} stop ends the server, and resolves to its exit code
 */

/**
 * Starts a media server, and waits until it listens. The server ends with this process.
 * @param {Options} [options]
 * @returns {Promise<MediaServer>}
 */
export async function start(options = {}) {
  const { listen = '127.0.0.1:0', udp = '127.0.0.1:0', app = 'partyline' } = options;
  const program = options.program ?? (await build());
  const args = ['--listen', listen, '--udp', udp, '--app', app, '--end-with-stdin'];
  args.push(...(options.args ?? []));
  if (options.publicAddress) args.push('--public-address', options.publicAddress);
  const child = spawn(program, args, {
    env: { ...process.env, MEDIA_SECRET: options.secret ?? '' },
    // The system closes the pipe of standard input when this process ends, even by SIGKILL.
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const exited = new Promise((resolve) => child.once('close', resolve));
  const output = /** @type {string[]} */ ([]);
  const lines = createInterface({ input: child.stderr });
  const addresses = await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      options.log?.(line);
      const entry = parse(line);
      if (entry?.message === 'listening') resolve(entry);
      else output.push(line);
    });
    child.once('error', reject);
    exited.then((code) =>
      reject(new Error(`the media server ended with ${code}:\n${output.join('\n')}`)),
    );
  });
  return {
    url: `http://${addresses.http}/v1`,
    app,
    health: `http://${addresses.http}/health`,
    udp: addresses.udp,
    pid: /** @type {number} */ (child.pid),
    exited,
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
      const code = await exited;
      clearTimeout(timer);
      return code;
    },
  };
}

/** @param {string} line */
function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // such as a message of the dynamic linker
  }
}
