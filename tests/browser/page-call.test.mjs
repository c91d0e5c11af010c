// @ts-check
/// <reference path="./page-globals.d.ts" />
/**
 * Tests calls on the built-in page (camera, microphone, screen), device errors and unread messages.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newRoom, PATIENCE, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import {
  at,
  DESKTOP,
  enter,
  fits,
  inspect,
  isShown,
  joined,
  meet,
  PHONE,
  pictured,
} from '../support/page.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { held, hold, release } from '../support/wire.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const PUBLIC = fileURLToPath(new URL('../../public/', import.meta.url));
const server = new Deployed();
const pages = new Pages(server);
useFixtures(server, pages);

/** Returns the number of connections that a page has created. @param {Page} page */
function connectionsCreated(page) {
  return page.evaluate(() => {
    const events = [...document.querySelectorAll('.event')];
    return events.filter(
      (event) => /** @type {HTMLElement} */ (event).dataset.type === 'create-connection',
    ).length;
  });
}

test('camera, microphone and screen are turned on and off within one connection', async () => {
  const { ann, bob } = await meet(pages);
  const press = (/** @type {Page} */ page, /** @type {string} */ name) =>
    page.getByRole('button', { name, exact: true }).click();
  await press(ann, 'Camera');
  await pictured(bob, 'ann');
  await press(bob, 'Camera');
  await pictured(ann, 'bob');
  await press(ann, 'Microphone');
  await until(
    bob,
    'ann is heard',
    () => document.querySelector('.tile.heard .name')?.textContent === 'ann',
  );
  await press(ann, 'Screen');
  await pictured(bob, 'ann’s screen');
  await pictured(bob, 'ann');
  await inspect(bob, 'call');
  await press(ann, 'Screen');
  await bob.getByText('ann’s screen').waitFor({ state: 'detached' });
  await press(ann, 'Camera');
  await pictured(bob, 'ann', false);
  await pictured(ann, 'bob');
  await press(ann, 'Camera');
  await pictured(bob, 'ann');
  assert.equal(await connectionsCreated(ann), 1);
  assert.equal(await connectionsCreated(bob), 1);
});

test('both peers see each other when their cameras start at the same moment', async () => {
  const { ann, bob } = await meet(pages);
  for (const page of [ann, bob]) {
    await hold(page);
    await page.getByRole('button', { name: 'Camera' }).click();
    await held(page, 'out', 1);
  }
  // The offers cross (glare).
  for (const page of [ann, bob]) await release(page);
  await pictured(ann, 'bob');
  await pictured(bob, 'ann');
});

test('a peer who joins later sees a camera that is already on', async () => {
  const { ann, bob, room } = await meet(pages);
  await ann.getByRole('button', { name: 'Camera' }).click();
  await pictured(bob, 'ann');
  const eve = await enter(pages, { room, id: 'eve' });
  await pictured(eve, 'ann');
});

test('tiles of 1 to 9 people fit side by side, and nothing shifts when people join or leave', async () => {
  const page = await pages.open('ann', 'about:blank', DESKTOP);
  await page.addInitScript(() => {
    globalThis.allShifts = [];
    new PerformanceObserver((list) => {
      for (const entry of /** @type {any[]} */ (list.getEntries()))
        for (const { node } of entry.sources)
          allShifts.push(`${entry.value}: ${node?.outerHTML ?? node?.textContent}`);
    }).observe({ type: 'layout-shift', buffered: true });
  });
  /** @type {(frame: unknown) => void} */
  let send = () => {};
  await page.routeWebSocket(/parties/, (socket) => {
    send = (frame) => socket.send(JSON.stringify(frame));
    send({ type: 'welcome', id: 'ann', room: 'r', peers: [] });
  });
  await page.goto(at({ room: 'r', id: 'ann' }));
  await joined(page);
  /** @param {number} count */
  const placed = async (count) => {
    await until(
      page,
      `${count} tiles`,
      (count) => document.querySelectorAll('#stage > li').length === count,
      count,
    );
    const problems = await page.evaluate(() => {
      const stage = /** @type {Element} */ (
        document.querySelector('#stage')
      ).getBoundingClientRect();
      const boxes = [...document.querySelectorAll('#stage > li')].map((tile) => {
        for (const animation of tile.getAnimations()) animation.finish();
        return tile.getBoundingClientRect();
      });
      const inside = (/** @type {DOMRect} */ box) =>
        box.left >= stage.left - 1 &&
        box.right <= stage.right + 1 &&
        box.top >= stage.top - 1 &&
        box.bottom <= stage.bottom + 1;
      const apart = (/** @type {DOMRect} */ a, /** @type {DOMRect} */ b) =>
        a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
      return [
        ...boxes.filter((box) => !inside(box) || box.width < 150),
        ...boxes.filter((box, index) => boxes.slice(index + 1).some((other) => !apart(box, other))),
      ];
    });
    assert.deepEqual(problems, [], `${count} tiles`);
  };
  // The two tiles are ann's own tile and the invitation.
  await placed(2);
  // Ignores the layout shifts while the page loads.
  await page.evaluate(() => void (allShifts.length = 0));
  for (let others = 1; others <= 8; others += 1) {
    send({ type: 'peer-joined', id: `guest-${others}`, polite: true });
    send({ type: 'hello', from: `guest-${others}`, payload: { name: `Guest ${others}` } });
    await placed(others + 1);
  }
  await inspect(page, 'nine');
  for (const id of ['guest-2', 'guest-8', 'guest-5']) send({ type: 'peer-left', id });
  await placed(6);
  assert.deepEqual(await page.evaluate(() => allShifts), []);
});

test('a button turns the sound on when the browser blocks autoplay', async () => {
  const room = newRoom();
  const ann = await pages.open('ann', 'about:blank', DESKTOP);
  await ann.addInitScript(() => {
    const { play } = HTMLMediaElement.prototype;
    HTMLMediaElement.prototype.play = async function () {
      await play.call(this).catch((error) => {
        const tracks = /** @type {MediaStream} */ (this.srcObject).getTracks();
        console.log(error.name, tracks.filter(({ muted }) => !muted).length);
        throw error;
      });
    };
  });
  // Five waits of up to PATIENCE each precede the arrival of the video.
  const timeout = 5 * PATIENCE;
  const predicate = (/** @type {any} */ message) => message.text() === 'NotAllowedError 2';
  const refused = ann.waitForEvent('console', { predicate, timeout });
  // Ann's page must have no user activation. `evaluate` would count as user activation and allow
  // autoplay, so the page joins by its URL.
  await ann.goto(at({ room, id: 'ann' }));
  const bob = await enter(pages, { room, id: 'bob' });
  await isShown(bob, 'ann', 'connected');
  for (const name of ['Camera', 'Microphone'])
    await bob.getByRole('button', { name, exact: true }).click();
  await refused;
  const play = ann.getByRole('alert').getByRole('button', { name: 'Tap to hear' });
  await play.waitFor();
  await inspect(ann, 'sound-off');
  await play.click();
  await until(ann, 'bob is heard', () =>
    [...document.querySelectorAll('video')].some(({ paused, muted, srcObject }) => {
      const tracks = /** @type {MediaStream | null} */ (srcObject)?.getTracks();
      return tracks?.length === 2 && !muted && !paused;
    }),
  );
  await pictured(ann, 'bob');
  await play.waitFor({ state: 'detached' });
});

test('the chat marks messages that wait for a connection, and counts unread messages', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' });
  assert(await ann.getByRole('button', { name: 'Send' }).isDisabled());
  await ann.getByText('You’re the only one here.').waitFor();
  await inspect(ann, 'alone');
  const bob = await pages.open('bob', at({ room, id: 'bob', steps: '1' }), PHONE);
  const field = ann.getByRole('textbox', { name: 'Message everyone' });
  await ann.getByText('Messages are sent once').waitFor();
  await field.fill('too early');
  await ann.keyboard.press('Enter');
  await ann.getByText('Sending to bob…').waitFor();
  await bob.getByRole('link', { name: 'Look inside' }).click();
  await bob.getByRole('checkbox', { name: 'Step by step' }).uncheck();
  await bob.getByRole('link', { name: /Talk.*1/ }).waitFor();
  assert.match(await bob.title(), /^\(1\) /);
  await ann.getByText('Sending to bob…').waitFor({ state: 'detached' });
  await bob.getByRole('link', { name: /Talk/ }).click();
  await bob.locator('#log .new + .line', { hasText: 'too early' }).waitFor();
  await until(bob, 'read', () => !document.title.startsWith('('));
  assert.match(
    String(await bob.locator('#log .line time').last().getAttribute('datetime')),
    /^20\d\d-/,
  );
  await inspect(bob, 'talk-phone');
  await fits(bob, 'talk');
});

for (const { error, words } of [
  { error: 'NotAllowedError', words: 'Camera blocked' },
  { error: 'NotFoundError', words: 'No camera found' },
  { error: 'NotReadableError', words: 'in use by another program' },
]) {
  test(`an alert explains ${error}, and disappears when the camera works`, async () => {
    const ann = await enter(pages, { room: newRoom(), id: 'ann' });
    await ann.evaluate((error) => {
      const { mediaDevices } = navigator;
      const original = mediaDevices.getUserMedia.bind(mediaDevices);
      mediaDevices.getUserMedia = async (constraints) => {
        mediaDevices.getUserMedia = original;
        throw new DOMException(`simulated for ${JSON.stringify(constraints)}`, error);
      };
    }, error);
    await ann.getByRole('button', { name: 'Camera' }).click();
    await ann.getByRole('alert').getByText(words).waitFor();
    await inspect(ann, 'problem');
    await ann.getByRole('button', { name: 'Camera' }).click();
    await ann.getByRole('alert').getByText(words).waitFor({ state: 'detached' });
    await pictured(ann, 'ann (you)');
  });
}

test('the page says that TURN is needed when no candidate pair works, and links to help', async () => {
  const room = newRoom();
  const enterUnreachable = async (/** @type {string} */ id) => {
    const page = await pages.open(id, 'about:blank', DESKTOP);
    await page.addInitScript(() => {
      // Replaces the addresses in remote candidates with an unreachable address (RFC 5737).
      const { addIceCandidate, setRemoteDescription } = RTCPeerConnection.prototype;
      Object.assign(RTCPeerConnection.prototype, {
        /** @this {any} @param {any} init */
        addIceCandidate(init) {
          const candidate = init.candidate.replace(/ \S+ \d+ typ/, ' 203.0.113.1 9 typ');
          return /** @type {any} */ (addIceCandidate).call(this, { ...init, candidate });
        },
        /** @this {any} @param {any} description */
        setRemoteDescription(description) {
          const sdp = description.sdp.replace(/a=candidate.*\r\n/g, '');
          return /** @type {any} */ (setRemoteDescription).call(this, { ...description, sdp });
        },
      });
    });
    await page.goto(at({ room, id }));
    await joined(page);
    return page;
  };
  const ann = await enterUnreachable('ann');
  await enterUnreachable('bob');
  // The page reports the problem after 15 s without a connection.
  await until(
    ann,
    'the problem is shown',
    () =>
      document
        .querySelector('#problems')
        ?.textContent?.includes('Your networks block a direct connection'),
    undefined,
    45_000,
  );
  await inspect(ann, 'no-path');
  await ann.getByRole('link', { name: 'Details for admins' }).click();
  await ann.getByRole('heading', { name: 'Your networks block' }).waitFor();
  await inspect(ann, 'help');
});

test('the start form suggests a readable room name, and the link can be shared', async () => {
  const page = await pages.open('ann', 'about:blank', PHONE);
  await page.addInitScript(() => {
    Object.assign(navigator, {
      share: async (/** @type {any} */ content) => void (globalThis.shared = content),
    });
  });
  await page.goto('/');
  await page.getByRole('button', { name: 'Join' }).waitFor();
  await inspect(page, 'start-phone');
  await fits(page, 'start');
  await page.getByText('More options').click();
  await page.getByRole('radio', { name: 'People I accept' }).check();
  await page.getByRole('button', { name: 'Join' }).click();
  await joined(page);
  await page.getByRole('button', { name: 'Share…' }).click();
  const { url } = await page.evaluate(() => globalThis.shared);
  assert.match(url, /\/\?lobby=([a-z]+-){4}[a-z]+$/);
});

test('the content security policy of the page forbids inline code', () => {
  const policy = readFileSync(path.join(PUBLIC, '_headers'), 'utf8');
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
});
