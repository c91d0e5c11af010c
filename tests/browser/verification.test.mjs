// @ts-check
/**
 * The words that two people compare to find out whether anybody stands between their browsers. A real
 * man in the middle is a third page, which ends both connections and passes all messages on.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { connected, join, logged, newRoom } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { PAIRS } from '../support/firefox.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const server = new Deployed();
const pages = { Chromium: new Pages(server, 'Chromium'), Firefox: new Pages(server, 'Firefox') };
useFixtures(server, pages.Chromium, pages.Firefox);

/**
 * Returns the words for the connection of a page with a peer.
 * @param {Page} page
 * @param {string} id
 * @returns {Promise<string[] | null>}
 */
const wordsFor = (page, id) =>
  page.evaluate(async (id) => {
    const { verificationWords } = await import(/** @type {string} */ ('/verification.js'));
    return verificationWords(/** @type {any} */ (globalThis).room.peers.get(id).connection);
  }, id);

/** @param {string[] | null} words */
function areWords(words) {
  assert.equal(words?.length, 8);
  for (const word of words ?? []) assert.match(word, /^[a-z]{3,7}$/);
}

/**
 * Connects two pages in a new room.
 * @param {Page} ann
 * @param {Page} bob
 */
async function meet(ann, bob) {
  const room = newRoom();
  await join(ann, room, { id: 'ann' });
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob' });
  await Promise.all([connected(ann, 'bob'), connected(bob, 'ann')]);
}

/** @type {typeof PAIRS} */
const ALL_PAIRS = [['Chromium', 'Chromium'], ...PAIRS];

for (const [first, second] of ALL_PAIRS) {
  const open = () =>
    Promise.all([pages[first].open('ann', '/health'), pages[second].open('bob', '/health')]);

  test(`both sides get the same words, and new words for a new connection: ${first}, ${second}`, async () => {
    const [ann, bob] = await open();
    await meet(ann, bob);
    const words = await wordsFor(ann, 'bob');
    areWords(words);
    assert.deepEqual(await wordsFor(bob, 'ann'), words);
    await bob.reload();
    await logged(ann, 'leave bob');
    await meet(ann, bob);
    const others = await wordsFor(ann, 'bob');
    areWords(others);
    assert.notDeepEqual(others, words);
  });

  test(`the words differ if somebody stands between both sides: ${first}, ${second}`, async () => {
    const [ann, bob] = await open();
    const eve = await pages.Chromium.open('eve', '/health');
    // Ann and bob believe to be in one room. The page in the middle is in both rooms.
    const rooms = [newRoom(), newRoom()];
    await eve.evaluate(async (names) => {
      const { Room } = await import(/** @type {string} */ ('/room.js'));
      const [left, right] = names.map(
        (name, index) => new Room(name, { id: ['bob', 'ann'][index], iceServers: [] }),
      );
      for (const [from, to] of [
        [left, right],
        [right, left],
      ])
        from.addEventListener('message', (/** @type {CustomEvent} */ { detail }) =>
          to.peers.forEach((/** @type {any} */ peer) => peer.send(detail.data)),
        );
      Object.assign(globalThis, { log: [], left, right });
    }, rooms);
    await join(ann, rooms[0], { id: 'ann' });
    await join(bob, rooms[1], { id: 'bob' });
    await Promise.all([connected(ann, 'bob'), connected(bob, 'ann')]);
    await ann.evaluate(() => /** @type {any} */ (globalThis).room.peers.get('bob').send('bob?'));
    await logged(bob, 'message ann bob?');
    const [seen, heard] = [await wordsFor(ann, 'bob'), await wordsFor(bob, 'ann')];
    areWords(seen);
    areWords(heard);
    assert.notDeepEqual(seen, heard);
  });
}

for (const browser of /** @type {const} */ (['Chromium', 'Firefox'])) {
  test(`a description with two fingerprints gives no words in ${browser}`, async () => {
    const page = await pages[browser].open('ann', '/health');
    const words = await page.evaluate(async () => {
      const { verificationWords } = await import(/** @type {string} */ ('/verification.js'));
      /** @param {(sdp: string) => string} change of the answer, on its way to the caller */
      const connect = async (change) => {
        const [caller, callee] = [new RTCPeerConnection(), new RTCPeerConnection()];
        caller.onicecandidate = ({ candidate }) => candidate && callee.addIceCandidate(candidate);
        callee.onicecandidate = ({ candidate }) => candidate && caller.addIceCandidate(candidate);
        const connected = new Promise((resolve) => {
          caller.onconnectionstatechange = () =>
            caller.connectionState === 'connected' && resolve(undefined);
        });
        caller.createDataChannel('any');
        caller.addTransceiver('audio');
        await caller.setLocalDescription();
        const before = await verificationWords(caller);
        await callee.setRemoteDescription(/** @type {any} */ (caller.localDescription));
        await callee.setLocalDescription();
        const { type, sdp } = /** @type {RTCSessionDescription} */ (callee.localDescription);
        await caller.setRemoteDescription({ type, sdp: change(sdp) });
        await connected;
        return [before, await verificationWords(caller)];
      };
      // The line belongs to the last media section, whose transport is that of the first (BUNDLE).
      // Chromium keeps the last fingerprint of each section only, so a test needs two sections.
      const doubled = (/** @type {string} */ sdp) =>
        `${sdp}a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}\r\n`;
      return { one: await connect((sdp) => sdp), two: await connect(doubled) };
    });
    assert.equal(words.one[0], null); // not connected yet
    areWords(words.one[1]);
    assert.deepEqual(words.two, [null, null]);
  });
}

test('the list has 256 different words', () => {
  const source = readFileSync(new URL('../../public/verification.js', import.meta.url), 'utf8');
  const words = /const WORDS = `([^`]*)`/.exec(source)?.[1].trim().split(/\s+/) ?? [];
  assert.equal(new Set(words).size, 256);
  assert.equal(words.length, 256);
  for (const word of words) assert.match(word, /^[a-z]{3,7}$/);
});
