// @ts-check
/**
 * Checks the JavaScript functions that the Rust code calls. An exception does not unwind the Rust
 * code that it crosses: values are not dropped, and a `RefCell` stays borrowed. A function that can
 * throw must therefore be bound with `catch`. The Rust code then receives the exception as an error.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

/**
 * The operations that may be bound without `catch`, by the reason why they cannot throw.
 * @type {Record<string, string[]>}
 */
const SAFE = {
  'reads a field of an object of the platform': [
    ...['.body', '.buffer', '.byobRequest', '.byteLength', '.byteOffset', '.cause', '.headers'],
    ...['.length', '.message', '.method', '.name', '.readyState', '.stack', '.status', '.url'],
    ...['.view'],
  ],
  'reads a field of an object or an array that JavaScript code created': [
    ...['.ROOM', '.instanceId', '.partyline', '.read', 'get', 'get_unchecked'],
    ...['static_accessor_INIT_STATE'],
  ],
  'writes a field of an object that JavaScript code created': [
    ...['.body=', '.criticalError=', '.headers=', '.instanceId=', '.method=', '.partyline='],
    ...['.redirect=', '.signal=', '.status='],
  ],
  'finds a global object': [
    ...['.crypto', '.msCrypto', '.node', '.process', '.queueMicrotask', '.versions'],
    ...['GLOBAL', 'GLOBAL_THIS', 'SELF', 'WINDOW'].map((name) => `static_accessor_${name}`),
  ],
  'creates an object of a class of ours, whose constructor only sets fields': ['new'],
  'creates an object from valid arguments': [
    ...['new Array', 'new Date', 'new Error', 'new Object', 'new TextEncoder', 'new Uint8Array'],
    ...['new_typed'],
  ],
  'calls a method of a built-in type with valid arguments': [
    ...['.push()', '.then()', 'Promise.allSettled()', 'Promise.reject()', 'Promise.resolve()'],
    ...['.encodeInto()', '.set()', '.subarray()', 'Uint8Array.prototype.set.call()'],
    ...[
      '.getTime()',
      '.toISOString()',
      'Date.now()',
      'Object.is()',
      'console.error()',
      'queueMicrotask()',
    ],
  ],
  'converts an error of serde to text': ['String()'],
  'catches its own exceptions': ['ArrayBuffer', 'Error', 'Promise', 'Response'].map(
    (type) => `instanceof_${type}`,
  ),
  'is a function of ours that cannot throw': ['.read()', 'logRejection'],
  'is a trap by intention': ['__wbindgen_throw'],
  'converts values or changes the state of wasm-bindgen': [
    ...['boolean_get', 'debug_string', 'is_function', 'is_null_or_undefined', 'is_object'],
    ...['is_string', 'is_undefined', 'number_get', 'reinit', 'string_get'],
  ].map((name) => `__wbindgen_${name}`),
  'passes a value or a callback to JavaScript': ['generic', '._wbg_cb_unref()'],
  'runs at the start': ['.__wbindgen_externrefs'],
};

test('every JavaScript function that can throw is bound with catch', () => {
  const { caught, uncaught } = imports();
  assert.ok(caught.includes('.send()'), 'a function with catch is found');
  assert.ok(uncaught.includes('.headers'), 'a function without catch is found');
  const safe = new Set(Object.values(SAFE).flat());
  assert.deepEqual(
    uncaught.filter((operation) => !safe.has(operation)),
    [],
    'bind these functions with `catch`, or add the reason why they cannot throw',
  );
});

/** Returns the operations that the Rust code imports, with and without `catch`. */
function imports() {
  const glue = readFileSync(new URL('../../build/release/index.js', import.meta.url), 'utf8');
  const start = '"./rust_bg.js":{__proto__:null,';
  const [object] = glue.slice(glue.indexOf(start) + start.length).split('}}}');
  const caught = [];
  const uncaught = [];
  for (const code of object.split(/,(?=__wb\w+:function\()/)) {
    const [, name, body] =
      /^__wb(?:g|indgen)_(\w+?)(?:_[0-9a-f]{16})?:function\([^)]*\)\{(.*)/s.exec(code) ?? [];
    assert.ok(name, `the code of an import: ${code.slice(0, 80)}`);
    const wrapped = /^return \w+\(function\([^)]*\)\{(.*)\},arguments\)/s.exec(body);
    if (wrapped) caught.push(operation(name, wrapped[1]));
    else uncaught.push(operation(name, body));
  }
  return { caught, uncaught };
}

/**
 * Returns what the minified code of an import does first, or the name of the import if the code is
 * no access of a field, no call and no constructor.
 * @param {string} name
 * @param {string} code
 */
function operation(name, code) {
  const [, , field, access = ''] = /^(return |let \w=)?\w\.(\w+)(\(|=(?!=))?/.exec(code) ?? [];
  if (field) return `.${field}${access.replace('(', '()')}`;
  const [, , type] = /^(return |let \w=)new (\w+)/.exec(code) ?? [];
  // The names of our classes are minified.
  if (type) return type.length > 2 ? `new ${type}` : 'new';
  const [, , callee] =
    /^(return |let \w=|let \w,\w;try\{\w=\w,\w=\w,)?(\w{3,}(?:\.\w+)*)\(/.exec(code) ?? [];
  return callee ? `${callee}()` : name;
}
