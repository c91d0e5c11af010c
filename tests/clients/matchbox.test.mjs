// @ts-check
/**
 * matchbox_socket, unmodified, as a native program. Only the full tier runs it, because its dependencies take
 * minutes to compile.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { all, times } from '../support/tier.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const run = promisify(execFile);
const path = (/** @type {string} */ relative) => fileURLToPath(new URL(relative, import.meta.url));
const TARGET = path('../../target/matchbox');
/** The timeout for the build in milliseconds. */
const BUILD_TIMEOUT = 1_200_000;

/**
 * Connects clients one after the other until each has heard from as many others as `peers`. Returns the ids
 * from which each has heard, by its id, in the order of connecting.
 * @param {string} url
 * @param {number} clients
 * @param {number} peers
 */
async function meet(url, clients, peers) {
  const { stdout } = await run(`${TARGET}/debug/matchbox-client`, [url, `${clients}`, `${peers}`]);
  const lines = stdout.trim().split('\n');
  return lines.map((line) => line.split(' ')).map(([id, ...heard]) => ({ id, heard }));
}

describe('matchbox', { skip: !all && 'only with --all' }, () => {
  /** @type {import('../support/workerd.mjs').Workerd<'main'>} */
  let workerd;
  before(
    async () => {
      const options = ['--locked', '--manifest-path', path('matchbox/Cargo.toml')];
      await run('cargo', ['build', ...options, '--target-dir', TARGET]);
      workerd = await startWorkerd({ main: {} });
    },
    { timeout: BUILD_TIMEOUT },
  );
  after(() => workerd?.stop());
  const url = (/** @type {string} */ room) =>
    `ws://${workerd.at.main.host}/parties/main/${room}/matchbox`;

  for (let n = 1; n <= times(5); n += 1) {
    test(`three clients meet in a group without a size: ${n}`, async () => {
      const met = await meet(url(`trio-${n}`), 3, 2);
      const ids = met.map(({ id }) => id);
      assert.equal(new Set(ids).size, 3);
      for (const { id, heard } of met)
        assert.deepEqual(heard.sort(), ids.filter((other) => other !== id).sort());
    });

    test(`four clients with next=2 meet in pairs, in the order of connecting: ${n}`, async () => {
      const [ann, bob, eve, dan] = await meet(`${url(`pairs-${n}`)}?next=2`, 4, 1);
      const pairs = [ann, bob, eve, dan].map(({ heard }) => heard);
      assert.deepEqual(pairs, [[bob.id], [ann.id], [dan.id], [eve.id]]);
    });
  }
});
