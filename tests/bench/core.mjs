// @ts-check
/**
 * Counts the instructions of the core with callgrind, and fails when a case takes over a tenth more than
 * in core.json. Counts repeat exactly, regardless of other load. `node tests/bench/core.mjs --accept`
 * updates the file, after a change that justifies its instructions or with a new compiler.
 *
 * Without valgrind it counts nothing and succeeds.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, root, show, stop, tell } from '../../scripts/run.mjs';
import { table } from './figures.mjs';

const FILE = join(root, 'tests', 'bench', 'core.json');
const SCRATCH = join(root, 'target', 'bench', 'core');
const MOST = 1.1;

if (ask(['valgrind', '--version']) === undefined)
  tell('valgrind is not installed, so no instructions are counted');
else check(count());

/** @returns {Record<string, number>} */
function count() {
  // callgrind finds the measured function by its symbol.
  const env = { ...process.env, CARGO_PROFILE_RELEASE_STRIP: 'none' };
  if (!show(['cargo', 'build', '--release', '--example', 'core'], { env }))
    stop('The example "core" did not build. The output of cargo is above.');
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
      'callgrind failed. Run `valgrind --tool=callgrind target/release/examples/core` to see why.',
    );
  // callgrind writes one file per case, out.1 and so on. The rest of the run is in a file without number.
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
      : ` core.json was counted with ${known.rustc}, this run with ${rustc}.`;
  const accept = 'To accept this, run: node tests/bench/core.mjs --accept';
  if (missing.length)
    stop(`These cases are in core.json but were not counted: ${missing.join(', ')}. ${accept}`);
  if (risen.length)
    stop(
      `These cases take over a tenth more instructions: ${risen.join(', ')}.${compilers} ${accept}`,
    );
}
