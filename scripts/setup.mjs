// @ts-check
/**
 * Sets up what is missing to build and to serve. Node and Rust must be there; nothing else need, so
 * the scripts that run before the npm packages are installed import only what Node brings.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, run, stop, tell } from './run.mjs';
import { toolchain } from './toolchain.mjs';

/** Sees to it that all is there, and answers what builds the Worker. */
export function setup() {
  checkNode();
  installPackages();
  return toolchain();
}

function checkNode() {
  const { node } = process.versions;
  const least = json('package.json').engines.node.replace('>=', '');
  if (node.localeCompare(least, undefined, { numeric: true }) < 0)
    stop(`Node ${node} is too old, it takes ${least}. Get a newer one from https://nodejs.org`);
}

/** What package-lock.json names, unless npm's own list in node_modules says that it is there. */
function installPackages() {
  const has = json('node_modules/.package-lock.json')?.packages ?? {};
  const wanted = Object.entries(json('package-lock.json').packages).filter(([path]) => path !== '');
  if (wanted.every(([path, { version, optional }]) => optional || has[path]?.version === version))
    return;
  tell('installing packages from npm, some seconds');
  // None of them needs its install script, so none gets to run one.
  const ci = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath;
  if (!run(npm?.endsWith('npm-cli.js') ? [process.execPath, npm, ...ci] : ['npm', ...ci]))
    stop('npm could not install the packages; what it says stands above.');
}

/** @param {string} file */
function json(file) {
  const path = join(root, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) setup();
