// @ts-check
/** Checks the workflows of GitHub Actions in `.github/workflows`. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const WORKFLOWS = new URL('../../.github/workflows/', import.meta.url);

test('every action is pinned by the hash of a commit, with its version as a comment', () => {
  // The owner of an action can move a tag to other code, but cannot change the code of a commit.
  const lines = readdirSync(WORKFLOWS).flatMap((file) =>
    readFileSync(new URL(file, WORKFLOWS), 'utf8')
      .split('\n')
      .filter((line) => /^[\s-]*uses:/.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
  assert.ok(lines.length > 0, 'the workflows use actions');
  const pinned = /uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;
  assert.deepEqual(
    lines.filter((line) => !pinned.test(line)),
    [],
  );
});
