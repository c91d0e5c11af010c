// @ts-check
/**
 * Everything that must hold, from the formatting to real browsers, up to the first that does not.
 * `npm test -- clippy docs` runs only the steps with one of these words in their name.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { installChromium } from './chromium.mjs';
import { installCoturn } from './coturn.mjs';
import { installCurl } from './curl.mjs';
import { root, show, stop, tell } from './run.mjs';
import { setup } from './setup.mjs';

const words = process.argv.slice(2);
const { env: wasm } = setup();
installChromium();
installCoturn();
installCurl();

const ours = { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: '1' };
/** What runs in workerd: of ours what loads the Rust, and the servers that ours is measured beside. */
const inWorkerd = /^(src|tests.bench.servers)[\\/]/;
const deny = ['--', '-D', 'warnings'];

/** @type {[name: string, command: string[], env?: NodeJS.ProcessEnv][]} */
const steps = [
  ['formatting of the Rust', ['cargo', 'fmt', '--check']],
  [
    'formatting of the JavaScript',
    node('prettier/bin/prettier.cjs', '--check', '{public,scripts,src,tests}/**/*.{js,mjs,ts}'),
  ],
  ['clippy for the host', ['cargo', 'clippy', '--all-targets', ...deny]],
  ['clippy for wasm32', ['cargo', 'clippy', '--target', 'wasm32-unknown-unknown', ...deny], wasm],
  [
    'docs',
    ['cargo', 'doc', '--no-deps', '--document-private-items'],
    { ...process.env, RUSTDOCFLAGS: '-Dwarnings' },
  ],
  ['tests of the core', ['cargo', 'test']],
  ['instructions of the core', [process.execPath, 'tests/bench/core.mjs']],
  [
    'types of the JavaScript',
    types(['dom', 'dom.iterable'], 'node', (file) => !inWorkerd.test(file)),
  ],
  [
    'types of the JavaScript that runs in workerd',
    types([], '@cloudflare/workers-types', (file) => inWorkerd.test(file)),
  ],
  // Wrangler builds first, as it will when it deploys for real.
  [
    'build and deploy, without the deploying',
    node('wrangler/bin/wrangler.js', 'deploy', '--dry-run', '--outdir', 'target/deploy'),
    ours,
  ],
  [
    'tests of the Worker, in workerd and browsers',
    [process.execPath, '--test', '--test-concurrency=2', '--test-timeout=300000', ...workerTests()],
    ours,
  ],
];

const start = Date.now();
const chosen = steps.filter(([name]) => !words.length || words.some((word) => name.includes(word)));
if (chosen.length === 0) stop(`no step has ${words.join(' or ')} in its name.`);
for (const [name, command, env] of chosen) {
  tell(name);
  if (!show(command, { env })) stop(`${name}: failed. Again: npm test -- '${name}'`);
}
tell(`all is well, after ${Math.round((Date.now() - start) / 1000)} seconds`);

/**
 * The command that checks what the comments say of types.
 * @param {string[]} lib what is there beside the language
 * @param {string} known whose globals are there
 * @param {(file: string) => boolean} chosen
 */
function types(lib, known, chosen) {
  const how = '--noEmit --allowJs --checkJs --strict --skipLibCheck --module nodenext';
  const what = ['--target', 'es2023', '--lib', ['es2023', ...lib].join(), '--types', known];
  const files = ['public', 'scripts', 'src', 'tests']
    .flatMap((folder) => scriptsIn(folder))
    .filter(chosen);
  return node('typescript/bin/tsc', ...how.split(' '), ...what, ...files);
}

/** @param {string} folder */
function scriptsIn(folder) {
  const all = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return all.filter((file) => /\.m?js$/.test(file)).map((file) => join(folder, file));
}

function workerTests() {
  return scriptsIn('tests').filter((file) => file.endsWith('.test.mjs'));
}

/**
 * @param {string} script of an npm package
 * @param {...string} args
 */
function node(script, ...args) {
  return [process.execPath, join('node_modules', script), ...args];
}
