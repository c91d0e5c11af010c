// @ts-check
/** `room.d.ts`: an application can use it, and it says of `room.js` what is so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PUBLIC = path.join(ROOT, 'public');
/** What `room.js` stands on. */
const PARTS = [
  'peer.js',
  'negotiation.js',
  'channel-queue.js',
  'restart-timer.js',
  'step-queue.js',
  'signaling.js',
  'parts.d.ts',
];
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
  assert.equal(compile('tests/docs/types/consumer.ts'), '');
});

/**
 * Lays code and types out for `agreement.ts`.
 * @param {string} name
 * @param {(types: string) => string} [change] of the types
 */
async function layOut(name, change = (types) => types) {
  const place = path.join(folder, name);
  await mkdir(place);
  await writeFile(path.join(place, 'package.json'), '{"type":"module"}');
  for (const part of PARTS) await cp(path.join(PUBLIC, part), path.join(place, part));
  await cp(path.join(PUBLIC, 'room.js'), path.join(place, 'code.js'));
  const changed = change(types);
  assert.equal(changed === types, name === 'as it is', `${name}: there is nothing to change`);
  await writeFile(path.join(place, 'room.d.ts'), changed);
  await cp(path.join(ROOT, 'tests/docs/types/agreement.ts'), path.join(place, 'agreement.ts'));
  return path.join(place, 'agreement.ts');
}

test('it agrees with the code', async () => {
  assert.equal(compile(await layOut('as it is'), '--allowJs', '--checkJs'), '');
});

for (const [what, from, to] of [
  ['an option left out', 'token?: string;', ''],
  ['an option of another type', "'always' | 'on-request'", "'always' | 'never'"],
  ['a method that there is not', 'accept(): void;', 'accept(): void; greet(): void;'],
  ['a method left out', 'leaveServer(): boolean;', ''],
  ['a method of a peer left out', 'decline(): void;', ''],
  ['a method of another type', 'leaveServer(): boolean;', 'leaveServer(): string;'],
  ['a property of another type', 'readonly id: string | null;', 'readonly id: string;'],
  ['an event left out', 'change: { peer: Peer };', ''],
  ['an event of another detail', 'retryIn?: number | null;', 'retryIn?: number;'],
  [
    'a detail that is missing',
    'code: string; message: string; to',
    'code: string; why: string; to',
  ],
  ['a state left out', "| 'reconnecting'", ''],
  ['a relation left out', "| 'declined';", ';'],
  ['a step left out', "| 'create-answer'", ''],
  ['something traced left out', "'local-candidate': RTCIceCandidate;", ''],
  [
    'something traced that is something else',
    "'local-candidate': RTCIceCandidate;",
    "'local-candidate': string;",
  ],
]) {
  test(`it would not pass with ${what}`, async () => {
    const file = await layOut(what, (types) => types.replace(from, to));
    assert.match(compile(file, '--allowJs', '--checkJs'), /error TS/);
  });
}

/** The names in an interface, as far as they are written like this one. @param {string} of */
function names(of) {
  const body = new RegExp(`interface ${of} {\n([^]*?)\n}`).exec(types)?.[1] ?? '';
  return [...body.matchAll(/^  '?([\w-]+)'?\??:/gm)].map(([, name]) => name);
}

test('it promises nothing that the code does not do', async () => {
  const files = ['room.js', ...PARTS].map((file) => readFile(path.join(PUBLIC, file), 'utf8'));
  const code = (await Promise.all(files)).join('\n');
  const options = /const {([^}]*)} = options/.exec(code)?.[1] ?? '';
  const read = options.split(',').map((option) => option.trim().split(' ')[0]);
  assert.deepEqual(names('RoomOptions').toSorted(), read.toSorted());
  const steps = names('LocalSteps').map((name) => {
    if (['relation', 'room-state'].includes(name)) return `type: '${name}'`; // of the room, not of a peer
    return `trace('${name}'`.replace(/'create-(offer|answer)'/, '`create-${type}`');
  });
  const calls = [...names('RoomEvents').map((name) => `emit('${name}'`), ...steps];
  assert(calls.length > 25);
  assert.deepEqual(
    calls.filter((call) => !code.includes(call)),
    [],
  );
});
