// @ts-check
/**
 * Builds the Worker into build/, which wrangler.toml names: the Rust as WebAssembly, and one module
 * of JavaScript that loads it. Builds at the same time do each other no harm.
 */

import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { root, show } from './run.mjs';
import { toolchain } from './toolchain.mjs';

const { env, wasmBindgen } = toolchain();
const build = join(root, 'build');
mkdirSync(build, { recursive: true });
const staging = mkdtempSync(join(build, 'staging-'));
try {
  process.exitCode = compile() && bind() && optimize() && bundle() ? 0 : 1;
} finally {
  rmSync(staging, { recursive: true });
}

function compile() {
  const what = ['--release', '--lib', '--target', 'wasm32-unknown-unknown'];
  return show(['cargo', 'build', ...what, '--target-dir', 'target'], { env });
}

/** Writes what lies between the two languages: rust.js, which loads rust_bg.wasm. */
function bind() {
  return show([
    wasmBindgen,
    ...'--target module --out-name rust --no-typescript'.split(' '),
    '--experimental-reset-state-function', // to start anew after a trap
    ...['--out-dir', staging],
    join('target', 'wasm32-unknown-unknown', 'release', 'partyline.wasm'),
  ]);
}

function optimize() {
  const wasm = join(staging, 'rust_bg.wasm');
  // With all there are, imports would be written as workerd cannot read.
  const features =
    'bulk-memory exception-handling multivalue mutable-globals nontrapping-float-to-int ' +
    'reference-types sign-ext';
  return show([
    join(root, 'node_modules', '.bin', 'wasm-opt'),
    ...features.split(' ').map((feature) => `--enable-${feature}`),
    '-O3',
    // V8 compiles a function whole when it is first called: what is rarely needed stays out of what
    // always is, even if it has just one caller.
    '--one-caller-inline-max-function-size=50',
    // The names of functions are a fifth of the module, only good for the stack of a panic.
    '--strip-debug',
    '--strip-producers',
    ...[wasm, '-o', wasm],
  ]);
}

function bundle() {
  const { outputFiles } = buildSync({
    stdin: {
      contents: readFileSync(join(root, 'src', 'shell', 'worker.js'), 'utf8'),
      resolveDir: staging,
      sourcefile: 'worker.js',
    },
    bundle: true,
    external: ['./rust_bg.wasm'],
    format: 'esm',
    logLevel: 'warning',
    minify: true,
    write: false,
  });
  // workerd has no source phase imports: all that it imports of WebAssembly is as they would give.
  const text = outputFiles[0].text.replace(/\bimport source /, 'import ');
  writeFileSync(join(staging, 'index.js'), text);
  for (const file of ['rust_bg.wasm', 'index.js'])
    renameSync(join(staging, file), join(build, file));
  return true;
}
