// @ts-check
/**
 * Serves the Worker and the page with `wrangler dev`, for `npm start` and `npm run live`. This module
 * imports only Node's built-in modules, because it runs before the npm packages are installed.
 */

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { build, isBuilt } from './build.mjs';
import { root, seconds, stop, tell } from './run.mjs';
import { hasPackages, setup } from './setup.mjs';
import { find } from './versions.mjs';

const start = Date.now();

/**
 * The address of the Worker. `options` are the options for wrangler.
 * @typedef {{ protocol: string, host: string, port: number, options: string[] }} Address
 */

/**
 * A running Worker. `ready` resolves to whether it serves requests, and `exited` to the exit code.
 * @typedef {{ ready: Promise<boolean>, exited: Promise<number>, end: () => void }} Service
 */

/**
 * Reads the options of the command line, and stops with a message if they are invalid or if the port
 * is in use.
 * @param {string} command the command that the user has entered, for messages
 * @returns {Promise<Address>}
 */
export async function readAddress(command) {
  const options = process.argv.slice(2);
  const [first] = options;
  if (first && !first.startsWith('-'))
    stop(
      `${command} takes options only, not "${first}". Write -- before them: ${command} -- --port 2005`,
    );
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      ip: { type: 'string' },
      'local-protocol': { type: 'string' },
    },
    strict: false, // wrangler parses all other options
  });
  const chosen = values.port ?? find('wrangler.toml', /^\[dev\]\r?\n(?:.*\r?\n)*?port = (\d+)/m);
  // The parser returns `true` for an option without a value.
  const port = typeof chosen === 'string' ? Number(chosen) : NaN;
  // wrangler accepts `*` for all addresses.
  const host = values.ip === '*' ? '0.0.0.0' : String(values.ip ?? 'localhost');
  if (!(port > 0 && port < 65_536))
    stop(`--port ${chosen} is not a valid port. Use a number from 1 to 65535.`);
  await checkPort(command, port, host);
  return { protocol: String(values['local-protocol'] ?? 'http'), host, port, options };
}

/** @param {string} command @param {number} port @param {string} host */
async function checkPort(command, port, host) {
  const server = createServer();
  const error = await new Promise((resolve) => {
    server.once('error', resolve).listen(port, host, () => server.close(() => resolve(undefined)));
  });
  if (error)
    stop(
      /^(EADDRINUSE|EACCES)$/.test(error.code)
        ? `cannot listen on port ${port} of ${host} (${error.code}). Stop the program that uses this ` +
            `port, or choose another port: ${command} -- --port ${port === 65_535 ? 2005 : port + 1}`
        : `cannot listen on the address ${host} (${error.code}). Use an address of this machine, or ` +
            'leave --ip out.',
    );
}

/** Installs what is missing, and builds the Worker if necessary. */
export async function prepare() {
  if (hasPackages() && isBuilt('dev')) return;
  await setup();
  await build('dev');
}

/**
 * Starts `wrangler dev`, and prints a message when the Worker is ready.
 * @param {Address} address
 * @param {object} options
 * @param {string} options.next the text that follows `ready after 5 s.`
 * @param {Record<string, string>} [options.vars] settings that override the settings in `wrangler.toml`
 * @returns {Service}
 */
export function serve(address, { next, vars = {} }) {
  const wrangler = join(root, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
  const script = join('build', 'dev', 'index.js');
  const settings = Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
  const command = [wrangler, 'dev', script, ...address.options, ...settings];
  // scripts/build.mjs, which wrangler runs, reads the variable.
  const env = { ...process.env, PARTYLINE_PROFILE: 'dev' };
  const child = spawn(process.execPath, command, { cwd: root, env, stdio: 'inherit' });
  const end = () => void child.kill('SIGTERM');
  // On Ctrl-C, the terminal sends SIGINT to wrangler, too, so this process waits until wrangler
  // exits. Other programs may signal only this process, which then must stop wrangler.
  process.on('SIGINT', () => void setTimeout(2000).then(end));
  process.on('SIGTERM', end);
  // If npm is killed, its shell ends without forwarding the signal, and this process gets another
  // parent. The server must not stay on its port.
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, 1000).unref();
  const exited = new Promise((resolve) => {
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)));
  });
  return { ready: reportStatus(address, next), exited, end };
}

/**
 * Waits for the first response of the Worker, and prints a message. Returns whether the Worker works.
 * @param {Address} address
 * @param {string} next
 */
async function reportStatus(address, next) {
  const status = await answers(address);
  tell(
    status === 200
      ? `ready after ${seconds(start)}. ${next}`
      : `the Worker answers with status ${status}. The error above names the problem.`,
  );
  return status === 200;
}

/** Waits for the first response of the Worker, and returns its status. @param {Address} address */
async function answers({ protocol, host, port }) {
  const { get } = await import(protocol === 'https' ? 'node:https' : 'node:http');
  const ask = () =>
    new Promise((resolve) => {
      const options = { host, port, path: '/health', rejectUnauthorized: false };
      get(options, (/** @type {import('node:http').IncomingMessage} */ response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', () => resolve(undefined));
    });
  let status;
  while ((status = await ask()) === undefined) await setTimeout(200);
  return status;
}
