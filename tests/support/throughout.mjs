// @ts-check
/** What a file of tests has from its first to its last: servers, lines to them, Chromium. */
import { after, afterEach, before } from 'node:test';

/**
 * @typedef {object} Part
 * @property {() => Promise<unknown>} start
 * @property {() => unknown} [tidy] puts it right for the next test
 * @property {() => unknown} stop
 */

/** @param {...Part} parts none of which needs another to start */
export function throughout(...parts) {
  before(() => Promise.all(parts.map((part) => part.start())));
  afterEach(() => Promise.all(parts.map((part) => part.tidy?.())));
  after(() => Promise.all(parts.map((part) => part.stop())));
}
