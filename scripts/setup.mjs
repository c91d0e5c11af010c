// @ts-check
/**
 * Installs everything that a build needs in addition to Node and Rust: npm packages, Rust's
 * standard library for WebAssembly, and wasm-bindgen. This module imports only Node's built-in
 * modules, because it installs the npm packages. Fast checks run first, so that common problems are
 * reported early.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, isMain, root, step, stop } from './run.mjs';
import { bindgenCrate, checkRust, hasWasmBindgen, toolchain } from './toolchain.mjs';
import { isOlder } from './versions.mjs';

/**
 * Milliseconds until a registry counts as unreachable. The timeout grows with the machine's load.
 */
const PROBE = 4000 * Math.max(1, loadavg()[0] / availableParallelism() / 2);

/**
 * npm's error codes for an unreachable registry. A registry that returned an HTTP status is
 * reachable.
 */
const UNREACHABLE =
  /\b(E(NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH|HOSTUNREACH)|ERR_SOCKET_TIMEOUT)\b/;

/** Installs everything that is missing. Returns the environment and tools that build the Worker. */
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
    stop(
      `Node ${node} is too old; ${least} or newer is required. Install it from https://nodejs.org.`,
    );
}

/**
 * Returns whether the package versions in node_modules match package-lock.json. npm lists the
 * installed versions in node_modules/.package-lock.json.
 */
export function hasPackages() {
  const installed = json('node_modules/.package-lock.json')?.packages ?? {};
  return Object.entries(json('package-lock.json').packages).every(
    ([path, { version, optional }]) =>
      path === '' || optional || installed[path]?.version === version,
  );
}

/**
 * Returns the command that installs the packages of a lock file. No package requires its install
 * script, so npm runs none, for security.
 */
export function npmCi() {
  return npm('ci', '--ignore-scripts', '--no-audit', '--no-fund');
}

async function installPackages() {
  if (!isReachable())
    stop(
      `npm cannot reach its registry, ${ask(npm('config', 'get', 'registry'))}. Check the network ` +
        'and the proxy settings, then try again. If the npm cache contains all packages, run: ' +
        'npm ci --offline --ignore-scripts',
    );
  if (!(await step('installing the npm packages (about 10 s)', npmCi())))
    stop(
      'npm could not install the packages. Fix the errors that npm printed above, then run the same ' +
        'command again.',
    );
}

/**
 * Returns whether npm can reach its registry. Runs `npm ping`, because npm knows the configured
 * registry, proxies and certificates.
 */
function isReachable() {
  const [program, ...args] = npm('ping', '--fetch-retries=0');
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: PROBE });
  return status !== null && !UNREACHABLE.test(stderr);
}

/** Returns whether cargo has already downloaded the crates in Cargo.lock. */
function hasCrates() {
  return ask(['cargo', 'fetch', '--offline', '--target', 'wasm32-unknown-unknown']) !== undefined;
}

/**
 * Stops with a message if cargo cannot reach its registry. Runs cargo, because cargo's registry and
 * proxies may differ from npm's.
 */
function checkRegistry() {
  const env = { ...process.env, CARGO_NET_RETRY: '0', CARGO_HTTP_TIMEOUT: '4' };
  // The command runs outside the repository. Inside, `cargo info` would read Cargo.lock instead of
  // the registry.
  const { status, stderr } = spawnSync('cargo', ['info', bindgenCrate()], {
    cwd: tmpdir(),
    env,
    encoding: 'utf8',
    timeout: PROBE,
  });
  // `cargo info` does not support every mirror that `cargo install` supports, so only network errors
  // count. The status is null after a timeout.
  const unreachable = /could not (resolve|connect)|connection (refused|reset)|timed out|spurious/i;
  if (status === null || (status !== 0 && unreachable.test(stderr)))
    stop(
      'cargo cannot reach its registry (default: crates.io). Check the network and the proxy ' +
        'settings, then try again.',
    );
}

/** Returns a command that runs npm with the arguments. @param {...string} args */
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
