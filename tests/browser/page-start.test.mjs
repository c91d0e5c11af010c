// @ts-check
/** Tests the start page, the pages for people at `/health` and at unknown paths, and small screens. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
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
} from '../support/page.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Deployed } from '../support/workerd.mjs';
import { randomWords } from '../../public/verification.js';

/** @typedef {import('playwright-core').Page} Page */

const server = new Deployed();
const pages = new Pages(server);
useFixtures(server, pages);

test('the teaching mode leads to "Look inside", and the invitation keeps it', async () => {
  const page = await pages.open('ann', '/', PHONE);
  await page.getByText('More options').click();
  await page.getByRole('checkbox', { name: 'Teaching mode' }).check();
  await fits(page, 'options');
  await inspect(page, 'start-options-phone');
  await page.getByRole('button', { name: 'Join', exact: true }).click();
  await page.getByRole('heading', { name: 'Handshake' }).waitFor();
  assert(await page.getByRole('checkbox', { name: 'Step by step' }).isChecked());
  await page.getByRole('link', { name: 'Invite people' }).click();
  const link = await page.getByLabel('Invite people').inputValue();
  assert.equal(new URL(link).searchParams.get('steps'), '1');
  const guest = await pages.open('guest', link);
  await guest.getByRole('button', { name: 'Next step' }).waitFor();
});

test('the lesson on the start page opens a room in the teaching mode', async () => {
  const page = await pages.open('ann');
  await page.getByRole('link', { name: 'step by step' }).click();
  await page.getByRole('heading', { name: 'Handshake' }).waitFor();
  assert.match(page.url(), /\?room=([a-z]+-){4}[a-z]+&steps=1#inside$/);
});

test('the name from the form is remembered for the next room, and a name from a URL is not', async () => {
  const page = await pages.open('ann');
  await page.getByLabel('Your name').fill('Ann');
  await page.getByRole('button', { name: 'Join', exact: true }).click();
  await page.getByText('Ann (you)').waitFor();
  await page.goto(at({ room: newRoom(), name: 'Eve' }));
  await page.getByText('Eve (you)').waitFor();
  await page.goto(at({ room: newRoom() }));
  await page.getByText('Ann (you)').waitFor();
  await page.goto('/');
  assert.equal(await page.getByLabel('Your name').inputValue(), 'Ann');
});

test('a suggested room name has five of 256 words, which are 40 bits', () => {
  const words = new Set(Array.from({ length: 100 }, () => randomWords(100)).flat());
  assert.equal(words.size, 256);
  for (const word of words) assert.match(word, /^[a-z]{4,8}$/);
});

test('a link in a messenger has a title, a description and a picture', async () => {
  const page = await pages.open('ann');
  /** @param {string} selector */
  const content = (selector) => page.locator(selector).getAttribute('content');
  assert.match(String(await content('meta[name=description]')), /video calls/);
  assert.match(String(await content('meta[property="og:title"]')), /partyline/);
  assert.equal(await page.locator('meta[name=theme-color]').count(), 2);
  const touchIcon = await page.locator('link[rel=apple-touch-icon]').getAttribute('href');
  for (const [path, width, height] of /** @type {const} */ ([
    [await content('meta[property="og:image"]'), 1200, 630],
    [touchIcon, 180, 180],
  ])) {
    const response = await fetch(new URL(String(path), server.origin));
    assert.equal(response.headers.get('content-type'), 'image/png');
    // The chunk IHDR of a PNG starts at byte 8: length, type, width, height.
    const bytes = new DataView(await response.arrayBuffer());
    assert.deepEqual([bytes.getUint32(16), bytes.getUint32(20)], [width, height]);
  }
});

test('people get pages at unknown paths and at /health, and programs get JSON', async () => {
  const room = await server.server.request('/parties/main/demo', {
    headers: { Accept: 'text/html' },
  });
  for (const { path, status, heading } of [
    { path: '/nothing', status: 404, heading: 'Page not found' },
    { path: '/health', status: 200, heading: 'Server status' },
  ]) {
    for (const Accept of ['*/*', 'application/json']) {
      const program = await server.server.request(path, { headers: { Accept } });
      assert.equal(program.status, status);
      assert.equal(program.headers['content-type'], 'application/json');
      JSON.parse(program.text);
    }
    const page = await pages.open('a person', 'about:blank', PHONE);
    const response = await page.goto(path);
    assert.equal(response?.status(), status);
    assert.match(String(response?.headers()['content-security-policy']), /frame-ancestors 'none'/);
    for (const name of ['content-type', 'vary', 'x-content-type-options'])
      assert.equal(response?.headers()[name], room.headers[name], name);
    await page.getByRole('heading', { name: heading }).waitFor();
    await fits(page, path);
    await inspect(page, `page-of${path.replace('/', '-')}`);
    await page.getByRole('link', { name: 'Start a call' }).click();
    await page.getByRole('heading', { name: 'Private video calls' }).waitFor();
  }
});

test('a URL in the chat is a link, and the text around it is not', async () => {
  const { ann, bob } = await meet(pages);
  await ann.locator('#text').fill('See https://example.com/a?b=1, and <b>javascript:x</b>.');
  await ann.keyboard.press('Enter');
  const link = bob.locator('#log .text a');
  await link.waitFor();
  assert.deepEqual(
    await link.evaluateAll((links) => links.map((link) => link.getAttribute('href'))),
    ['https://example.com/a?b=1'],
  );
  assert.equal(await link.getAttribute('rel'), 'noopener noreferrer');
  assert.equal(
    await bob.locator('#log .text').last().textContent(),
    'See https://example.com/a?b=1, and <b>javascript:x</b>.',
  );
});

test('the time until the next attempt counts down', async () => {
  const page = await pages.open('ann', 'about:blank');
  await page.clock.install();
  await page.routeWebSocket(/parties/, (socket) => {
    socket.send('{"type":"error","code":"room-full","message":""}');
    socket.close({ code: 4003, reason: 'room-full' });
  });
  await page.goto(at({ room: 'demo' }));
  const timer = page.getByRole('timer');
  await timer.getByText(/\d+ s/).waitFor();
  const seconds = async () => Number(/\d+/.exec(String(await timer.textContent()))?.[0]);
  const before = await seconds();
  await page.clock.runFor(3_000);
  const after = await seconds();
  assert(after <= before - 3 && after >= before - 5, `${before} s, and 3 s later ${after} s`);
});

const SCREENS = {
  'a phone on its side': { width: 844, height: 390 },
  'a small phone on its side': { width: 568, height: 320 },
  'a phone with an open keyboard': { width: 390, height: 480 },
  'a small phone': { width: 320, height: 640 },
};

for (const [where, viewport] of Object.entries(SCREENS)) {
  test(`the controls and the message field are visible without scrolling on ${where}`, async () => {
    const page = await enter(
      pages,
      { room: newRoom(), id: 'ann' },
      { viewport, isMobile: true, hasTouch: true },
    );
    await enter(pages, { room: new URL(page.url()).searchParams.get('room') ?? '', id: 'bob' });
    await isShown(page, 'bob', 'connected');
    await fits(page, where);
    const hidden = await page.evaluate(() => {
      const { clientHeight } = document.documentElement;
      const targets = document.querySelectorAll('.controls > :not([hidden]), #say > *, #views a');
      return [...targets, document.querySelector('#stage')].flatMap((node) => {
        const { width, height, bottom, right } = /** @type {Element} */ (
          node
        ).getBoundingClientRect();
        const isSmall = height < (node?.id === 'stage' ? 80 : 43.9);
        const isVisible = bottom <= clientHeight && right <= innerWidth;
        if (width < 2 || (isVisible && !isSmall)) return []; // a label for screen readers has 1 px
        return [`${node?.id || node?.textContent}: ${width} x ${height}, to ${right}, ${bottom}`];
      });
    });
    assert.deepEqual(hidden, []);
    await inspect(page, where.replaceAll(' ', '-'));
  });
}

for (const width of [320, 360, 390, 430]) {
  test(`the buttons of a lobby are not clipped at ${width} px`, async () => {
    const lobby = newRoom();
    const viewport = { width, height: 740 };
    const ann = await enter(
      pages,
      { lobby, id: 'ann' },
      { viewport, isMobile: true, hasTouch: true },
    );
    const bob = await enter(pages, { lobby, id: 'bob' });
    await enter(pages, { lobby, id: 'eve' });
    await bob.getByRole('button', { name: 'Ask to connect: ann' }).click();
    await ann.getByRole('button', { name: 'Decline: bob' }).waitFor();
    await isShown(ann, 'eve', 'not connected');
    const clipped = await ann.evaluate(() =>
      [
        ...document.querySelectorAll('.tile .choices button, .tile .connection:not(:empty)'),
      ].flatMap((node) => {
        const box = node.getBoundingClientRect();
        const tile = /** @type {Element} */ (node.closest('.tile')).getBoundingClientRect();
        const isCut = box.right > tile.right || box.bottom > tile.bottom || box.top < tile.top;
        const isLow = node.matches('button') && box.height < 43.9;
        const isShortened = node.scrollWidth > node.clientWidth + 1;
        return isCut || isLow || isShortened ? [`${node.textContent} ${box.width}`] : [];
      }),
    );
    assert.deepEqual(clipped, []);
    await inspect(ann, `lobby-${width}`);
  });
}

test('a red button ends the call, apart from the navigation', async () => {
  const { ann, bob } = await meet(pages, DESKTOP);
  assert.equal(await bob.locator('nav').getByText('Leave').count(), 0);
  await bob.getByRole('link', { name: 'Leave' }).click();
  await until(ann, 'bob left', () => document.querySelectorAll('.tile .face').length === 1);
});

test('the button "Screen" is hidden where the browser cannot capture the screen', async () => {
  const page = await pages.open('ann', 'about:blank', PHONE);
  await page.addInitScript(() => {
    Reflect.deleteProperty(MediaDevices.prototype, 'getDisplayMedia');
  });
  await page.goto(at({ room: newRoom(), id: 'ann' }));
  await joined(page);
  assert.equal(await page.getByRole('button', { name: 'Screen' }).count(), 0);
  assert.equal(await page.getByRole('button', { name: 'Camera' }).count(), 1);
});
