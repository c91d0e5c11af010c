// @ts-check
/**
 * What turns the crate into WebAssembly, and how to get what is missing of it: std for wasm32 and
 * wasm-bindgen. Works where rustup answers, and where only the registries of crates.io, npm and
 * Debian do. What is there already is found in a fraction of a second.
 */

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { asRoot, install } from './debian.mjs';
import { ask, root, run, stop, tell } from './run.mjs';

const WASM = 'wasm32-unknown-unknown';

/** Our own copies of what crates.io gives; `cargo clean` takes them with it. */
const tools = join(root, 'target', 'tools');

/** Debian's Rust alone, under the names by which cargo looks for it. */
const debian = join(tools, 'debian');

/**
 * Sees to it that all is there, and answers the environment in which cargo builds for wasm32, and
 * where wasm-bindgen's command is.
 */
export function toolchain() {
  checkRust();
  const env = rustForWasm();
  installWasmBindgen();
  return { env, wasmBindgen: join(tools, 'bin', 'wasm-bindgen') };
}

/** Rust itself is for its owner to install. */
function checkRust() {
  const version = versionOf('rustc');
  if (version === undefined || ask(['cargo', '--version']) === undefined)
    stop('Rust is missing. Install it as https://rustup.rs says, and open a new terminal.');
  if (!recent(version))
    stop(`Rust ${version} is too old, it takes ${rustVersion()}. Run: rustup update stable`);
}

/** The environment whose `rustc` has a std for wasm32. */
function rustForWasm() {
  const env = plain();
  const withDebian = { ...env, PATH: debian + delimiter + env.PATH };
  if (buildsWasm(join(debian, 'rustc'))) return withDebian;
  if (buildsWasm('rustc') || (!buildsWasm('/usr/bin/rustc') && addTarget())) return env;
  if (debianRust()) return withDebian;
  stop(
    `Rust's std for wasm32 is missing. With Rust from https://rustup.rs: rustup target add ${WASM}`,
  );
}

/** Ours, without what would bend every build to the wishes of another project. */
function plain() {
  const env = { ...process.env };
  for (const name of Object.keys(env))
    if (/^(RUSTC|(CARGO_(ENCODED_|BUILD_))?RUSTFLAGS|CARGO_BUILD_TARGET)$/.test(name))
      delete env[name];
  return env;
}

/** @param {string} rustc */
function buildsWasm(rustc) {
  const version = versionOf(rustc);
  if (version === undefined || !recent(version)) return false;
  return existsSync(ask([rustc, '--print', 'target-libdir', '--target', WASM]) ?? '');
}

/** The ordinary way. The limit is for networks that swallow what goes to rustup's servers. */
function addTarget() {
  if (ask(['rustup', '--version']) === undefined) return false;
  tell('fetching std for wasm32 with rustup, once, some seconds');
  if (run(['rustup', 'target', 'add', WASM], { timeout: 180_000 })) return true;
  tell('rustup could not; trying with what Debian has');
  return false;
}

/**
 * Debian's newest Rust comes without a std for wasm32, but with its source: we build it and lay it
 * where that Rust looks for it.
 */
function debianRust() {
  if (!install('rustc-web', 'cargo-web', 'rust-web-clippy', 'rust-web-src')) return false;
  const llvm = ask(['/usr/bin/rustc', '-vV'])?.match(/LLVM version: (\d+)/)?.[1];
  if (!install(`lld-${llvm}`)) return false;
  if (!buildsWasm('/usr/bin/rustc') && !buildStd(`/usr/bin/lld-${llvm}`)) return false;
  rmSync(debian, { recursive: true, force: true });
  mkdirSync(debian, { recursive: true });
  for (const name of ['rustc', 'rustdoc', 'cargo', 'cargo-clippy', 'clippy-driver'])
    symlinkSync(`/usr/bin/${name}`, join(debian, name));
  return buildsWasm(join(debian, 'rustc'));
}

/** @param {string} lld the linker, which rustc calls `rust-lld` */
function buildStd(lld) {
  const crate = join(tools, 'std');
  rmSync(crate, { recursive: true, force: true });
  mkdirSync(join(crate, 'src'), { recursive: true });
  mkdirSync(join(crate, 'lib'));
  writeFileSync(
    join(crate, 'Cargo.toml'),
    '[package]\nname = "empty"\nedition = "2024"\n[workspace]\n',
  );
  writeFileSync(join(crate, 'src', 'lib.rs'), '');
  tell('building std for wasm32, once, about a minute');
  const built = run(
    ['/usr/bin/cargo', 'build', '--release', '--target', WASM, '--target-dir', 'target'].concat(
      '-Zbuild-std=std,panic_abort,proc_macro',
    ),
    {
      cwd: crate,
      env: {
        ...plain(),
        RUSTC: '/usr/bin/rustc',
        RUSTC_BOOTSTRAP: '1', // -Zbuild-std is for nightly, but for this variable
        RUSTFLAGS: '-Cembed-bitcode=yes', // or LTO finds no ".llvmbc" section
      },
    },
  );
  if (!built) return false;
  const deps = join(crate, 'target', WASM, 'release', 'deps');
  for (const file of readdirSync(deps))
    if (/\.(rlib|rmeta)$/.test(file) && !file.startsWith('libempty-'))
      cpSync(join(deps, file), join(crate, 'lib', file));
  const libdir = ask(['/usr/bin/rustc', '--print', 'target-libdir', '--target', WASM]) ?? '';
  const hostBin = join(ask(['/usr/bin/rustc', '--print', 'target-libdir']) ?? '', '..', 'bin');
  return asRoot(
    `laying std for wasm32 into ${libdir}`,
    ['mkdir', '-p', hostBin, join(libdir, '..')],
    ['ln', '-sf', lld, join(hostBin, 'rust-lld')],
    ['cp', '-rT', join(crate, 'lib'), `${libdir}.new`],
    ['mv', '-T', `${libdir}.new`, libdir], // last and at once: its presence says that all is done
  );
}

/** The command must be of the very version that the crate of its name has. */
function installWasmBindgen() {
  const crate = `wasm-bindgen-cli@${locked('wasm-bindgen')}`;
  const list = join(tools, '.crates.toml');
  const has = existsSync(list) ? readFileSync(list, 'utf8') : '';
  if (has.includes(`"${crate.replace('@', ' ')} (`)) return;
  checkLinker();
  tell(`installing ${crate} from crates.io, once, some minutes`);
  // Without the features by which it tests in browsers, nothing but a linker is needed of the system.
  const what = ['--bin', 'wasm-bindgen', '--no-default-features'];
  const command = ['cargo', 'install', '--root', tools, crate, ...what];
  // It compiles for minutes and runs for a moment.
  const env = { ...plain(), CARGO_PROFILE_RELEASE_OPT_LEVEL: '1' };
  // A registry's copy may lag behind what its authors locked it to.
  if (!run([...command, '--locked'], { env }) && !run(command, { env }))
    stop(`${crate} could not be installed; what cargo says stands above.`);
}

/** What cargo needs of the system to build it. */
function checkLinker() {
  const { platform } = process;
  if (platform !== 'win32' && ask(['cc', '--version']) === undefined)
    stop(
      platform === 'darwin'
        ? 'a C linker is missing. Run: xcode-select --install'
        : "a C linker is missing. Run: sudo apt-get install gcc libc6-dev (or your system's like)",
    );
}

/** @param {string} rustc */
function versionOf(rustc) {
  return ask([rustc, '--version'])?.match(/\d+\.\d+\.\d+/)?.[0];
}

/** @param {string} version */
function recent(version) {
  return version.localeCompare(rustVersion(), undefined, { numeric: true }) >= 0;
}

/** The oldest Rust that will do. */
function rustVersion() {
  return find('Cargo.toml', /^rust-version = "(.+)"/m);
}

/** The version of a crate that Cargo.lock holds us to. @param {string} crate */
function locked(crate) {
  return find('Cargo.lock', new RegExp(`^name = "${crate}"\r?\nversion = "(.+)"`, 'm'));
}

/**
 * @param {string} file
 * @param {RegExp} pattern
 */
function find(file, pattern) {
  const found = readFileSync(join(root, file), 'utf8').match(pattern)?.[1];
  return found ?? stop(`${file} has nothing like ${pattern}.`);
}
