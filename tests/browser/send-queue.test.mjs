// @ts-check
/** Tests the queue of outgoing signals. The tests run in Node and set the time themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_QUEUED, SendQueue } from '../../public/send-queue.js';

/** @typedef {import('../../public/parts.d.ts').Frame} Frame */

/** Returns a queue of these signals. @param {Frame[]} signals */
function queueOf(...signals) {
  const queue = new SendQueue();
  for (const signal of signals) queue.push(signal);
  return queue;
}

/** Takes the frames that may be sent now, and returns their signals. @param {SendQueue} queue @param {number} now */
const take = (queue, now) => queue.take(now).flatMap((text) => JSON.parse(text));

/** @param {number} length @param {Frame} frame */
const times = (length, frame) => Array.from({ length }, () => frame);

/** Uses up the burst, so that later signals wait. @param {SendQueue} queue */
function exhaust(queue) {
  for (const frame of times(150, { type: 'filler' })) queue.push(frame);
  assert.equal(take(queue, 0).length, 150);
}

test('150 signals are sent at once, and then 80 a second', () => {
  const queue = queueOf(...times(400, { type: 'wave' }));
  assert.equal(take(queue, 0).length, 150);
  assert.equal(take(queue, 0).length, 0);
  assert.equal(take(queue, 100).length, 8);
  assert.equal(take(queue, 1_100).length, 80);
  assert.equal(take(queue, 60_000).length, 150, 'an idle client regains one burst at most');
  assert.equal(queue.length, 12);
});

test('candidates in one frame count one by one', () => {
  const queue = queueOf(...times(200, { type: 'candidate', to: 'bob' }));
  assert.deepEqual(
    queue.take(0).map((text) => JSON.parse(text).length),
    [32, 32, 32, 32, 22],
  );
});

test('900 KiB of UTF-8 are sent at once, and then 200 KiB a second', () => {
  const frame = { type: 'picture', payload: '' };
  const room = 30 * 1_024 - JSON.stringify(frame).length;
  const queue = queueOf(...times(60, { ...frame, payload: 'ä'.repeat(room / 2) }));
  assert.equal(take(queue, 0).length, 30);
  assert.equal(take(queue, 1_000).length, 6);
});

test('a frame of more than 64 KiB of UTF-8 is discarded with an error', () => {
  const frame = { type: 'picture', to: 'bob', payload: '' };
  const size = 64 * 1_024 - JSON.stringify(frame).length;
  const largest = { ...frame, payload: 'ä'.repeat(Math.floor(size / 2)) + 'x'.repeat(size % 2) };
  const queue = new SendQueue();
  assert.equal(queue.push(largest), null);
  assert.equal(queue.push({ ...largest, payload: `${largest.payload}x` })?.code, 'too-large');
  assert.deepEqual(take(queue, 0), [largest]);
});

test('descriptions precede the candidates of other peers, and the signals to one peer stay in order', () => {
  const queue = queueOf(
    { type: 'candidate', to: 'ann', payload: 1 },
    { type: 'candidate', to: 'bob', payload: 2 },
    { type: 'candidate', to: 'ann', payload: 3 },
    { type: 'wave', to: 'bob', payload: 4 },
    { type: 'bell', payload: 5 },
    { type: 'offer', to: 'cleo', payload: 6 },
    { type: 'candidate', to: 'cleo', payload: 7 },
    { type: 'answer', to: 'bob', payload: 8 },
  );
  assert.deepEqual(
    take(queue, 0).map(({ payload }) => payload),
    [2, 4, 5, 6, 8, 1, 3, 7],
  );
});

test('a description overtakes the candidates that are queued for the rate limit', () => {
  const queue = new SendQueue();
  exhaust(queue);
  for (const frame of times(100, { type: 'candidate', to: 'ann' })) queue.push(frame);
  queue.push({ type: 'offer', to: 'bob' });
  assert.deepEqual(
    take(queue, 25).map(({ type }) => type),
    ['offer', 'candidate'],
  );
});

test('a signal that is not current any more is discarded', () => {
  const queue = new SendQueue();
  exhaust(queue);
  let isCurrent = true;
  queue.push({ type: 'offer', to: 'bob' }, () => isCurrent);
  queue.push({ type: 'cancel', to: 'bob' });
  assert.ok(queue.has('bob') && !queue.has('ann'));
  isCurrent = false;
  assert.deepEqual(take(queue, 1_000), [{ type: 'cancel', to: 'bob' }]);
  assert.equal(queue.length, 0);
});

test('after a refusal, nothing is sent for a second', () => {
  const queue = queueOf({ type: 'wave' });
  queue.pause(5_000);
  assert.equal(take(queue, 5_999).length, 0);
  assert.equal(take(queue, 6_000).length, 1);
});

test('a full queue accepts no signal', () => {
  const queue = queueOf(...times(MAX_QUEUED, { type: 'wave' }));
  assert.equal(queue.push({ type: 'wave' })?.code, 'unsent');
  take(queue, 0);
  assert.equal(queue.push({ type: 'wave' }), null);
});
