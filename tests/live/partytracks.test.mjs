// @ts-check
/**
 * Cloudflare's own client and server library, partytracks, against the media server. The library is
 * written for Cloudflare's Realtime SFU and is not modified, so it shows that the API is the same.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { build } from 'esbuild';
import { routePartyTracksRequest } from 'partytracks/server';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Media, SECRET, Site, decodes } from '../support/media.mjs';

const media = new Media();
/** The requests of the client, with the status of the replies. @type {string[]} */
let requests = [];

// Node requires the option `duplex` for a body that is a stream. Workers, for which the library is
// written, do not know the option.
const { fetch } = globalThis;
globalThis.fetch = (url, init) =>
  fetch(url, /** @type {RequestInit} */ ({ duplex: 'half', ...init }));

/** The client library and rxjs, whose observables it uses, as global variables of a page. */
const { outputFiles } = await build({
  stdin: {
    contents:
      `export * from 'partytracks/client'; ` + `export { BehaviorSubject, of } from 'rxjs';`,
    resolveDir: import.meta.dirname,
  },
  bundle: true,
  write: false,
  format: 'iife',
  globalName: 'partytracks',
});

const site = new Site(async (request, response) => {
  const { method, url = '/', headers } = request;
  if (!url.startsWith('/partytracks/')) return response.end('<!doctype html><title>Test</title>');
  const body = method === 'GET' ? undefined : await text(request);
  const answer = await routePartyTracksRequest({
    appId: media.server.app,
    token: SECRET,
    realtimeApiBaseUrl: media.server.url,
    request: new Request(`${site.origin}${url}`, {
      method,
      headers: { 'content-length': headers['content-length'] ?? '0' },
      body: body || undefined,
    }),
  });
  const action = url.replace(/\?.*|[0-9a-f]{32}/g, '').replace('/partytracks/', '');
  requests.push(`${method} ${action} ${answer.status}`);
  response.writeHead(answer.status, { 'content-type': 'application/json' });
  response.end(await answer.text());
});
const pages = new Pages(site);
useFixtures(media, site, pages);

test('partytracks pushes, pulls and closes tracks, and the viewer decodes video', async () => {
  requests = [];
  const device = await pages.open('device');
  const viewer = await pages.open('viewer');
  for (const page of [device, viewer])
    await page.evaluate(outputFiles[0].text + ';globalThis.partytracks = partytracks');

  const metadata = await device.evaluate(async () => {
    const { PartyTracks, of } = /** @type {any} */ (globalThis).partytracks;
    const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
    const client = new PartyTracks({ iceServers: [] });
    const globals = /** @type {any} */ (globalThis);
    globals.subscriptions = [];
    return Promise.all(
      stream.getTracks().map(
        (track) =>
          new Promise((resolve, reject) => {
            const pushed = client.push(of(track));
            globals.subscriptions.push(pushed.subscribe({ next: resolve, error: reject }));
          }),
      ),
    );
  });
  assert.equal(metadata.length, 2);

  await viewer.evaluate(async (metadata) => {
    const globals = /** @type {any} */ (globalThis);
    const { PartyTracks, of } = globals.partytracks;
    const client = new PartyTracks({ iceServers: [] });
    client.peerConnection$.subscribe((/** @type {RTCPeerConnection} */ connection) => {
      globals.connection = connection;
    });
    globals.subscriptions = [];
    globals.tracks = await Promise.all(
      metadata.map(
        (/** @type {object} */ track) =>
          new Promise((resolve, reject) => {
            const pulled = client.pull(of(track));
            globals.subscriptions.push(pulled.subscribe({ next: resolve, error: reject }));
          }),
      ),
    );
  }, /** @type {any} */ (metadata));
  await decodes(viewer);
  assert.deepEqual(await health(), { connected: 2, tracks: 2, subscriptions: 2 });

  // To unsubscribe closes the tracks, first those of the viewer and then those of the device.
  for (const [page, open] of /** @type {const} */ ([
    [viewer, 'subscriptions'],
    [device, 'tracks'],
  ])) {
    await page.evaluate(() => {
      for (const one of /** @type {any} */ (globalThis).subscriptions) one.unsubscribe();
    });
    await media.reaches(open, 0);
  }
  assert.deepEqual(
    requests.filter((request) => !/ 20[01]$/.test(request)),
    [],
  );
  const kinds = new Set(requests);
  for (const request of [
    'POST sessions/new 201',
    'POST sessions//tracks/new 200',
    'PUT sessions//renegotiate 200',
    'PUT sessions//tracks/close 200',
  ])
    assert(kinds.has(request), `${request} was not sent: ${[...kinds]}`);
});

async function health() {
  const { connected, tracks, subscriptions } = await media.health();
  return { connected, tracks, subscriptions };
}
