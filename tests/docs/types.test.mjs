// @ts-check
/** Checks that `room.d.ts` compiles in an application and agrees with `room.js`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PUBLIC = path.join(ROOT, 'public');
/** The other modules of the library, and their types. */
const PARTS = readdirSync(PUBLIC).filter(
  (file) =>
    (file.endsWith('.js') && !['room.js', 'demo.js'].includes(file)) || file === 'parts.d.ts',
);
const OPTIONS = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023'];
const LIB = ['--lib', 'es2023,dom,dom.iterable', '--types', ''];

/** @type {string} */
let folder;
/** @type {string} */
let types;
before(async () => {
  types = await readFile(path.join(PUBLIC, 'room.d.ts'), 'utf8');
  folder = await mkdtemp(path.join(tmpdir(), 'partyline-types-'));
});
after(() => rm(folder, { recursive: true }));

/**
 * Compiles a file, and returns the errors of the compiler or an empty string.
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

test('a strict TypeScript application compiles with room.d.ts', () => {
  assert.equal(compile('tests/docs/types/consumer.ts'), '');
});

/**
 * Copies code, types and `agreement.ts` into a folder, and returns the path of the copied
 * `agreement.ts`.
 * @param {string} name
 * @param {(types: string) => string} [change] applied to `room.d.ts`
 */
async function copyFor(name, change = (types) => types) {
  const target = path.join(folder, name);
  await mkdir(target);
  await writeFile(path.join(target, 'package.json'), '{"type":"module"}');
  for (const part of PARTS) await cp(path.join(PUBLIC, part), path.join(target, part));
  await cp(path.join(PUBLIC, 'room.js'), path.join(target, 'code.js'));
  const changed = change(types);
  assert.equal(
    changed === types,
    name === 'unchanged',
    `${name}: the text to change was not found`,
  );
  await writeFile(path.join(target, 'room.d.ts'), changed);
  await cp(path.join(ROOT, 'tests/docs/types/agreement.ts'), path.join(target, 'agreement.ts'));
  return path.join(target, 'agreement.ts');
}

test('room.d.ts agrees with the code', async () => {
  assert.equal(compile(await copyFor('unchanged'), '--allowJs', '--checkJs'), '');
});

for (const [fault, from, to] of [
  ['a missing option', 'token?: string | (() => string | Promise<string>);', ''],
  ['an option of another type', "'always' | 'on-request'", "'always' | 'never'"],
  ['a method that does not exist', 'accept(): void;', 'accept(): void; greet(): void;'],
  ['a missing method', 'leaveServer(): boolean;', ''],
  ['a missing method of a peer', 'decline(): void;', ''],
  ['a method of another type', 'leaveServer(): boolean;', 'leaveServer(): string;'],
  ['a property of another type', 'readonly id: string | null;', 'readonly id: string;'],
  ['a missing event', 'change: { peer: Peer };', ''],
  ['an event with another detail', 'retryIn?: number | null;', 'retryIn?: number;'],
  [
    'a detail that does not exist',
    'code: string; message: string; to',
    'code: string; why: string; to',
  ],
  ['a missing state', "| 'reconnecting'", ''],
  ['a missing state of a live session', "| 'away'", ''],
  ['a missing method of a live session', 'publish(stream: MediaStream): void;', ''],
  ['a method of a live session that does not exist', 'publish(stream', 'unpublish(stream'],
  ['a missing relation', "| 'declined';", ';'],
  ['a missing step', "| 'create-answer'", ''],
  ['a missing trace type', "'local-candidate': RTCIceCandidate;", ''],
  [
    'a trace type with another payload',
    "'local-candidate': RTCIceCandidate;",
    "'local-candidate': string;",
  ],
]) {
  test(`the comparison fails for ${fault}`, async () => {
    const file = await copyFor(fault, (types) => types.replace(from, to));
    assert.match(compile(file, '--allowJs', '--checkJs'), /error TS/);
  });
}

/** Returns the property names of an interface in `room.d.ts`. @param {string} name */
function propertiesOf(name) {
  const body = new RegExp(`interface ${name} {\n([^]*?)\n}`).exec(types)?.[1] ?? '';
  return [...body.matchAll(/^  '?([\w-]+)'?\??:/gm)].map(([, property]) => property);
}

test('the code uses every option, event and step of room.d.ts', async () => {
  const files = ['room.js', ...PARTS].map((file) => readFile(path.join(PUBLIC, file), 'utf8'));
  const code = (await Promise.all(files)).join('\n').replaceAll('emit(this, ', 'emit(');
  const used = [...code.matchAll(/const {([^}]*)} = options/g)].flatMap(([, names]) =>
    names.split(',').map((option) => option.trim().split(' ')[0]),
  );
  // `options.js` reads some of them again, to check them.
  assert.deepEqual(propertiesOf('RoomOptions').toSorted(), [...new Set(used)].toSorted());
  const steps = propertiesOf('LocalSteps').map((name) => {
    // The code emits these two types without trace().
    if (['relation', 'room-state'].includes(name)) return `type: '${name}'`;
    return `trace('${name}'`.replace(/'create-(offer|answer)'/, '`create-${type}`');
  });
  const calls = [...propertiesOf('RoomEvents').map((name) => `emit('${name}'`), ...steps];
  assert(calls.length > 25);
  assert.deepEqual(
    calls.filter((call) => !code.includes(call)),
    [],
  );
});
