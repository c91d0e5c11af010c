// @ts-check
/**
 * Builds Rust's standard library for wasm32 from Debian's packages, for machines that cannot reach
 * rustup's servers. Debian's newest Rust has the source of the standard library, but no wasm32
 * build. The library is built into a sysroot in the cache folder, so Debian's files stay unchanged.
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
 * Returns the environment variables that cargo needs to build for wasm32 with Debian's Rust. Builds
 * the sysroot if it is not in the cache.
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

/** Returns whether the cache contains the sysroot. */
export function hasSysroot() {
  return ask([RUSTC, '--version']) !== undefined && existsSync(join(cacheFolder(), entry()));
}

/**
 * Installs Debian's Rust packages. Returns false if the installation is not possible, or if
 * Debian's Rust is too old.
 */
export async function installDebianRust() {
  const purpose = 'to build WebAssembly, because rustup cannot add its standard library';
  const packages = ['rustc-web', 'cargo-web', 'rust-web-clippy', 'rust-web-src'];
  if (!(await install(purpose, ...packages))) return false;
  if (!isRecent(versionOf(RUSTC) ?? '')) return false;
  return install(purpose, `lld-${llvmVersion()}`);
}

/**
 * Returns the name of the cache entry. The hash needs only the version of rustc, because Debian's
 * package with the library source has the same version.
 */
function entry() {
  return `std-${hash(ask([RUSTC, '-vV']) ?? '', WASM)}`;
}

/**
 * Fills the sysroot with the standard library and with links to Debian's tools.
 * @param {string} sysroot an empty folder
 * @param {NodeJS.ProcessEnv} env
 */
async function fill(sysroot, env) {
  const rustlib = join(sysroot, 'lib', 'rustlib');
  await buildStd(env, join(rustlib, WASM, 'lib'));
  // rustc searches for its linker in this folder of the sysroot. cargo searches for rustc and
  // clippy on the PATH, to which `debianRust` adds the sysroot's folder bin/.
  const host = ask([RUSTC, '-vV'])?.match(/^host: (.+)$/m)?.[1] ?? '';
  mkdirSync(join(rustlib, host, 'bin'), { recursive: true });
  symlinkSync(`/usr/bin/lld-${llvmVersion()}`, join(rustlib, host, 'bin', 'rust-lld'));
  mkdirSync(join(sysroot, 'bin'));
  for (const name of ['rustc', 'rustdoc', 'cargo', 'cargo-clippy', 'clippy-driver'])
    symlinkSync(`/usr/bin/${name}`, join(sysroot, 'bin', name));
}

/**
 * Builds the standard library by building an empty crate with `-Zbuild-std`.
 * @param {NodeJS.ProcessEnv} env
 * @param {string} folder the destination of the libraries
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
    "building Rust's standard library for wasm32 (once, about a minute)",
    command.split(' '),
    {
      cwd: crate,
      env: {
        ...env,
        RUSTC,
        RUSTC_BOOTSTRAP: '1', // allows -Zbuild-std, which normally requires a nightly Rust
        RUSTFLAGS: '-Cembed-bitcode=yes', // LTO requires the bitcode section ".llvmbc"
      },
    },
  );
  if (!built)
    stop("Rust's standard library could not be built. See cargo's output above for the cause.");
  const deps = join(crate, 'target', WASM, 'release', 'deps');
  for (const file of readdirSync(deps))
    if (/\.(rlib|rmeta)$/.test(file) && !file.startsWith('libempty-'))
      cpSync(join(deps, file), join(folder, file));
  rmSync(crate, { recursive: true });
}

/** Returns the LLVM version of Debian's Rust. The linker (lld) must have the same version. */
function llvmVersion() {
  return ask([RUSTC, '-vV'])?.match(/LLVM version: (\d+)/)?.[1];
}
