// @ts-check
/** The media server with a device and viewers in Chromium, over the HTTP API. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { PATIENCE, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Media, answerIn, decodes } from '../support/media.mjs';
import { Site } from '../support/site.mjs';

const media = new Media();
const site = new Site();
const pages = new Pages(site);
useFixtures(media, site, pages);

/** The tracks that a device publishes. */
const PUBLISHED = [
  { location: 'local', trackName: 'video', kind: 'video' },
  { location: 'local', trackName: 'audio', kind: 'audio' },
];

/** @param {string} sessionId the session of the device */
const received = (sessionId) =>
  ['video', 'audio'].map((trackName) => ({ location: 'remote', sessionId, trackName }));

/** @param {import('../support/media.mjs').Description} answer */
function withoutCandidates(answer) {
  assert.doesNotMatch(answer.sdp, /a=candidate/);
  return answer;
}

async function device() {
  const page = await pages.open('device');
  const session = await media.open();
  await media.exchange(session, PUBLISHED, async (offer) =>
    withoutCandidates(await answerIn(page, offer)),
  );
  return { page, session };
}

/** @param {string} name @param {string} source the session of the device */
async function viewer(name, source) {
  const page = await pages.open(name);
  const session = await media.open();
  await media.exchange(session, received(source), async (offer) =>
    withoutCandidates(await answerIn(page, offer)),
  );
  return { page, session };
}

test('the server offers to a device and to viewers, who decode its video', async () => {
  const { page, session } = await device();
  const first = await viewer('first', session);
  await decodes(first.page);
  // The second viewer gets a key frame, although the device has sent for a while.
  const second = await viewer('second', session);
  await decodes(second.page);
  await decodes(first.page);
  const { sessions, connected, tracks, subscriptions, panics } = await media.health();
  assert.deepEqual(
    { sessions, connected, tracks, subscriptions, panics },
    { sessions: 3, connected: 3, tracks: 2, subscriptions: 4, panics: 0 },
  );
  const state = await media.call('GET', `/sessions/${second.session}`);
  const shown = ['location', 'sessionId', 'trackName', 'status'];
  assert.deepEqual(
    new Set(state.body.tracks.map((/** @type {object} */ track) => JSON.stringify(track, shown))),
    new Set(received(session).map((track) => JSON.stringify({ ...track, status: 'active' }))),
  );

  // A page that closes its connection ends its session at once.
  await page.evaluate(() => /** @type {any} */ (globalThis).connection.close());
  await media.reaches('sessions', 2);
  const gone = await media.call('GET', `/sessions/${session}`);
  assert.equal(gone.status, 410);
  assert.equal(gone.body.errorCode, 'session_error');
  const left = await media.call('GET', `/sessions/${first.session}`);
  assert(left.body.tracks.every((/** @type {any} */ { status }) => status === 'inactive'));

  for (const { page } of [first, second])
    await page.evaluate(() => /** @type {any} */ (globalThis).connection.close());
  await media.reaches('sessions', 0);
});

test('when the server ends, browsers notice at once', async () => {
  const server = new Media();
  await server.start();
  try {
    const page = await pages.open('device');
    const session = await server.open();
    await server.exchange(session, PUBLISHED, (offer) => answerIn(page, offer));
    await server.reaches('connected', 1);
    /** @param {string} state the state of the DTLS transport */
    const transportIs = (state) =>
      until(
        page,
        `the transport is ${state}`,
        (state) => {
          const { connection } = /** @type {any} */ (globalThis);
          return connection.getTransceivers()[0].sender.transport.state === state;
        },
        state,
      );
    await transportIs('connected');
    assert.equal(await server.stop(), 0, 'the exit code');
    await transportIs('closed');
  } finally {
    await server.stop();
  }
});

test('the server ends with the process that started it, even if that is killed', async () => {
  const script = new URL('../../scripts/media.mjs', import.meta.url).href;
  const code =
    `const { start } = await import('${script}');` +
    `const { health } = await start(); console.log('health:' + health); setInterval(() => {}, 1e6);`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let health = '';
  for await (const line of createInterface({ input: parent.stdout })) {
    health = line.split('health:')[1] ?? '';
    if (health) break;
  }
  assert.equal((await fetch(health)).status, 200);
  parent.kill('SIGKILL');
  const end = Date.now() + PATIENCE;
  while (await fetch(health).catch(() => undefined)) {
    assert(Date.now() < end, 'the server still answers');
    await setTimeout(50);
  }
});
