// @ts-check
/**
 * `npm start`: builds the Worker if necessary, runs `wrangler dev`, and prints the URL of the page.
 * Options after `--` are passed to wrangler: `npm start -- --port 2005`.
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
const [first] = process.argv.slice(2);
if (first && !first.startsWith('-'))
  stop(
    `npm start takes options only, not "${first}". Write -- before them: npm start -- --port 2005`,
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
const protocol = values['local-protocol'] ?? 'http';
const page = `${protocol}://localhost:${port}/?room=demo`;

await checkPort();
if (!hasPackages() || !isBuilt('dev')) {
  await setup();
  await build('dev');
}
serve();

async function checkPort() {
  if (!(port > 0 && port < 65_536))
    stop(`--port ${chosen} is not a valid port. Use a number from 1 to 65535.`);
  const server = createServer();
  const error = await new Promise((resolve) => {
    server.once('error', resolve).listen(port, host, () => server.close(() => resolve(undefined)));
  });
  if (error)
    stop(
      /^(EADDRINUSE|EACCES)$/.test(error.code)
        ? `cannot listen on port ${port} of ${host} (${error.code}). Stop the program that uses this ` +
            `port, or choose another port: npm start -- --port ${port === 65_535 ? 2005 : port + 1}`
        : `cannot listen on the address ${host} (${error.code}). Use an address of this machine, or ` +
            'leave --ip out.',
    );
}

function serve() {
  const wrangler = join(root, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
  const script = join('build', 'dev', 'index.js');
  const command = [wrangler, 'dev', script, ...process.argv.slice(2)];
  // scripts/build.mjs, which wrangler runs, reads the variable.
  const env = { ...process.env, PARTYLINE_PROFILE: 'dev' };
  const child = spawn(process.execPath, command, { cwd: root, env, stdio: 'inherit' });
  void answers().then((status) =>
    tell(
      status === 200
        ? `ready after ${seconds(start)}. Open ${page} in two windows.`
        : `the Worker answers with status ${status}. The error above names the problem.`,
    ),
  );
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
  // On Ctrl-C, the terminal sends SIGINT to wrangler, too, so this process waits until wrangler
  // exits. Other programs may signal only this process, which then must stop wrangler.
  process.on('SIGINT', () => void setTimeout(2000).then(() => child.kill('SIGTERM')));
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  // If npm is killed, its shell ends without forwarding the signal, and this process gets another
  // parent. The server must not stay on its port.
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) child.kill('SIGTERM');
  }, 1000).unref();
}

/** Waits for the first response of the Worker, and returns its status. */
async function answers() {
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
