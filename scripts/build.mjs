// @ts-check
/**
 * Builds the Worker into build/, which wrangler.toml names. Builds at the same time wait for each
 * other: worker-build sees to that.
 */

import { join } from 'node:path';
import { root, show } from './run.mjs';
import { toolchain, workerBuild } from './toolchain.mjs';

const env = toolchain();
const wasm = join(root, 'build', 'index_bg.wasm');

/**
 * The names of functions are a fifth of the module, only good for the stack of a panic, and
 * worker-build leaves them in. The features are those that worker-build allows: with all of them,
 * imports are written as workerd cannot read.
 */
const features =
  'bulk-memory exception-handling multivalue mutable-globals nontrapping-float-to-int ' +
  'reference-types sign-ext';
const allowed = features.split(' ').map((feature) => `--enable-${feature}`);
const strip = [
  `${env.WASM_OPT_BIN}`,
  ...allowed,
  '--strip-debug',
  '--strip-producers',
  wasm,
  '-o',
  wasm,
];

process.exitCode = show([workerBuild, '--release'], { env }) && show(strip) ? 0 : 1;
