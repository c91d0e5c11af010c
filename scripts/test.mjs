// @ts-check
/**
 * `npm test`: every check, from formatting to real browsers, until one fails. Each feature is tested
 * once. `npm test -- --all` adds full matrices, repetitions and the current platform: run it before a
 * release. Words choose: `npm test -- clippy tests/worker` runs the steps that have "clippy" in their
 * name, and the test files that have "tests/worker" in their path, which a slash or dot marks.
 */

import { mkdirSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { installChromium } from './chromium.mjs';
import { installCoturn } from './coturn.mjs';
import { installCurl } from './curl.mjs';
import { root, seconds, show, stop, tell } from './run.mjs';
import { setup } from './setup.mjs';
import { endToEnd, steps, testFiles } from './steps.mjs';

const start = Date.now();
const options = process.argv.slice(2);
const words = options.filter((option) => !option.startsWith('--'));
const unknown = options.find((option) => option.startsWith('--') && option !== '--all');
if (unknown) stop(`npm test does not know ${unknown}. Its only option is --all.`);
const all = options.includes('--all');
// Tests read it, too.
process.env.PARTYLINE_TESTS = all ? 'all' : '';

/** Times of the single tests, as scripts/reporter.mjs writes them. */
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
  stop(`${name}: failed. The output above says why. Repeat it: npm test -- '${name}'`);
}
report();
tell(`all ${chosen.length} steps passed in ${seconds(start)}`);

async function choose() {
  const known = await steps({ all, wasm, times: TIMES });
  const byName = known.filter(({ name }) => !words.length || words.some((w) => name.includes(w)));
  const paths = words.filter((word) => /[./]/.test(word));
  const files = testFiles().filter((file) => paths.some((path) => file.includes(path)));
  const isEndToEnd = (/** @type {{ name: string }} */ { name }) => name.startsWith('end-to-end');
  const result =
    files.length === 0 || byName.some(isEndToEnd)
      ? byName
      : [...byName, endToEnd('end-to-end tests', files, TIMES)];
  if (result.length === 0)
    stop(
      `no step and no test file has ${words.join(' or ')} in its name. The steps are: ` +
        `${known.map(({ name }) => name).join(', ')}.`,
    );
  if (!result.some(isEndToEnd)) return result;
  // Single test files run without the step that builds.
  await build('release');
  await installChromium();
  await installCoturn();
  await installCurl();
  return result;
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
