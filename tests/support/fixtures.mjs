// @ts-check
/** Manages servers, proxies and browsers that a test file starts once and uses in all its tests. */
import { after, afterEach, before } from 'node:test';

/**
 * @typedef {object} Fixture
 * @property {() => Promise<unknown>} start
 * @property {() => unknown} [tidy] resets the fixture after each test
 * @property {() => unknown} stop stops the fixture, also after a failed `start`
 */

/**
 * Starts all fixtures concurrently before the first test, and stops all fixtures after the last
 * test.
 *
 * If a fixture fails to start, all fixtures are stopped before the error is reported. `node:test`
 * does not run `after` hooks when a `before` hook fails, and a running browser keeps the test
 * process alive.
 *
 * @param {...Fixture} fixtures fixtures whose starts do not depend on each other
 */
export function useFixtures(...fixtures) {
  const stop = () => Promise.all(fixtures.map((fixture) => fixture.stop()));
  before(async () => {
    const started = await Promise.allSettled(fixtures.map((fixture) => fixture.start()));
    const failed = started.find((one) => one.status === 'rejected');
    if (!failed) return;
    await stop();
    throw failed.reason;
  });
  afterEach(() => Promise.all(fixtures.map((fixture) => fixture.tidy?.())));
  after(stop);
}
