// @ts-check
/** Defines the names and commands of the steps of `npm test`. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { currentPlatform } from './current.mjs';
import { MANIFEST, TARGET } from './media.mjs';
import { root } from './run.mjs';

/** @typedef {{ name: string, command: string[], env?: NodeJS.ProcessEnv }} Step */

/**
 * Paths of JavaScript that runs in workerd: the module that loads the WebAssembly, and benchmark
 * servers.
 */
const IN_WORKERD = /^(src|tests.bench.servers)[\\/]/;
const DENY_WARNINGS = ['--', '-D', 'warnings'];

/**
 * Returns all steps of the default tier, or of the full tier.
 * @param {object} options
 * @param {boolean} options.all whether to return the full tier (`--all`)
 * @param {NodeJS.ProcessEnv} options.wasm environment variables for a build for wasm32
 * @param {string} options.times the folder for the durations of the tests
 * @returns {Promise<Step[]>}
 */
export async function steps({ all, wasm, times }) {
  const rustdoc = { ...process.env, RUSTDOCFLAGS: '-Dwarnings' };
  const list = [
    { name: 'formatting of Rust', command: ['cargo', 'fmt', '--check'] },
    {
      name: 'formatting of JavaScript',
      command: node(
        'prettier/bin/prettier.cjs',
        '--check',
        '{examples,public,scripts,src,tests}/**/*.{js,mjs,ts}',
      ),
    },
    {
      name: 'clippy for the host',
      command: ['cargo', 'clippy', '--all-targets', ...DENY_WARNINGS],
    },
    {
      name: 'clippy for wasm32',
      command: ['cargo', 'clippy', '--target', 'wasm32-unknown-unknown', ...DENY_WARNINGS],
      env: wasm,
    },
    {
      name: 'rustdoc',
      command: ['cargo', 'doc', '--no-deps', '--document-private-items'],
      env: rustdoc,
    },
    { name: 'tests of the core', command: ['cargo', 'test'] },
    ...mediaServer(rustdoc),
    {
      name: 'instruction counts of the core',
      command: [process.execPath, 'tests/bench/core.mjs'],
    },
    {
      name: 'types of JavaScript',
      command: types(['dom', 'dom.iterable'], 'node', (file) => !IN_WORKERD.test(file)),
    },
    {
      name: 'types of JavaScript in workerd',
      command: types([], '@cloudflare/workers-types', (file) => IN_WORKERD.test(file)),
    },
    deploy(
      'build and deploy (dry run)',
      process.execPath,
      join('node_modules', 'wrangler', 'bin', 'wrangler.js'),
    ),
    endToEnd('end-to-end tests', testFiles(), times),
  ];
  if (!all) return list;
  const current = await currentPlatform();
  return [
    ...list,
    deploy(
      'build and deploy (dry run, current platform)',
      current.node,
      current.wrangler,
      current.env,
    ),
    endToEnd('end-to-end tests (current platform)', testFiles(), times, current),
  ];
}

/**
 * Returns the steps for the media server, which is a Cargo workspace of its own.
 * @param {NodeJS.ProcessEnv} rustdoc environment variables for rustdoc
 * @returns {Step[]}
 */
function mediaServer(rustdoc) {
  const where = ['--manifest-path', MANIFEST];
  const how = [...where, '--locked', '--target-dir', TARGET];
  return [
    {
      name: 'formatting of the media server',
      command: ['cargo', 'fmt', ...where, '--check'],
    },
    {
      name: 'clippy for the media server',
      command: ['cargo', 'clippy', ...how, '--all-targets', ...DENY_WARNINGS],
    },
    {
      name: 'rustdoc of the media server',
      command: ['cargo', 'doc', ...how, '--lib', '--no-deps', '--document-private-items'],
      env: rustdoc,
    },
    { name: 'tests of the media server', command: ['cargo', 'test', ...how] },
  ];
}

/**
 * Returns the paths of all JavaScript test files. The tests require a release build of the Worker.
 */
export function testFiles() {
  return scriptsIn('tests').filter((file) => file.endsWith('.test.mjs'));
}

/**
 * Returns a step that runs test files.
 * @param {string} name
 * @param {string[]} files
 * @param {string} times the folder for the durations of the tests
 * @param {{ node: string, env: NodeJS.ProcessEnv }} [current] Default: this Node
 * @returns {Step}
 */
export function endToEnd(name, files, times, current) {
  const reporters = {
    spec: 'stdout',
    [new URL('reporter.mjs', import.meta.url).href]: join(
      times,
      current ? 'times-current' : 'times',
    ),
  };
  const options = Object.entries(reporters).flatMap(([reporter, destination]) => [
    `--test-reporter=${reporter}`,
    `--test-reporter-destination=${destination}`,
  ]);
  return {
    name,
    command: [
      current?.node ?? process.execPath,
      ...['--test', '--test-concurrency=2', '--test-timeout=300000', ...options, ...files],
    ],
    env: quiet(current?.env),
  };
}

/**
 * Returns a step that builds the Worker, and bundles the files without uploading them. wrangler
 * runs scripts/build.mjs, as in a real deployment.
 * @param {string} name
 * @param {string} program
 * @param {string} wrangler
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Step}
 */
function deploy(name, program, wrangler, env) {
  const options = ['deploy', '--dry-run', '--outdir', 'target/deploy'];
  return { name, command: [program, wrangler, ...options], env: quiet(env) };
}

/**
 * Returns environment variables that keep wrangler from asking questions and from sending usage
 * statistics.
 */
function quiet(env = process.env) {
  return { ...env, WRANGLER_SEND_METRICS: 'false', CI: '1' };
}

/**
 * Returns a command that checks JavaScript files against their JSDoc types.
 * @param {string[]} lib TypeScript libraries in addition to es2023
 * @param {string} globals the package that declares the global variables
 * @param {(file: string) => boolean} chosen
 */
function types(lib, globals, chosen) {
  const how = '--noEmit --allowJs --checkJs --strict --skipLibCheck --module nodenext';
  const what = ['--target', 'es2023', '--lib', ['es2023', ...lib].join(), '--types', globals];
  const files = ['public', 'scripts', 'src', 'tests'].flatMap(scriptsIn).filter(chosen);
  return node('typescript/bin/tsc', ...how.split(' '), ...what, ...files);
}

/** @param {string} folder */
function scriptsIn(folder) {
  const all = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  const scripts = all.filter((file) => /\.m?js$/.test(file));
  return scripts.map((file) => join(folder, file));
}

/**
 * Returns a command that runs a script of an npm package.
 * @param {string} script the path of the script in node_modules
 * @param {...string} args
 */
function node(script, ...args) {
  return [process.execPath, join('node_modules', script), ...args];
}
