// @ts-check
/**
 * Negotiations in which Chromium and Firefox contradict each other. Both orders of joining are
 * tested, because the first to join is polite and answers the first offer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, log, logged, meet, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { PAIRS } from '../support/firefox.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { hold, release } from '../support/wire.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = { Chromium: new Pages(dev, 'Chromium'), Firefox: new Pages(dev, 'Firefox') };
useFixtures(dev, pages.Chromium, pages.Firefox);

/** @param {Page} page @param {string} id */
const addCamera = (page, id) =>
  page.evaluate(async (id) => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true });
    const { connection } = /** @type {any} */ (globalThis).room.peers.get(id);
    connection.addTrack(stream.getTracks()[0], stream);
  }, id);

/**
 * Fails if the page has lost its peer or reported an error.
 * @param {Page} page
 */
async function isUndisturbed(page) {
  const disturbed = (await log(page)).filter((line) => /^(leave|error)/.test(line));
  assert.deepEqual(disturbed, []);
}

for (const [first, second] of PAIRS) {
  const open = () => Promise.all([pages[first].open('ann'), pages[second].open('bob')]);

  test(`cameras that are added at the same time keep the peer: ${first} first, then ${second}`, async () => {
    const [ann, bob] = await open();
    await meet(ann, bob);
    await Promise.all([hold(ann), hold(bob)]);
    await Promise.all([addCamera(ann, 'bob'), addCamera(bob, 'ann')]);
    // Both offers exist before either offer is sent, so the offers always cross.
    for (const [page, id] of /** @type {[Page, string][]} */ ([
      [ann, 'bob'],
      [bob, 'ann'],
    ])) {
      const isPending = (/** @type {string} */ id) =>
        /** @type {any} */ (globalThis).room.peers.get(id).connection.signalingState ===
        'have-local-offer';
      await until(page, 'an offer is pending', isPending, id);
    }
    await Promise.all([release(ann), release(bob)]);
    await logged(ann, 'track bob');
    await logged(bob, 'track ann');
    await connected(ann, 'bob');
    await connected(bob, 'ann');
    await Promise.all([ann, bob].map(isUndisturbed));
  });

  test(`a camera arrives after an ICE restart of either side: ${first} first, then ${second}`, async () => {
    const [ann, bob] = await open();
    await meet(ann, bob);
    for (const [page, id, other, own] of /** @type {[Page, string, Page, string][]} */ ([
      [ann, 'bob', bob, 'ann'],
      [bob, 'ann', ann, 'bob'],
    ])) {
      const before = await page.evaluate((id) => {
        const { connection } = /** @type {any} */ (globalThis).room.peers.get(id);
        connection.restartIce();
        return connection.currentLocalDescription.sdp.match(/ice-ufrag:.*/)[0];
      }, id);
      const isRestarted = (/** @type {string[]} */ [id, before]) =>
        !(
          /** @type {any} */ (globalThis).room.peers
            .get(id)
            .connection.currentLocalDescription.sdp.includes(before)
        );
      await until(page, 'ICE is restarted', isRestarted, [id, before]);
      await addCamera(page, id);
      await logged(other, `track ${own}`);
      await connected(page, id);
      await connected(other, own);
    }
    await Promise.all([ann, bob].map(isUndisturbed));
  });
}
