// @ts-check
/** A body that does not arrive in time is refused, even if some of it keeps arriving. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { HttpPeer } from '../../support/http-peer.mjs';
import { WorkerLog } from '../../support/worker-log.mjs';
import { startWorkerd } from '../../support/workerd.mjs';

export const slowBodyTests = () =>
  describe('a slow body', { concurrency: true }, () => {
    const log = new WorkerLog();
    /** @type {import('../../support/workerd.mjs').Workerd<'main'>} */
    let workerd;
    before(async () => (workerd = await startWorkerd({ main: {} }, { log: log.add })));
    after(() => workerd?.stop());

    for (const trickles of [false, true])
      test(`a body that ${trickles ? 'arrives slowly' : 'stops'} is refused after 10 s`, async () => {
        const ann = await HttpPeer.join(workerd.at.main, `slow ${trickles}`, 'ann');
        const start = performance.now();
        const { port } = workerd.at.main;
        const path = ann.path('message');
        const request = http.request({ port, path, method: 'POST', agent: false });
        request.write('{');
        const timer = setInterval(() => trickles && request.write(' '), 500);
        const [response] = await new Promise((resolve, reject) => {
          request.on('response', (...answer) => resolve(answer));
          request.on('error', reject);
        }).finally(() => clearInterval(timer));
        const text = (await response.toArray()).join('');
        request.destroy();
        assert.deepEqual([response.statusCode, JSON.parse(text).error.code], [408, 'timeout']);
        assert.ok(performance.now() - start > 9_000);
        await ann.sends({ type: 'x', target: 'ann' });
        assert.equal(log.text, '');
      });
  });
