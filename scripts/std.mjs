// @ts-check
/**
 * Rust for WebAssembly where rustup's servers cannot be reached, but Debian's can. Debian's newest
 * Rust has the source of its standard library, but no build for wasm32. We build it into a sysroot in
 * the cache folder, so that the Rust in the system stays as Debian made it.
 */

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { cached, cacheFolder, hash } from './cache.mjs';
import { install } from './debian.mjs';
import { ask, step, stop } from './run.mjs';
import { isRecent, versionOf } from './versions.mjs';

const WASM = 'wasm32-unknown-unknown';
const RUSTC = '/usr/bin/rustc';

/**
 * The environment in which cargo builds for wasm32 with Debian's Rust. Builds the sysroot if it is
 * not in the cache.
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<NodeJS.ProcessEnv>}
 */
export async function debianRust(env) {
  const sysroot = await cached(cacheFolder(), entry(), (folder) => fill(folder, env));
  return {
    ...env,
    PATH: join(sysroot, 'bin') + delimiter + env.PATH,
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: `--sysroot=${sysroot}`,
  };
}

/** Whether the cache has the sysroot. */
export function hasSysroot() {
  return ask([RUSTC, '--version']) !== undefined && existsSync(join(cacheFolder(), entry()));
}

/** Installs the packages. False where that is not possible, or where Debian's Rust is too old. */
export async function installDebianRust() {
  const purpose = 'to build WebAssembly, because rustup cannot add its standard library';
  const packages = ['rustc-web', 'cargo-web', 'rust-web-clippy', 'rust-web-src'];
  if (!(await install(purpose, ...packages))) return false;
  if (!isRecent(versionOf(RUSTC) ?? '')) return false;
  return install(purpose, `lld-${llvmVersion()}`);
}

/** The source of the standard library is a package of the same version. */
function entry() {
  return `std-${hash(ask([RUSTC, '-vV']) ?? '', WASM)}`;
}

/**
 * @param {string} sysroot an empty folder
 * @param {NodeJS.ProcessEnv} env
 */
async function fill(sysroot, env) {
  const rustlib = join(sysroot, 'lib', 'rustlib');
  await buildStd(env, join(rustlib, WASM, 'lib'));
  // rustc looks for its linker here, and cargo for its tools on the PATH.
  const host = ask([RUSTC, '-vV'])?.match(/^host: (.+)$/m)?.[1] ?? '';
  mkdirSync(join(rustlib, host, 'bin'), { recursive: true });
  symlinkSync(`/usr/bin/lld-${llvmVersion()}`, join(rustlib, host, 'bin', 'rust-lld'));
  mkdirSync(join(sysroot, 'bin'));
  for (const name of ['rustc', 'rustdoc', 'cargo', 'cargo-clippy', 'clippy-driver'])
    symlinkSync(`/usr/bin/${name}`, join(sysroot, 'bin', name));
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} folder
 */
async function buildStd(env, folder) {
  const crate = join(folder, 'build');
  mkdirSync(join(crate, 'src'), { recursive: true });
  const manifest = '[package]\nname = "empty"\nedition = "2024"\n[workspace]\n';
  writeFileSync(join(crate, 'Cargo.toml'), manifest);
  writeFileSync(join(crate, 'src', 'lib.rs'), '');
  const command =
    `/usr/bin/cargo build --release --target ${WASM} --target-dir target ` +
    '-Zbuild-std=std,panic_abort,proc_macro';
  const built = await step(
    'building the standard library of Rust for wasm32 (once, about a minute)',
    command.split(' '),
    {
      cwd: crate,
      env: {
        ...env,
        RUSTC,
        RUSTC_BOOTSTRAP: '1', // allows -Zbuild-std, which is for nightly otherwise
        RUSTFLAGS: '-Cembed-bitcode=yes', // without it, LTO finds no ".llvmbc" section
      },
    },
  );
  if (!built) stop('the standard library of Rust could not be built. The output above says why.');
  const deps = join(crate, 'target', WASM, 'release', 'deps');
  for (const file of readdirSync(deps))
    if (/\.(rlib|rmeta)$/.test(file) && !file.startsWith('libempty-'))
      cpSync(join(deps, file), join(folder, file));
  rmSync(crate, { recursive: true });
}

/** The version of LLVM that Debian's Rust uses: its linker must be of the same version. */
function llvmVersion() {
  return ask([RUSTC, '-vV'])?.match(/LLVM version: (\d+)/)?.[1];
}
