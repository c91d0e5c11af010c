// @ts-check
/**
 * Counts the instructions of the core with callgrind. Fails if a case needs over 10 % more
 * instructions than in core.json. Counts are reproducible, even if the machine is busy.
 *
 * `node tests/bench/core.mjs --accept` updates core.json. Use it after a change that is worth
 * additional instructions, or with a new compiler. Without valgrind, the script succeeds without
 * counting.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, root, show, stop, tell } from '../../scripts/run.mjs';
import { table } from './figures.mjs';

const FILE = join(root, 'tests', 'bench', 'core.json');
const SCRATCH = join(root, 'target', 'bench', 'core');
const MOST = 1.1;

if (ask(['valgrind', '--version']) === undefined)
  tell('valgrind is not installed, so this step is skipped');
else check(count());

/** @returns {Record<string, number>} */
function count() {
  // Symbols are not stripped, because callgrind finds the measured function by its symbol.
  const env = { ...process.env, CARGO_PROFILE_RELEASE_STRIP: 'none' };
  if (!show(['cargo', 'build', '--release', '--example', 'core'], { env }))
    stop('the example "core" could not be built. Fix the errors that cargo printed above.');
  rmSync(SCRATCH, { recursive: true, force: true });
  mkdirSync(SCRATCH, { recursive: true });
  const names = ask([
    'valgrind',
    '--quiet',
    '--tool=callgrind',
    `--callgrind-out-file=${join(SCRATCH, 'out')}`,
    '--toggle-collect=core::measured',
    '--dump-after=core::measured',
    join(root, 'target', 'release', 'examples', 'core'),
  ])?.split('\n');
  if (!names)
    stop(
      'callgrind failed. To see the cause, run: ' +
        'valgrind --tool=callgrind target/release/examples/core',
    );
  // callgrind writes the counts of case n to the file out.n. A file without a number contains the
  // counts of the rest of the run.
  const counts = readdirSync(SCRATCH)
    .filter((file) => /^out\.\d+$/.test(file))
    .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)))
    .map((file) => Number(/^totals: (\d+)/m.exec(readFileSync(join(SCRATCH, file), 'utf8'))?.[1]));
  if (counts.length !== names.length || counts.some((number) => !(number > 0)))
    stop(`callgrind counted ${counts.length} of ${names.length} cases: ${counts}`);
  return Object.fromEntries(names.map((name, place) => [name, counts[place]]));
}

/** @param {Record<string, number>} counts */
function check(counts) {
  const rustc = ask(['rustc', '--version']);
  if (process.argv.includes('--accept')) {
    writeFileSync(FILE, `${JSON.stringify({ rustc, instructions: counts }, null, 2)}\n`);
    return tell(`wrote ${Object.keys(counts).length} figures to tests/bench/core.json`);
  }
  const known = JSON.parse(readFileSync(FILE, 'utf8'));
  const rows = Object.entries(counts).map(([name, now]) => {
    const before = known.instructions[name];
    return { name, now, before, change: before ? now / before - 1 : Infinity };
  });
  const percent = (/** @type {number} */ change) =>
    change === Infinity ? 'new' : `${(change * 100).toFixed(1)} %`;
  const lines = rows.map(({ name, now, before, change }) => [
    name,
    `${now}`,
    `${before ?? ''}`,
    percent(change),
  ]);
  console.log(table(['instructions', 'now', 'before', 'change'], lines));
  const risen = rows.filter(({ change }) => change > MOST - 1).map(({ name }) => name);
  const missing = Object.keys(known.instructions).filter((name) => !(name in counts));
  const compilers =
    known.rustc === rustc
      ? ''
      : ` core.json has the counts of ${known.rustc}, but this run used ${rustc}.`;
  const accept = 'To accept the new counts, run: node tests/bench/core.mjs --accept';
  if (missing.length)
    stop(`core.json contains cases that were not counted: ${missing.join(', ')}. ${accept}`);
  if (risen.length)
    stop(
      `new cases, or cases that need over 10 % more instructions: ${risen.join(', ')}.${compilers} ` +
        accept,
    );
}
