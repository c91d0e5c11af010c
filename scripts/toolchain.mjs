// @ts-check
/**
 * Finds or installs what turns the crate into WebAssembly: a Rust with the standard library for
 * wasm32, and wasm-bindgen. Works with rustup, and where only the registries of crates.io and Debian
 * can be reached.
 */

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheFolder, hash } from './cache.mjs';
import { ask, step, stop, tell } from './run.mjs';
import { debianRust, hasSysroot, installDebianRust } from './std.mjs';
import { isRecent, leastRust, lockedVersion, versionOf } from './versions.mjs';

const WASM = 'wasm32-unknown-unknown';

/** Milliseconds that rustup may take: some networks drop its packets without an answer. */
const RUSTUP_TIMEOUT = 60_000;

/**
 * Installs what is missing. Returns the environment in which cargo builds for wasm32, and the path of
 * wasm-bindgen.
 */
export async function toolchain() {
  const env = await rustForWasm();
  return { env, wasmBindgen: await installWasmBindgen() };
}

/** Users install Rust themselves. */
export function checkRust() {
  const version = versionOf('rustc');
  if (version === undefined || ask(['cargo', '--version']) === undefined)
    stop(
      'Rust is missing: `rustc` and `cargo` are not on the PATH. Install it from https://rustup.rs ' +
        'and open a new terminal.',
    );
  if (!isRecent(version))
    stop(
      `Rust ${version} is too old; ${leastRust()} or newer is needed. Run: rustup update stable`,
    );
  checkLinker();
}

/** Cargo links build scripts and macros with the C compiler of the system. */
function checkLinker() {
  const configured = Object.keys(process.env).some((name) => /^CARGO_TARGET_.*_LINKER$/.test(name));
  if (configured || process.platform === 'win32') return;
  if (['cc', 'gcc', 'clang'].some((name) => ask([name, '--version']) !== undefined)) return;
  const command =
    process.platform === 'darwin'
      ? 'xcode-select --install'
      : 'sudo apt-get install gcc libc6-dev (or what your system calls them)';
  stop(
    `a C compiler is missing: \`cc\` is not on the PATH, and Rust links with it. Run: ${command}`,
  );
}

/** @returns {Promise<NodeJS.ProcessEnv>} */
async function rustForWasm() {
  const env = cleanEnvironment();
  if (buildsWasm()) return env;
  if (hasSysroot()) return debianRust(env);
  if (await addTarget()) return env;
  if (await installDebianRust()) return debianRust(env);
  stop(
    `the standard library of Rust for ${WASM} is missing. Run: rustup target add ${WASM} ` +
      '(with Rust from https://rustup.rs)',
  );
}

/** Our environment, without the variables that other projects use to change every build. */
function cleanEnvironment() {
  const env = { ...process.env };
  for (const name of Object.keys(env))
    if (/^(RUSTC|(CARGO_(ENCODED_|BUILD_))?RUSTFLAGS|CARGO_BUILD_TARGET)$/.test(name))
      delete env[name];
  return env;
}

function buildsWasm() {
  return existsSync(ask(['rustc', '--print', 'target-libdir', '--target', WASM]) ?? '');
}

async function addTarget() {
  if (ask(['rustup', '--version']) === undefined) return false;
  const added = await step(
    'adding the standard library for wasm32 with rustup (once, about 10 s)',
    ['rustup', 'target', 'add', WASM],
    { timeout: RUSTUP_TIMEOUT },
  );
  if (!added) tell('rustup could not; trying the packages of Debian');
  return added;
}

/** wasm-bindgen must have exactly the version of the crate of that name in Cargo.lock. */
export function bindgenCrate() {
  return `wasm-bindgen-cli@${lockedVersion('wasm-bindgen')}`;
}

export function hasWasmBindgen() {
  return existsSync(join(cacheFolder(), bindgenEntry()));
}

/** The lock file of wasm-bindgen-cli is part of the version that crates.io has. */
function bindgenEntry() {
  return `wasm-bindgen-${hash(bindgenCrate(), ask(['rustc', '-vV']) ?? '')}`;
}

/** Returns the path of the command. */
async function installWasmBindgen() {
  const folder = await cached(cacheFolder(), bindgenEntry(), async (staging) => {
    const target = join(staging, 'target');
    const command = ['cargo', 'install', '--root', staging, bindgenCrate()].concat(
      // The other features serve its test runner, and need more from the system than a linker.
      ...['--bin', 'wasm-bindgen', '--no-default-features', '--target-dir', target],
    );
    const what = `building ${bindgenCrate()} from crates.io (once, about 2 minutes)`;
    // Optimised code would take minutes to compile, to save a moment per run.
    const env = { ...cleanEnvironment(), CARGO_PROFILE_RELEASE_OPT_LEVEL: '1' };
    // A mirror of crates.io may lack the versions that --locked wants.
    if (
      !(await step(what, [...command, '--locked'], { env })) &&
      !(await step(what, command, { env }))
    )
      stop(`${bindgenCrate()} could not be built. The output of cargo above says why.`);
    rmSync(target, { recursive: true });
  });
  return join(folder, 'bin', 'wasm-bindgen');
}
