// @ts-check
/** Servers, proxies and browsers that one test file starts once and shares between its tests. */
import { after, afterEach, before } from 'node:test';

/**
 * @typedef {object} Fixture
 * @property {() => Promise<unknown>} start
 * @property {() => unknown} [tidy] resets it for the next test
 * @property {() => unknown} stop is also called when `start` has failed
 */

/**
 * Starts all fixtures at once before the first test, and stops them after the last.
 *
 * `node:test` runs no `after` hook when a `before` hook fails. A browser that kept running would then
 * keep the test process alive, so a failed start stops the others before it is reported.
 *
 * @param {...Fixture} fixtures none of which needs another to start
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
