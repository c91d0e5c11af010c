// @ts-check
/** The steps of `npm test`: names and commands. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { currentPlatform } from './current.mjs';
import { root } from './run.mjs';

/** @typedef {{ name: string, command: string[], env?: NodeJS.ProcessEnv }} Step */

/** JavaScript that runs in workerd: the module that loads the Rust, and servers of the benchmark. */
const IN_WORKERD = /^(src|tests.bench.servers)[\\/]/;
const DENY_WARNINGS = ['--', '-D', 'warnings'];

/**
 * @param {object} options
 * @param {boolean} options.all whether `--all` was given
 * @param {NodeJS.ProcessEnv} options.wasm the environment that builds for wasm32
 * @param {string} options.times a folder for the times of tests
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
        '{public,scripts,src,tests}/**/*.{js,mjs,ts}',
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

/** The test files of JavaScript. They need the release build, which the step before them makes. */
export function testFiles() {
  return scriptsIn('tests').filter((file) => file.endsWith('.test.mjs'));
}

/**
 * @param {string} name
 * @param {string[]} files
 * @param {string} times
 * @param {{ node: string, env: NodeJS.ProcessEnv }} [current]
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
 * wrangler runs the build, as for a real deployment.
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

/** wrangler asks no questions and sends no statistics. */
function quiet(env = process.env) {
  return { ...env, WRANGLER_SEND_METRICS: 'false', CI: '1' };
}

/**
 * The command that checks the types in the comments.
 * @param {string[]} lib libraries beside that of the language
 * @param {string} globals the package that declares the globals
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
  return all.filter((file) => /\.m?js$/.test(file)).map((file) => join(folder, file));
}

/**
 * The command of an npm package.
 * @param {string} script
 * @param {...string} args
 */
function node(script, ...args) {
  return [process.execPath, join('node_modules', script), ...args];
}
