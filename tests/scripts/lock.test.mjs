// @ts-check
/** The lock of builds must never keep a build waiting for a process that no longer exists. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { withLock } from '../../scripts/lock.mjs';

const folder = mkdtempSync(join(tmpdir(), 'partyline-lock-'));
after(() => rmSync(folder, { recursive: true }));

describe('the build lock', () => {
  it('is released when the action fails', async () => {
    const file = join(folder, 'released');
    const failing = withLock(file, async () => {
      assert.ok(existsSync(file));
      throw new Error('the build failed');
    });
    await assert.rejects(failing, /the build failed/);
    assert.ok(!existsSync(file));
  });

  const old = new Date(Date.now() - 60 * 60_000);
  const exited = spawnSync(process.execPath, ['--version']).pid;
  for (const [name, text, modified] of /** @type {[string, string, Date?][]} */ ([
    ['of a process that has exited', `${exited}`],
    ['with the id of this process', `${process.pid}`],
    ['that is an hour old, of a running process', `${process.ppid}`, old],
    ['without an id, written an hour ago', '', old],
    ['with text that is not an id', 'x', old],
  ]))
    it(`replaces a lock ${name}`, async () => {
      const file = join(folder, 'stale');
      writeFileSync(file, text);
      if (modified) utimesSync(file, modified, modified);
      let ran = false;
      await withLock(file, async () => void (ran = true));
      assert.ok(ran);
    });

  it('fails at once when the lock file cannot be created', async () => {
    await assert.rejects(
      withLock(join(folder, 'missing', 'lock'), async () => {}),
      /ENOENT/,
    );
  });
});
