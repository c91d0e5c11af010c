// @ts-check
/** `room.d.ts`: an application can use it, and it says of `room.js` what is so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const OPTIONS = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023'];
const LIB = ['--lib', 'es2023,dom,dom.iterable', '--types', ''];

/** @type {string} */
let folder;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'partyline-types-'));
});
after(() => rm(folder, { recursive: true }));

/**
 * What the compiler says of a file; nothing, if all is well.
 * @param {string} file
 * @param {...string} options
 */
function compile(file, ...options) {
  const tsc = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  const args = [tsc, ...OPTIONS, ...LIB, ...options, file];
  const { stdout, status } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  assert.equal(status === 0, stdout === '', stdout);
  return stdout;
}

test('an application in TypeScript compiles with it, strictly', () => {
  assert.equal(compile('tests/types/consumer.ts'), '');
});

/**
 * Lays code and types out for `agreement.ts`.
 * @param {string} name
 * @param {(types: string) => string} [change] of the types
 */
async function layOut(name, change = (types) => types) {
  const place = path.join(folder, name);
  await mkdir(path.join(place, 'code'), { recursive: true });
  await mkdir(path.join(place, 'types'));
  await writeFile(path.join(place, 'package.json'), '{"type":"module"}');
  const files = await readdir(path.join(ROOT, 'public'));
  for (const file of files.filter((file) => file.endsWith('.js')))
    await cp(path.join(ROOT, 'public', file), path.join(place, 'code', file));
  const types = await readFile(path.join(ROOT, 'public/room.d.ts'), 'utf8');
  const changed = change(types);
  assert.equal(changed === types, name === 'as it is', `${name}: there is nothing to change`);
  await writeFile(path.join(place, 'types/room.d.ts'), changed);
  await cp(path.join(ROOT, 'tests/types/agreement.ts'), path.join(place, 'agreement.ts'));
  return path.join(place, 'agreement.ts');
}

test('it agrees with the code', async () => {
  assert.equal(compile(await layOut('as it is'), '--allowJs', '--checkJs'), '');
});

for (const [what, from, to] of [
  ['an option that there is not', 'token?: string;', 'token?: string; secret?: string;'],
  ['an option left out', 'token?: string;', ''],
  ['an option of another type', "'always' | 'on-request'", "'always' | 'never'"],
  ['a method that there is not', 'accept(): void;', 'accept(): void; greet(): void;'],
  ['a method left out', 'leaveServer(): void;', ''],
  ['a method of a peer left out', 'decline(): void;', ''],
  ['a property of another type', 'readonly id: string | null;', 'readonly id: string;'],
  ['an event left out', 'change: { peer: Peer };', ''],
  ['an event of another detail', 'retryIn?: number | null;', 'retryIn?: number;'],
  ['a detail that may be left out', '{ code: string; message: string; to', '{ code?: string; message: string; to'],
  ['a state left out', "| 'reconnecting'", ''],
  ['a relation that there is not', "| 'declined';", "| 'declined' | 'friends';"],
  ['a step left out', "| 'create-answer'", ''],
  ['something traced that is not', 'gather: RTCIceCandidate;', 'gather: RTCIceCandidate; gone: 1;'],
]) {
  test(`it would not pass with ${what}`, async () => {
    const file = await layOut(what, (types) => types.replace(from, to));
    assert.match(compile(file, '--allowJs', '--checkJs'), /agreement\.ts/);
  });
}
