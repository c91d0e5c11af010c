// @ts-check
/**
 * Limits the size of the WebAssembly module. Cloudflare loads and compiles it when a Worker starts, so
 * every byte delays the first request.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

/** In bytes, compressed with gzip. */
const LIMIT = 200_000;

test('the module has at most 200,000 bytes with gzip', () => {
  const module = readFileSync(new URL('../../build/release/rust_bg.wasm', import.meta.url));
  const size = gzipSync(module, { level: 9 }).length;
  assert.ok(
    size <= LIMIT,
    `build/release/rust_bg.wasm has ${size} bytes with gzip, expected at most ${LIMIT}. Find the ` +
      'cause: build the last commit and compare. Often the cause is a new crate, or a generic ' +
      'function, a sort or a collection with a new type, which the compiler then copies',
  );
});
