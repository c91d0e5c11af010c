// @ts-check
/**
 * Sets up everything that building and serving need beside Node and Rust: npm packages, the standard
 * library of Rust for WebAssembly, and wasm-bindgen. Uses only what Node brings. What can be checked
 * at once is checked first.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, isMain, root, step, stop } from './run.mjs';
import { bindgenCrate, checkRust, hasWasmBindgen, toolchain } from './toolchain.mjs';
import { isOlder } from './versions.mjs';

/** Milliseconds until a registry counts as unreachable. A busy machine gets more. */
const PROBE = 4000 * Math.max(1, loadavg()[0] / availableParallelism() / 2);

/** npm's error codes for a registry that cannot be reached. An HTTP status means that it answered. */
const UNREACHABLE =
  /\b(E(NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH|HOSTUNREACH)|ERR_SOCKET_TIMEOUT)\b/;

/** Sets up what is missing, and returns what builds the Worker. */
export async function setup() {
  checkNode();
  checkRust();
  if (!hasPackages()) await installPackages();
  if (!hasWasmBindgen() || !hasCrates()) checkRegistry();
  return toolchain();
}

function checkNode() {
  const { node } = process.versions;
  const least = json('package.json').engines.node.replace('>=', '');
  if (isOlder(node, least))
    stop(`Node ${node} is too old; ${least} or newer is needed. Get it from https://nodejs.org.`);
}

/** Whether the packages of package-lock.json are those that npm listed in node_modules. */
export function hasPackages() {
  const installed = json('node_modules/.package-lock.json')?.packages ?? {};
  return Object.entries(json('package-lock.json').packages).every(
    ([path, { version, optional }]) =>
      path === '' || optional || installed[path]?.version === version,
  );
}

async function installPackages() {
  // No package needs its install script, so none may run one.
  const ci = npm('ci', '--ignore-scripts', '--no-audit', '--no-fund');
  if (!isReachable())
    stop(
      `npm cannot reach its registry, ${ask(npm('config', 'get', 'registry'))}. Check the network ` +
        '(or proxy) and try again. If its cache has all packages: npm ci --offline --ignore-scripts',
    );
  if (!(await step('installing the npm packages (about 10 s)', ci)))
    stop('npm could not install the packages. Its output above says why; fix that and try again.');
}

/** Asks npm, because it knows the registry, proxies and certificates that are configured. */
function isReachable() {
  const [program, ...args] = npm('ping', '--fetch-retries=0');
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: PROBE });
  return status !== null && !UNREACHABLE.test(stderr);
}

/** Whether cargo has downloaded the crates of Cargo.lock before. */
function hasCrates() {
  return ask(['cargo', 'fetch', '--offline', '--target', 'wasm32-unknown-unknown']) !== undefined;
}

/** Asks cargo, because its registry and proxies may differ from those of npm. */
function checkRegistry() {
  const env = { ...process.env, CARGO_NET_RETRY: '0', CARGO_HTTP_TIMEOUT: '4' };
  // In the repository, cargo would look into Cargo.lock instead.
  if (ask(['cargo', 'info', bindgenCrate()], { cwd: tmpdir(), env, timeout: PROBE }) === undefined)
    stop(
      'cargo cannot reach its registry (crates.io, if nothing else is configured). Check the ' +
        'network (or proxy) and try again.',
    );
}

/** The command that runs npm. @param {...string} args */
export function npm(...args) {
  const script = process.env.npm_execpath;
  return script?.endsWith('npm-cli.js') ? [process.execPath, script, ...args] : ['npm', ...args];
}

/** @param {string} file */
function json(file) {
  const path = join(root, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

if (isMain(import.meta.url)) await setup();
