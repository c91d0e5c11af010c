// @ts-check
/**
 * `npm test`: runs all checks, from formatting to browser tests, and stops at the first failure.
 *
 * The default tier tests each feature once. `npm test -- --all` adds full matrices, repetitions and
 * the current platform. Run the full tier before a release.
 *
 * Arguments select steps by name. An argument that is in no name selects test files by path:
 * `npm test -- clippy tests/worker` runs the clippy steps and the test files in tests/worker.
 */

import { mkdirSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { installChromium } from './chromium.mjs';
import { installCoturn } from './coturn.mjs';
import { installCurl } from './curl.mjs';
import { installFirefox } from './firefox.mjs';
import { root, seconds, show, stop, tell } from './run.mjs';
import { setup } from './setup.mjs';
import { endToEnd, steps, testFiles } from './steps.mjs';

const start = Date.now();
const options = process.argv.slice(2);
const words = options.filter((option) => !option.startsWith('--'));
const unknown = options.find((option) => option.startsWith('--') && option !== '--all');
if (unknown) stop(`unknown option ${unknown}. The only option of npm test is --all.`);
const all = options.includes('--all');
// tests/support/tier.mjs reads this variable in the test processes.
process.env.PARTYLINE_TESTS = all ? 'all' : '';

/** The folder for the durations of the individual tests, which scripts/reporter.mjs writes. */
const TIMES = join(root, 'target', 'test-times');
const SLOWEST = 10;

const { env: wasm } = await setup();
const chosen = await choose();
/** @type {[name: string, time: string][]} */
const times = [];
rmSync(TIMES, { recursive: true, force: true });
mkdirSync(TIMES, { recursive: true });

for (const { name, command, env } of chosen) {
  tell(name);
  const begin = Date.now();
  const passed = show(command, { env });
  times.push([name, seconds(begin)]);
  if (passed) continue;
  report();
  stop(
    `the step "${name}" failed. See its output above for the cause. ` +
      `Repeat it with: npm test -- ${words.length ? words.join(' ') : `'${name}'`}`,
  );
}
report();
tell(`all ${chosen.length} steps passed in ${seconds(start)}`);

async function choose() {
  const known = await steps({ all, wasm, times: TIMES });
  const byName = known.filter(({ name }) => !words.length || words.some((w) => name.includes(w)));
  const paths = words.filter((word) => !known.some(({ name }) => name.includes(word)));
  const files = testFiles().filter((file) => paths.some((path) => file.includes(path)));
  const isEndToEnd = (/** @type {{ name: string }} */ { name }) => name.startsWith('end-to-end');
  const result =
    files.length === 0 || byName.some(isEndToEnd)
      ? byName
      : [...byName, endToEnd('end-to-end tests', files, TIMES)];
  if (result.length === 0)
    stop(
      `no step and no test file matches ${words.join(' or ')}. The steps are: ` +
        `${known.map(({ name }) => name).join(', ')}.`,
    );
  if (!result.some(isEndToEnd)) return result;
  await installChromium();
  await installFirefox();
  await installCoturn();
  await installCurl();
  if (result.some(({ name }) => name.startsWith('build'))) return result;
  return [{ name: 'build', command: [process.execPath, join('scripts', 'build.mjs')] }, ...result];
}

function report() {
  const width = Math.max(...times.map(([, time]) => time.length));
  const list = (/** @type {[name: string, time: string][]} */ rows) =>
    rows.map(([name, time]) => `  ${time.padStart(width)}  ${name}`).join('\n');
  const tests = slowest();
  if (tests.length) tell(`the ${tests.length} slowest tests:\n${list(tests)}`);
  tell(`the time of each step:\n${list(times)}`);
}

/** @returns {[name: string, time: string][]} */
function slowest() {
  const files = ['times', 'times-current'].map((name) => join(TIMES, name)).filter(existsSync);
  return files
    .flatMap((file) => readFileSync(file, 'utf8').split('\n').filter(Boolean))
    .map((line) => line.split('\t'))
    .sort(([a], [b]) => Number(b) - Number(a))
    .slice(0, SLOWEST)
    .map(([time, file, name]) => [`${name} (${file})`, `${(Number(time) / 1000).toFixed(1)} s`]);
}
