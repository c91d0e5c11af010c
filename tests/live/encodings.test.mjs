// @ts-check
/** What Chromium sends through the media server: other codecs than VP8, and simulcast layers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { PATIENCE } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Media, answerIn, decodes } from '../support/media.mjs';
import { Site } from '../support/site.mjs';
import { some } from '../support/tier.mjs';

/** @typedef {import('playwright-core').Page} Page */

const media = new Media();
const site = new Site();
const pages = new Pages(site);
useFixtures(media, site, pages);

/**
 * Publishes the camera of a page with the offer of the page. Returns the id of the session.
 * @param {Page} page
 * @param {RTCRtpTransceiverInit} init
 * @param {string} [codec] such as `VP9`. Default: the browser's first choice
 * @returns {Promise<string | undefined>} undefined if the browser has no such codec
 */
async function publish(page, init, codec) {
  const offer = await page.evaluate(async ([init, codec]) => {
    const connection = new RTCPeerConnection();
    Object.assign(globalThis, { connection });
    const video = { width: 640, height: 480 };
    const stream = await navigator.mediaDevices.getUserMedia({ video });
    const transceiver = connection.addTransceiver(stream.getTracks()[0], init);
    if (codec) {
      const all = RTCRtpSender.getCapabilities('video')?.codecs ?? [];
      const chosen = all.filter(({ mimeType }) => mimeType === `video/${codec}`);
      if (chosen.length === 0) return undefined;
      transceiver.setCodecPreferences(chosen);
    }
    const { sdp } = await connection.createOffer();
    await connection.setLocalDescription({ type: 'offer', sdp });
    return { mid: transceiver.mid, sdp };
  }, /** @type {const} */ ([init, codec]));
  if (!offer) return undefined;
  const session = await media.open();
  const { status, body } = await media.call('POST', `/sessions/${session}/tracks/new`, {
    sessionDescription: { type: 'offer', sdp: offer.sdp },
    tracks: [{ location: 'local', mid: offer.mid, trackName: 'video' }],
  });
  assert.equal(status, 200, JSON.stringify(body));
  await page.evaluate(
    (answer) => /** @type {any} */ (globalThis).connection.setRemoteDescription(answer),
    body.sessionDescription,
  );
  return session;
}

/** @param {Page} page @returns {Promise<{ codec: string, width: number }>} */
function shown(page) {
  return page.evaluate(async () => {
    const stats = await /** @type {any} */ (globalThis).connection.getStats();
    for (const entry of stats.values())
      if (entry.type === 'inbound-rtp' && entry.kind === 'video')
        return { codec: stats.get(entry.codecId)?.mimeType, width: entry.frameWidth };
    throw new Error('the page receives no video');
  });
}

for (const codec of some(['VP9', 'AV1', 'H264'])) {
  test(`a viewer decodes ${codec}`, async (context) => {
    const device = await pages.open('device');
    const source = await publish(device, { direction: 'sendonly' }, codec);
    if (!source) return context.skip(`this Chromium cannot encode ${codec}`);
    const viewer = await pages.open('viewer');
    const track = { location: 'remote', sessionId: source, trackName: 'video' };
    await media.exchange(await media.open(), [track], (offer) => answerIn(viewer, offer));
    await decodes(viewer);
    assert.equal((await shown(viewer)).codec, `video/${codec}`);
  });
}

test('a viewer changes between the simulcast layers of a device', async () => {
  const device = await pages.open('device');
  const sendEncodings = [{ rid: 'f' }, { rid: 'h', scaleResolutionDownBy: 2 }];
  const source = await publish(device, { direction: 'sendonly', sendEncodings });
  const viewer = await pages.open('viewer');
  const session = await media.open();
  const prefer = (/** @type {string} */ preferredRid) => ({
    location: 'remote',
    sessionId: source,
    trackName: 'video',
    simulcast: { preferredRid, ridNotAvailable: 'asciibetical' },
  });
  const [{ mid }] = await media.exchange(session, [prefer('h')], (offer) =>
    answerIn(viewer, offer),
  );
  await decodes(viewer);
  await widthIs(viewer, 320);
  const update = { tracks: [{ ...prefer('f'), mid }] };
  const { body } = await media.call('PUT', `/sessions/${session}/tracks/update`, update);
  assert.equal(body.tracks[0].errorCode, undefined, JSON.stringify(body));
  await widthIs(viewer, 640);
  await decodes(viewer);
});

/** @param {Page} page @param {number} width */
async function widthIs(page, width) {
  const end = Date.now() + 2 * PATIENCE;
  for (let now = await shown(page); now.width !== width; now = await shown(page)) {
    assert(Date.now() < end, `the width is ${now.width} instead of ${width}`);
    await setTimeout(50);
  }
}
