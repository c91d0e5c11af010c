// @ts-check
/**
 * A reporter for `node --test` that writes one line per test: milliseconds, file and name,
 * separated by tabs. scripts/test.mjs reads these lines to list the slowest tests.
 */

import { relative } from 'node:path';
import { root } from './run.mjs';

/** @param {AsyncIterable<import('node:test/reporters').TestEvent>} events */
export default async function* reporter(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details.type === 'suite' || !data.file) continue;
    const file = relative(root, data.file);
    yield `${Math.round(data.details.duration_ms)}\t${file}\t${data.name}\n`;
  }
}
