// @ts-check
/**
 * Builds the Worker into build/, which wrangler.toml names. Builds at the same time wait for each
 * other: worker-build sees to that.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, show } from './run.mjs';
import { toolchain, workerBuild } from './toolchain.mjs';

if (show([workerBuild, '--release'], { env: toolchain() })) {
  const wasm = join(root, 'build', 'index_bg.wasm');
  writeFileSync(wasm, withoutNames(readFileSync(wasm)));
} else {
  process.exitCode = 1;
}

/**
 * The module without the names of its functions, which are a fifth of it, and only good for the stack of a
 * panic. No tool before this one can do without them.
 * @param {Buffer} wasm
 */
function withoutNames(wasm) {
  const kept = [wasm.subarray(0, 8)]; // magic and version
  for (let at = 8; at < wasm.length; ) {
    // A section: its kind, its length as LEB128, and that. One of kind 0 begins with its name.
    let [length, from] = [0, at + 1];
    for (let shift = 0; ; shift += 7) {
      const byte = wasm[from++];
      length += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    const isNames = wasm[at] === 0 && wasm.toString('latin1', from + 1, from + 5) === 'name';
    if (!isNames) kept.push(wasm.subarray(at, from + length));
    at = from + length;
  }
  return Buffer.concat(kept);
}
