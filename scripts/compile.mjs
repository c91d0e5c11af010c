// @ts-check
/** Compiles the sources into the two files of the Worker: rust_bg.wasm and index.js. */

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, hash } from './cache.mjs';
import { root, show, step, stop } from './run.mjs';
import { setup } from './setup.mjs';

/** @typedef {'dev' | 'release'} Profile */

/** The duration of a build that compiles all crates, on two cores. */
const FIRST_TIME = { dev: 'about 40 s', release: 'about a minute' };

/**
 * Inlines less than the default thresholds do: 225, and 325 for functions marked `#[inline]`, as most of
 * the standard library is. With these and `opt-level = 2`, the module is a fifth smaller than with the
 * defaults of a release. A native signal needs some hundred more instructions to be decoded, which does
 * not show in the CPU time of a signal in workerd (about 40 µs).
 */
const INLINING = '-Cllvm-args=-inline-threshold=40 -Cllvm-args=-inlinehint-threshold=120';
/** The class that our Rust code exports, in lower case. */
const OUR_CLASS = 'room';

/**
 * Writes rust_bg.wasm, and index.js, which loads rust_bg.wasm.
 * @param {Profile} profile
 * @param {string} folder an empty folder
 */
export async function compile(profile, folder) {
  const { env, wasmBindgen } = await setup();
  const target = 'wasm32-unknown-unknown';
  const options = ['--lib', '--target', target, '--target-dir', 'target'];
  if (profile === 'release') {
    options.push('--release');
    env.CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS = INLINING;
  } else {
    // Panic messages contain file and line even without debug information.
    env.CARGO_PROFILE_DEV_DEBUG = '0';
  }
  if (!process.stdout.isTTY) options.push('--quiet'); // cargo then prints only warnings and errors
  const what = `compiling the Rust, profile ${profile} (${FIRST_TIME[profile]} the first time)`;
  if (!(await step(what, ['cargo', 'build', ...options], { env, warnings: true })))
    stop('the Rust code does not compile. Fix the errors that cargo printed above.');
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
 * Returns the folder with the optimized module. The result is cached, because wasm-opt takes
 * seconds.
 * @param {string} wasm
 * @param {string} wasmBindgen
 */
function optimized(wasm, wasmBindgen) {
  const tools = ['scripts/compile.mjs', 'node_modules/binaryen/package.json'];
  const contents = [wasm, ...tools.map((file) => join(root, file))].map((file) =>
    readFileSync(file),
  );
  const name = `wasm-${hash(wasmBindgen, ...contents)}`;
  return cached(join(root, 'target', 'optimized'), name, async (folder) => {
    bind(wasm, wasmBindgen, folder);
    await removeForeignExports(folder);
    optimize(join(folder, 'rust_bg.wasm'));
  });
}

/**
 * Writes rust_bg.wasm, and rust.js, the JavaScript glue code for its imports and exports.
 * @param {string} wasm
 * @param {string} wasmBindgen
 * @param {string} folder
 */
function bind(wasm, wasmBindgen, folder) {
  const bound = show([
    wasmBindgen,
    ...'--target module --out-name rust --no-typescript'.split(' '),
    // Exports the function with which worker.js restarts the module after a trap.
    '--experimental-reset-state-function',
    ...['--out-dir', folder, wasm],
  ]);
  if (!bound) stop('wasm-bindgen failed. See its output above for the cause.');
  return folder;
}

/**
 * Removes the exports for classes of other crates than ours, such as `R2Range` of the crate worker.
 * Nothing uses them, but they would keep their code in the module.
 * @param {string} folder the folder with rust.js and rust_bg.wasm
 */
async function removeForeignExports(folder) {
  const { default: binaryen } = await import('binaryen');
  const file = join(folder, 'rust_bg.wasm');
  const classes = [
    ...readFileSync(join(folder, 'rust.js'), 'utf8').matchAll(/^(?:export )?class (\w+)/gm),
  ]
    .map(([, name]) => name.toLowerCase())
    .filter((name) => name !== OUR_CLASS);
  const isForeign = new RegExp(`^(__wbg_)?((get|set)_)?(${classes.join('|')})_`);
  const module = binaryen.readBinary(readFileSync(file));
  const exports = Array.from({ length: module.getNumExports() }, (_, index) =>
    binaryen.getExportInfo(module.getExportByIndex(index)),
  );
  for (const { name } of exports) if (isForeign.test(name)) module.removeExport(name);
  binaryen.setDebugInfo(true); // keeps the names of functions, by which `optimize` sorts
  writeFileSync(file, module.emitBinary());
}

/** @param {string} wasm */
function optimize(wasm) {
  // With `--all-features`, wasm-opt emits import types that workerd 1.2026 cannot parse.
  const features =
    'bulk-memory exception-handling multivalue mutable-globals nontrapping-float-to-int ' +
    'reference-types sign-ext';
  const optimized = show([
    process.execPath,
    join(root, 'node_modules', 'binaryen', 'bin', 'wasm-opt'),
    ...features.split(' ').map((feature) => `--enable-${feature}`),
    '-O2',
    // V8 compiles a whole function at its first call. To compile less at startup, wasm-opt must not
    // inline large, rarely used functions, even if they have a single caller.
    '--one-caller-inline-max-function-size=50',
    // gzip finds repetitions only within 32 KB. Sorted by name, the copies of a generic function and
    // the functions of a module are close to each other.
    '--reorder-functions-by-name',
    // Function names are 20 % of the module, and only the stack trace of a panic uses them.
    '--strip-debug',
    '--strip-producers',
    ...[wasm, '-o', wasm],
  ]);
  if (!optimized) stop('wasm-opt failed. See its output above for the cause.');
}

/**
 * Returns an esbuild plugin that finds the modules of the Rust code.
 * @param {string} folder the folder that contains rust.js
 * @returns {import('esbuild').Plugin['setup']}
 */
const resolveRust =
  (folder) =>
  ({ onResolve }) => {
    onResolve({ filter: /^\.{1,2}\/rust\.js$/ }, () => ({ path: join(folder, 'rust.js') }));
    // wasm-bindgen copies each module that the Rust code imports. A copy could not import its
    // neighbours, and would have other variables than the module that worker.js imports.
    onResolve({ filter: /^\.\/snippets\/.*\/src\/shell\/[\w/]+\.js$/ }, ({ path }) => ({
      path: join(root, path.slice(path.indexOf('src/shell/'))),
    }));
  };

/**
 * Bundles worker.js and rust.js into one module.
 * @param {string} folder the folder that contains rust.js
 * @param {string} outfile
 */
async function bundle(folder, outfile) {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [join(root, 'src', 'shell', 'worker.js')],
    bundle: true,
    external: ['./rust_bg.wasm'],
    format: 'esm',
    logLevel: 'warning',
    minify: true,
    plugins: [{ name: 'rust', setup: resolveRust(folder) }],
    write: false,
  }).catch(() =>
    stop('src/shell/worker.js cannot be bundled. Fix the errors that esbuild printed above.'),
  );
  // workerd does not support source phase imports. In workerd, a plain import of a WebAssembly file
  // returns the same `WebAssembly.Module`.
  writeFileSync(outfile, outputFiles[0].text.replace(/\bimport source /, 'import '));
}
