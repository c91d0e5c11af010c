// @ts-check
/**
 * Counts the instructions of the core, and fails where one thing takes a tenth more than the
 * figures in core.json. Counts repeat exactly, whatever else the machine does. `node
 * tests/bench/core.mjs --accept` writes them anew: do that with a change that is worth its
 * instructions, or with a new compiler.
 *
 * Without valgrind there is nothing to count with, and nothing to fail.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, root, show, stop, tell } from '../../scripts/run.mjs';
import { table } from './figures.mjs';

const FILE = join(root, 'tests', 'bench', 'core.json');
const SCRATCH = join(root, 'target', 'bench', 'core');
const MOST = 1.1;

if (ask(['valgrind', '--version']) === undefined)
  tell('no valgrind, so no instructions are counted');
else check(count());

/** @returns {Record<string, number>} */
function count() {
  // Its symbols are how callgrind finds what to count.
  const env = { ...process.env, CARGO_PROFILE_RELEASE_STRIP: 'none' };
  if (!show(['cargo', 'build', '--release', '--example', 'core'], { env }))
    stop('the core did not build');
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
  if (!names) stop('callgrind failed; run it by hand to see why.');
  // One file a case, out.1 and so on; what comes after the last has no number.
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
    return tell(`tests/bench/core.json has ${Object.keys(counts).length} new figures`);
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
  const gone = Object.keys(known.instructions).filter((name) => !(name in counts));
  const with_ =
    known.rustc === rustc
      ? ''
      : ` The figures were counted with ${known.rustc}, these with ${rustc}.`;
  const accept = 'If that is meant: node tests/bench/core.mjs --accept';
  if (gone.length) stop(`no longer counted: ${gone.join(', ')}. ${accept}`);
  if (risen.length) stop(`more than a tenth slower: ${risen.join(', ')}.${with_} ${accept}`);
}
