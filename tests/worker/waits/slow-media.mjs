// @ts-check
/** A media server that never completes a reply: the Worker gives up after ten seconds. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Peer } from '../../support/peer.mjs';
import { Recorder } from '../../support/recorder.mjs';
import { WorkerLog } from '../../support/worker-log.mjs';
import { startWorkerd } from '../../support/workerd.mjs';

/** @type {Record<string, import('../../support/recorder.mjs').Handler>} */
const SLOW = {
  silent: () => {},
  endless: (response) => void response.writeHead(201).write('{"sessionId":'),
};

export const slowMediaTests = () =>
  describe('a slow media server', { concurrency: true }, () => {
    const media = new Recorder((response, request) =>
      SLOW[request.line.split('/')[2]](response, request),
    );
    const logs = { silent: new WorkerLog(), endless: new WorkerLog() };
    const names = /** @type {const} */ (['silent', 'endless']);
    /** @type {import('../../support/workerd.mjs').Workerd<'main'>[]} */
    let all;
    before(async () => {
      const MEDIA_URL = await media.start();
      const start = (/** @type {'silent' | 'endless'} */ name) =>
        startWorkerd(
          { main: { MEDIA_URL, MEDIA_APP: name, MEDIA_SECRET: 'secret' } },
          { log: logs[name].add },
        );
      all = await Promise.all(names.map(start));
    });
    after(() => Promise.all([...(all ?? []).map((workerd) => workerd.stop()), media.stop()]));

    names.forEach((name, i) =>
      test(`${name}: the call fails after 10 s, and the device receives an error`, async () => {
        const { main } = all[i].at;
        const body = JSON.stringify({ deviceId: 'camera', sessionId: name });
        await main.request('/create-session', { method: 'POST', body });
        const start = performance.now();
        const camera = await Peer.join(main, name, 'camera');
        await camera.receives({ type: 'live', from: '~live', payload: { state: 'waiting' } });
        await camera.receivesError('media-unavailable', { to: '~live' }, 14_000);
        assert.ok(performance.now() - start > 9_000);
        const [line] = await logs[name].lines('media-failed', 1);
        assert.match(line.message, /no reply within 10 s/);
      }),
    );
  });
