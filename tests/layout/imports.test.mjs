// @ts-check
/**
 * Checks the imports in `src/` and `public/`: a layer imports only lower layers, and there is no
 * cycle. `src/lib.rs` lists the layers in order.
 */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The layers of `src/`, each with the other layers that it may import. */
const LAYERS = {
  core: [],
  dialect: ['core'],
  record: ['core', 'dialect'],
  edge: ['core', 'dialect'],
  shell: ['core', 'dialect', 'record', 'edge'],
};

describe('imports in src/', () => {
  const imports = rustImports();

  it('reads the imports of every folder', () => {
    for (const layer of Object.keys(LAYERS))
      assert.ok(
        [...imports.keys()].some((file) => file.startsWith(`${layer}/`)),
        layer,
      );
    assert.ok(imports.get('edge/admission')?.has('dialect/json'), 'a known import is found');
  });

  for (const [layer, below] of Object.entries(LAYERS))
    it(`lets ${layer}/ import only ${[layer, ...below].join(', ')}`, () => {
      for (const [file, targets] of imports)
        if (file.startsWith(`${layer}/`))
          for (const target of targets)
            assert.ok(
              [layer, ...below].includes(target.split('/')[0]),
              `src/${file} imports ${target}`,
            );
    });

  it('has no cycle', () => assert.deepEqual(cycle(imports), []));
});

describe('imports in public/', () => {
  const imports = scriptImports();

  it('reads the imports of the page and of the library', () => {
    assert.ok(imports.get('room.js')?.has('peers.js'), 'a known import is found');
  });

  it('has no cycle', () => assert.deepEqual(cycle(imports), []));

  it('keeps the library independent of the page', () => {
    // The library consists of the scripts directly in `public/`, except `demo.js`, the entry point
    // of the page.
    const isLibrary = (/** @type {string} */ file) => !file.includes('/') && file !== 'demo.js';
    for (const [file, targets] of imports)
      if (isLibrary(file))
        for (const target of targets) assert.ok(isLibrary(target), `${file} imports ${target}`);
  });
});

/**
 * Returns the modules of `src/` (paths without `.rs`) and the imports of each module. A module and
 * the folder of the same name count as one module, because submodules may import their parent. A
 * `mod.rs` counts as a separate module.
 */
function rustImports() {
  const src = join(ROOT, 'src');
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.rs') && file !== 'lib.rs');
  const modules = new Set(files.map((file) => file.slice(0, -3)));
  /** @type {(path: string) => string | undefined} */
  const owner = (path) => {
    if (modules.has(`${path}/mod`)) return `${path}/mod`;
    const parent = posix.dirname(path);
    if (modules.has(parent)) return owner(parent);
    return modules.has(path) ? path : undefined;
  };
  /** @type {Map<string, Set<string>>} */
  const imports = new Map();
  for (const file of files) {
    const module = file.slice(0, -3);
    const from = owner(module) ?? module;
    const targets = imports.get(from) ?? new Set();
    imports.set(from, targets);
    // The imports of unit tests do not count.
    const [text] = readFileSync(join(src, file), 'utf8').split('#[cfg(test)]\nmod tests');
    for (const path of usedPaths(text, module)) {
      let target = path;
      while (target !== '.' && !owner(target)) target = posix.dirname(target);
      const found = owner(target);
      if (found && found !== from) targets.add(found);
    }
  }
  return imports;
}

/**
 * Yields the paths in `use` declarations, relative to `src/`.
 * @param {string} text the source of the module
 * @param {string} module
 */
function* usedPaths(text, module) {
  const here = module.replace(/\/mod$/, '');
  for (const [, declared] of text.matchAll(/^\s*(?:pub(?:\([^)]*\))? )?use ([^;]+);/gm))
    for (const path of expand(declared.replace(/\s+/g, ''))) {
      const [first, ...rest] = path.split('::');
      let base = { crate: '', self: here, super: posix.dirname(here) }[first];
      if (base === undefined) continue;
      while (rest[0] === 'super')
        ((base = posix.dirname(/** @type {string} */ (base))), rest.shift());
      yield posix.join(base, ...rest);
    }
}

/**
 * Expands `a::{b, c::{d}}` to `a::b` and `a::c::d`.
 * @param {string} tree
 * @returns {string[]}
 */
function expand(tree) {
  const open = tree.indexOf('{');
  if (open < 0) return [tree];
  const [start, inner] = [tree.slice(0, open), tree.slice(open + 1, tree.lastIndexOf('}'))];
  const parts = [''];
  let depth = 0;
  for (const character of inner) {
    if (character === '{') depth += 1;
    if (character === '}') depth -= 1;
    if (character === ',' && depth === 0) parts.push('');
    else parts.push(parts.pop() + character);
  }
  return parts.filter(Boolean).flatMap((part) => expand(start + part));
}

/** Returns the modules of `public/` and the imports of each module, except imports of types. */
function scriptImports() {
  const folder = join(ROOT, 'public');
  /** @type {Map<string, Set<string>>} */
  const imports = new Map();
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const module = file.replaceAll('\\', '/');
    if (!module.endsWith('.js')) continue;
    const text = readFileSync(join(folder, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
    const found = [...text.matchAll(/^(?:import|export)\b[^;]*?from ['"](.+?)['"]/gm)];
    const targets = found.map(([, path]) =>
      path.startsWith('/') ? path.slice(1) : posix.join(dirname(module), path),
    );
    for (const target of targets)
      assert.ok(existsSync(join(folder, target)), `${module}: ${target}`);
    imports.set(module, new Set(targets));
  }
  return imports;
}

/**
 * Returns the modules of one cycle in order, or an empty array if there is no cycle.
 * @param {Map<string, Set<string>>} imports
 */
function cycle(imports) {
  const done = new Set();
  /** @type {string[]} */
  const path = [];
  /** @type {(module: string) => string[] | undefined} */
  const visit = (module) => {
    if (path.includes(module)) return [...path.slice(path.indexOf(module)), module];
    if (done.has(module)) return undefined;
    path.push(module);
    for (const target of imports.get(module) ?? []) {
      const found = visit(target);
      if (found) return found;
    }
    path.pop();
    done.add(module);
    return undefined;
  };
  for (const module of imports.keys()) {
    const found = visit(module);
    if (found) return found;
  }
  return [];
}
