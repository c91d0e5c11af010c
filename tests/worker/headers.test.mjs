// @ts-check
/** Tests the security headers of the static files and of the responses of the Worker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dev } from '../support/dev.mjs';
import { useFixtures } from '../support/fixtures.mjs';

// `wrangler dev` applies `public/_headers` to static files, as Cloudflare does.
const dev = new Dev();
useFixtures(dev);

/** @param {string} path @param {RequestInit} [init] */
async function headersOf(path, init) {
  const { headers, body } = await fetch(dev.origin + path, init);
  await body?.cancel(); // an event stream does not end
  return headers;
}

const statusPage = () => headersOf('/parties/main/headers', { headers: { Accept: 'text/html' } });

test('every response tells the browser to use HTTPS from now on', async () => {
  const requests = /** @type {[path: string, init?: RequestInit][]} */ ([
    ['/'],
    ['/room.js'],
    ['/examples/call'],
    ['/health'],
    ['/ice-servers'],
    ['/parties/main/headers'],
    ['/parties/main/%zz'],
    ['/nothing'],
    ['/register/headers/ann?key=k', { method: 'POST' }],
    ['/register/headers/ann', { method: 'OPTIONS' }],
    ['/message/headers/ann?key=k', { method: 'POST', body: '{"type":"hello"}' }],
    ['/events/headers/ann?key=k'],
  ]);
  for (const [path, init] of requests)
    assert.equal(
      (await headersOf(path, init)).get('strict-transport-security'),
      'max-age=31536000',
      `${init?.method ?? 'GET'} ${path}`,
    );
});

test('no other page can show the built-in page or a status page in a frame, or keep a handle on it', async () => {
  for (const headers of [
    await headersOf('/'),
    await headersOf('/examples/call'),
    await statusPage(),
  ]) {
    assert.match(`${headers.get('content-security-policy')}`, /(^|; )frame-ancestors 'none'(;|$)/);
    assert.equal(headers.get('cross-origin-opener-policy'), 'same-origin');
  }
});

test('a status page may not change the base of its links, and has no forms', async () => {
  const policy = (await statusPage()).get('content-security-policy')?.split('; ') ?? [];
  assert.ok(policy.includes("base-uri 'none'"), `${policy}`);
  assert.ok(policy.includes("form-action 'none'"), `${policy}`);
});

test('the built-in page may use camera, microphone and screen, and no other device', async () => {
  const policy = (await headersOf('/')).get('permissions-policy')?.split(', ') ?? [];
  for (const feature of ['camera', 'microphone', 'display-capture'])
    assert.ok(policy.includes(`${feature}=(self)`), `${feature}: ${policy}`);
  for (const feature of ['geolocation', 'usb', 'serial', 'midi', 'payment'])
    assert.ok(policy.includes(`${feature}=()`), `${feature}: ${policy}`);
});
