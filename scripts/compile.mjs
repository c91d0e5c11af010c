// @ts-check
/** The commands that turn the sources into the two files of the Worker. */

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, hash } from './cache.mjs';
import { root, show, step, stop } from './run.mjs';
import { setup } from './setup.mjs';

/** @typedef {'dev' | 'release'} Profile */

/** How long it takes to compile all crates, on two cores. */
const FIRST_TIME = { dev: 'about 40 s', release: 'about a minute' };

/**
 * Writes rust_bg.wasm and index.js, which loads it.
 * @param {Profile} profile
 * @param {string} folder an empty one
 */
export async function compile(profile, folder) {
  const { env, wasmBindgen } = await setup();
  const target = 'wasm32-unknown-unknown';
  const options = ['--lib', '--target', target, '--target-dir', 'target'];
  if (profile === 'release') options.push('--release');
  else env.CARGO_PROFILE_DEV_DEBUG = '0'; // panics name their line without it
  if (!process.stdout.isTTY) options.push('--quiet'); // prints warnings and errors only
  const what = `compiling the Rust, profile ${profile} (${FIRST_TIME[profile]} the first time)`;
  if (!(await step(what, ['cargo', 'build', ...options], { env, warnings: true })))
    stop('the Rust does not compile. The output of cargo above says why.');
  const subfolder = { dev: 'debug', release: 'release' }[profile];
  const wasm = join(root, 'target', target, subfolder, 'partyline.wasm');
  const bound =
    profile === 'release'
      ? await optimized(wasm, wasmBindgen)
      : bind(wasm, wasmBindgen, join(folder, 'bound'));
  copyFileSync(join(bound, 'rust_bg.wasm'), join(folder, 'rust_bg.wasm'));
  await bundle(bound, join(folder, 'index.js'));
}

/**
 * Optimising takes seconds, so the results are kept.
 * @param {string} wasm
 * @param {string} wasmBindgen
 */
function optimized(wasm, wasmBindgen) {
  const script = readFileSync(join(root, 'scripts', 'compile.mjs'));
  const name = `wasm-${hash(readFileSync(wasm), wasmBindgen, script)}`;
  return cached(join(root, 'target', 'optimized'), name, (folder) =>
    optimize(join(bind(wasm, wasmBindgen, folder), 'rust_bg.wasm')),
  );
}

/**
 * Writes rust_bg.wasm, and rust.js, which declares what it imports and exports.
 * @param {string} wasm
 * @param {string} wasmBindgen
 * @param {string} folder
 */
function bind(wasm, wasmBindgen, folder) {
  const bound = show([
    wasmBindgen,
    ...'--target module --out-name rust --no-typescript'.split(' '),
    '--experimental-reset-state-function', // restarts the WebAssembly after a trap
    ...['--out-dir', folder, wasm],
  ]);
  if (!bound) stop('wasm-bindgen failed. Its output above says why.');
  return folder;
}

/** @param {string} wasm */
function optimize(wasm) {
  // `--all-features` makes wasm-opt write kinds of imports that workerd 1.2026 cannot parse.
  const features =
    'bulk-memory exception-handling multivalue mutable-globals nontrapping-float-to-int ' +
    'reference-types sign-ext';
  const optimized = show([
    process.execPath,
    join(root, 'node_modules', 'binaryen', 'bin', 'wasm-opt'),
    ...features.split(' ').map((feature) => `--enable-${feature}`),
    '-O3',
    // V8 compiles whole functions at their first call, so rare code stays out of frequent functions,
    // even if it has a single caller.
    '--one-caller-inline-max-function-size=50',
    // Function names are a fifth of the module, and serve only the stack trace of a panic.
    '--strip-debug',
    '--strip-producers',
    ...[wasm, '-o', wasm],
  ]);
  if (!optimized) stop('wasm-opt failed. Its output above says why.');
}

/**
 * @param {string} folder where rust.js is
 * @param {string} outfile
 */
async function bundle(folder, outfile) {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    stdin: {
      contents: readFileSync(join(root, 'src', 'shell', 'worker.js'), 'utf8'),
      resolveDir: folder,
      sourcefile: 'worker.js',
    },
    bundle: true,
    external: ['./rust_bg.wasm'],
    format: 'esm',
    logLevel: 'warning',
    minify: true,
    write: false,
  }).catch(() => stop('src/shell/worker.js cannot be bundled. esbuild says why above.'));
  // workerd has no source phase imports. Its plain imports of WebAssembly yield the same module.
  writeFileSync(outfile, outputFiles[0].text.replace(/\bimport source /, 'import '));
}
