// @ts-check
/**
 * Finds or installs the tools that compile the crate to WebAssembly: Rust with the standard library
 * for wasm32, and wasm-bindgen. If rustup is missing or cannot reach its servers, Debian's packages
 * supply the standard library.
 */

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheFolder, hash } from './cache.mjs';
import { ask, step, stop, tell } from './run.mjs';
import { debianRust, hasSysroot, installDebianRust } from './std.mjs';
import { isRecent, leastRust, lockedVersion, versionOf } from './versions.mjs';

const WASM = 'wasm32-unknown-unknown';

/**
 * Timeout for rustup in milliseconds. Some networks drop the packets to rustup's servers silently.
 */
const RUSTUP_TIMEOUT = 60_000;

/**
 * Installs the tools that are missing. Returns the environment variables that cargo needs to build
 * for wasm32, and the path of wasm-bindgen.
 */
export async function toolchain() {
  const env = await rustForWasm();
  return { env, wasmBindgen: await installWasmBindgen() };
}

/**
 * Stops with a message if Rust is missing or too old, or if the linker is missing. Users must
 * install Rust and the linker themselves.
 */
export function checkRust() {
  const version = versionOf('rustc');
  if (version === undefined || ask(['cargo', '--version']) === undefined)
    stop(
      'Rust is missing: `rustc` or `cargo` is not on the PATH. Install Rust from ' +
        'https://rustup.rs, then open a new terminal.',
    );
  if (!isRecent(version))
    stop(
      `Rust ${version} is too old; ${leastRust()} or newer is required. Run: rustup update stable`,
    );
  checkLinker();
}

/**
 * Stops with a message if the system has no C compiler. Rust calls the C compiler to link build
 * scripts and procedural macros.
 */
function checkLinker() {
  const configured = Object.keys(process.env).some((name) => /^CARGO_TARGET_.*_LINKER$/.test(name));
  if (configured || process.platform === 'win32') return;
  if (ask(['cc', '--version']) !== undefined) return;
  const command =
    process.platform === 'darwin'
      ? 'xcode-select --install'
      : 'sudo apt-get install gcc libc6-dev (or install the same packages with your package manager)';
  stop(`a C compiler is missing: \`cc\`, Rust's linker, is not on the PATH. Run: ${command}`);
}

/** @returns {Promise<NodeJS.ProcessEnv>} */
async function rustForWasm() {
  const env = cleanEnvironment();
  if (buildsWasm()) return env;
  if (hasSysroot()) return debianRust(env);
  if (await addTarget()) return env;
  if (await installDebianRust()) return debianRust(env);
  stop(
    `Rust's standard library for ${WASM} is missing. Install Rust from https://rustup.rs, then ` +
      `run: rustup target add ${WASM}`,
  );
}

/**
 * Returns the environment variables of this process, without those that change the compiler, its
 * flags or the target. Some users set such variables for other projects.
 */
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
  if (!added) tell('rustup could not add the standard library; trying the packages of Debian');
  return added;
}

/**
 * Returns the crate and version of the wasm-bindgen command. The command must have exactly the
 * version of the library crate `wasm-bindgen` in Cargo.lock.
 */
export function bindgenCrate() {
  return `wasm-bindgen-cli@${lockedVersion('wasm-bindgen')}`;
}

export function hasWasmBindgen() {
  return existsSync(join(cacheFolder(), bindgenEntry()));
}

/**
 * Returns the name of the cache entry. The hash does not include the dependencies, because the
 * package of wasm-bindgen-cli on crates.io contains a Cargo.lock.
 */
function bindgenEntry() {
  return `wasm-bindgen-${hash(bindgenCrate(), ask(['rustc', '-vV']) ?? '')}`;
}

/** Installs wasm-bindgen into the cache, and returns the path of the command. */
async function installWasmBindgen() {
  const folder = await cached(cacheFolder(), bindgenEntry(), async (staging) => {
    const target = join(staging, 'target');
    const command = ['cargo', 'install', '--root', staging, bindgenCrate()].concat(
      // The default features are for wasm-bindgen's test runner, and need additional system
      // libraries.
      ...['--bin', 'wasm-bindgen', '--no-default-features', '--target-dir', target],
    );
    const what = `building ${bindgenCrate()} from crates.io (once, about 2 minutes)`;
    // A higher optimization level adds minutes to this build, and saves less than a second per run.
    const env = { ...cleanEnvironment(), CARGO_PROFILE_RELEASE_OPT_LEVEL: '1' };
    // A mirror of crates.io may not have the exact versions that --locked requires.
    if (
      !(await step(what, [...command, '--locked'], { env })) &&
      !(await step(what, command, { env }))
    )
      stop(`${bindgenCrate()} could not be built. See cargo's output above for the cause.`);
    rmSync(target, { recursive: true });
  });
  return join(folder, 'bin', 'wasm-bindgen');
}
