// @ts-check
/** The build of the static files, in a copy of the repository. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const copy = mkdtempSync(join(tmpdir(), 'partyline-site-'));
const SITE = join(copy, 'build', 'site');

before(async () => {
  for (const name of [
    'LICENSE',
    'package-lock.json',
    'package.json',
    'package',
    'public',
    'scripts',
  ])
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  await build();
});
after(() => rmSync(copy, { recursive: true }));

async function build() {
  const module = pathToFileURL(join(copy, 'scripts', 'site.mjs'));
  const code = `(await import(${JSON.stringify(module)})).buildSite()`;
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', `await ${code}`]);
}

/** Returns the inode of each file, which a write of the build changes. */
function inodes() {
  const files = readdirSync(SITE, { recursive: true, encoding: 'utf8' });
  return new Map(files.map((file) => [file, statSync(join(SITE, file)).ino]));
}

/** @param {string} file */
const served = (file) => readFileSync(join(SITE, file), 'utf8');

test('a build replaces the files that have changed, and no others', async () => {
  const earlier = inodes();
  await build();
  assert.deepEqual(inodes(), earlier, 'nothing has changed');
  appendFileSync(join(copy, 'public', 'page', 'dom.js'), '\nexport const added = 1;\n');
  await build();
  assert.match(served('page/dom.js'), /added/);
  const changed = [...inodes()].filter(([file, inode]) => earlier.get(file) !== inode);
  assert.deepEqual(changed.map(([file]) => file).sort(), ['page/dom.js', 'page/dom.js.map']);
});

test('a build removes the files that no longer exist', async () => {
  rmSync(join(copy, 'public', 'help.html'));
  writeFileSync(join(SITE, 'left-over.js'), '');
  await build();
  assert.ok(!readdirSync(SITE).includes('help.html'));
  assert.ok(!readdirSync(SITE).includes('left-over.js'));
  assert.ok(readdirSync(SITE).includes('partyline.tgz'));
});

test('a page has no comments, and preloads a module that it imports only indirectly', async () => {
  writeFileSync(
    join(copy, 'public', 'new.html'),
    '<!doctype html>\n<!-- a\n comment -->\n  <script type="module" src="/new.js"></script>\n',
  );
  writeFileSync(join(copy, 'public', 'new.js'), "import './page/new.js';");
  writeFileSync(join(copy, 'public', 'page', 'new.js'), "export * from '/page/last.js';");
  writeFileSync(join(copy, 'public', 'page', 'last.js'), 'export const last = 1;');
  await build();
  assert.equal(
    served('new.html'),
    `<!doctype html>
  <link rel="modulepreload" href="/page/new.js" />
  <link rel="modulepreload" href="/page/last.js" />
  <script type="module" src="/new.js"></script>
`,
  );
});

test('a script with a syntax error is reported, and the files stay', async () => {
  const earlier = inodes();
  writeFileSync(join(copy, 'public', 'room.js'), 'const;');
  await assert.rejects(build(), ({ code, stderr }) => {
    assert.equal(code, 1, stderr);
    assert.match(stderr, /room\.js:1:5[^]*partyline: a file in public\/ cannot be minified/);
    return true;
  });
  assert.deepEqual(inodes(), earlier);
});
