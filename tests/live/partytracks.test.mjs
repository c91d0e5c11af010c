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
import { until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Media, SECRET, decodes } from '../support/media.mjs';
import { Site } from '../support/site.mjs';

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
    await page.evaluate(`${outputFiles[0].text};globalThis.partytracks = partytracks`);

  await device.evaluate(async () => {
    const { PartyTracks, of } = /** @type {any} */ (globalThis).partytracks;
    const client = new PartyTracks({ iceServers: [] });
    const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
    const pushed = stream.getTracks().map((track) => client.push(of(track)));
    /** @type {any} */ (globalThis).results = new Map();
    /** @type {any} */ (globalThis).subscriptions = pushed.map((track, index) =>
      track.subscribe((/** @type {object} */ metadata) => {
        /** @type {any} */ (globalThis).results.set(index, metadata);
      }),
    );
  });
  await bothSucceed(device);
  const metadata = await device.evaluate(() => [
    .../** @type {any} */ (globalThis).results.values(),
  ]);

  await viewer.evaluate((metadata) => {
    const globals = /** @type {any} */ (globalThis);
    const { PartyTracks, of } = globals.partytracks;
    const client = new PartyTracks({ iceServers: [] });
    client.peerConnection$.subscribe((/** @type {RTCPeerConnection} */ connection) => {
      globals.connection = connection;
    });
    globals.results = new Map();
    globals.subscriptions = metadata.map((track, index) =>
      client.pull(of(track)).subscribe((/** @type {MediaStreamTrack} */ pulled) => {
        globals.results.set(index, pulled);
      }),
    );
  }, metadata);
  await bothSucceed(viewer);
  await decodes(viewer);
  assert.deepEqual(await health(), { connected: 2, tracks: 2, subscriptions: 2 });

  // To unsubscribe from a track closes it. The connection goes on. (If the first media section is
  // closed, Chromium begins a new connection, whatever the server answers.)
  for (const [page, open] of /** @type {const} */ ([
    [viewer, 'subscriptions'],
    [device, 'tracks'],
  ])) {
    await page.evaluate(() => /** @type {any} */ (globalThis).subscriptions[1].unsubscribe());
    await media.reaches(open, 1);
    assert.equal((await health()).connected, 2);
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

/**
 * Waits until the client library has pushed or pulled both tracks.
 * @param {import('playwright-core').Page} page
 */
function bothSucceed(page) {
  const holds = () => /** @type {any} */ (globalThis).results.size === 2;
  return until(page, 'both tracks are there', holds);
}

async function health() {
  const { connected, tracks, subscriptions } = await media.health();
  return { connected, tracks, subscriptions };
}
