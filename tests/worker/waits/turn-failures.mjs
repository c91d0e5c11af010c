// @ts-check
/**
 * Failures of Cloudflare's TURN service. Each failure has its own instance of the Worker. For
 * `endless` and `silent`, the service never completes a response, so the Worker has to time out.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CREDENTIALS, FakeTurnApi } from '../../support/turn.mjs';
import { WorkerLog } from '../../support/worker-log.mjs';
import { startWorkerd } from '../../support/workerd.mjs';

const STUN = 'stun:stun.example:3478';
const CLOUDFLARE_TURN_API_TOKEN = 'api-token';

/** @typedef {import('node:http').ServerResponse} ServerResponse */

/** @type {(status: number, body: string) => (response: ServerResponse) => void} */
const answer = (status, body) => (response) => response.writeHead(status).end(body);

/**
 * The invalid responses of the TURN service, by key id.
 * @type {Record<string, (response: ServerResponse) => void>}
 */
const FAILURES = {
  failing: answer(500, JSON.stringify(CREDENTIALS)),
  refusing: answer(401, '{"error":"Unauthorized"}'),
  redirecting: (response) => response.writeHead(307, { Location: '/v1/turn/keys/good/x' }).end(),
  nonsense: answer(201, '<html>it works</html>'),
  'without-turn': answer(201, '{"iceServers":[{"urls":["stun:theirs.example"]}]}'),
  endless: (response) => response.writeHead(201).write('{"iceServers":['),
  silent: () => {},
};

export const turnFailureTests = () =>
  describe('a failing TURN service', { concurrency: true }, () => {
    const log = new WorkerLog();
    const turnApi = new FakeTurnApi(FAILURES);
    /** @type {import('../../support/workerd.mjs').Workerd<string>} */
    let workerd;
    before(async () => {
      const api = await turnApi.start();
      const instances = Object.keys(FAILURES).map((key) => [
        key,
        {
          CLOUDFLARE_TURN_KEY_ID: key,
          CLOUDFLARE_TURN_API_TOKEN,
          CLOUDFLARE_TURN_API: api,
          STUN_URLS: STUN,
          TURN_OPEN: 'true',
        },
      ]);
      workerd = await startWorkerd(Object.fromEntries(instances), { log: log.add });
    });
    after(() => Promise.all([workerd?.stop(), turnApi.stop()]));

    for (const key of Object.keys(FAILURES))
      test(`${key}: the response has only STUN and is degraded, and the reason is logged`, async () => {
        const start = performance.now();
        const { status, text } = await workerd.at[key].request('/ice-servers');
        const took = performance.now() - start;
        assert.equal(status, 200, text);
        const expected = { iceServers: [{ urls: [STUN] }], ttl: 300, degraded: true };
        assert.deepEqual(JSON.parse(text), expected);
        assert.ok(took < 6_000, `the response took ${took} ms`);
      });

    after(async () => {
      if (!workerd) return;
      const failed = await log.lines('turn-failed', Object.keys(FAILURES).length);
      assert.equal(failed.length, Object.keys(FAILURES).length);
      assert.ok(!log.text.includes(CLOUDFLARE_TURN_API_TOKEN), 'the API token is never logged');
      // If the Worker followed a redirect, it would send the API token to another address.
      assert.ok(!turnApi.requests.some(({ url }) => url?.endsWith('/x')));
    });
  });
