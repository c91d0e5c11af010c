// @ts-check
/** The inside of a connection: what was said, in which order, step by step, and how it is now. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { at, DESKTOP, enter, fits, inspect, isShown, meet, PHONE } from '../support/page.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { passed } from '../support/wire.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const server = new Deployed();
const pages = new Pages(server);
useFixtures(server, pages);

/**
 * Waits until the sequence has these, among others, in this order.
 * @param {Page} page
 * @param {...string} kinds
 */
function happened(page, ...kinds) {
  return until(
    page,
    `${kinds} in order`,
    (kinds) => {
      const seen = [...document.querySelectorAll('.event')].map(
        (row) => `${row.getAttribute('data-way')} ${row.getAttribute('data-kind')}`,
      );
      let at = -1;
      return kinds.every((kind) => (at = seen.indexOf(kind, at + 1)) >= 0);
    },
    kinds,
  );
}

/** @param {Page} page @param {number} count */
function ticked(page, count) {
  return until(
    page,
    `${count} ticked`,
    (count) => document.querySelectorAll('.task.done').length === count,
    count,
  );
}

test('both sides see the handshake in its order, and all 26 tasks ticked', async () => {
  const { ann, bob } = await meet(pages);
  await ann.getByRole('button', { name: 'Look inside: bob' }).click();
  await bob.getByRole('button', { name: 'Look inside: ann' }).click();
  await happened(
    bob,
    'in welcome',
    'here create-connection',
    'here create-channel',
    'out offer',
    'in answer',
    'here set-remote-description',
  );
  // The channel may be open before the browser says that it has set the answer.
  await happened(bob, 'in answer', 'both channel');
  await happened(
    ann,
    'in peer-joined',
    'in offer',
    'here set-remote-description',
    'out answer',
    'both channel',
  );
  await ticked(ann, 26);
  await ticked(bob, 26);
  await bob.getByText('You call, and ann is called').waitFor();
  await ann.getByText('bob calls, and you are called').waitFor();
});

test('a description and a candidate are read in words', async () => {
  const { bob } = await meet(pages);
  await bob.getByRole('button', { name: 'Look inside: ann' }).click();
  await bob.locator('.event[data-kind=offer] summary').click();
  await bob.getByText('A section for data channels').first().waitFor();
  await bob.locator('.event[data-way=out][data-kind=candidate] summary').first().press('Enter');
  await bob.getByText('an address of the device itself').first().waitFor();
  await inspect(bob, 'inside');
});

test('the connection view tells role, states, route, speed, and draws a minute', async () => {
  const { ann } = await meet(pages);
  await ann.getByRole('button', { name: 'Look inside: bob' }).click();
  await ann.locator('#local-candidate', { hasText: /^host, .*, udp$/ }).waitFor();
  await ann.locator('#rtt', { hasText: 'ms' }).waitFor();
  await ann.locator('#sending', { hasText: 'kbit/s' }).waitFor();
  assert.equal(await ann.locator('#connection-state').textContent(), 'connected');
  assert.equal(await ann.locator('#signaling-state').textContent(), 'stable');
  assert.match(String(await ann.locator('#ice-state').textContent()), /connected|completed/);
  await until(
    ann,
    'two points',
    () =>
      (document.querySelector('#rtt-plot polyline')?.getAttribute('points') ?? '').split(' ')
        .length > 1,
  );
  const tip = ann.getByRole('tooltip', { includeHidden: true });
  assert(!(await tip.isVisible()));
  await ann.getByText('polite', { exact: true }).focus();
  assert(await tip.isVisible());
  assert.match(String(await tip.textContent()), /take your offer back/);
  await ann.keyboard.press('Escape');
  assert(!(await tip.isVisible()));
});

test('step by step nothing is sent until the next step is pressed', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' });
  const bob = await pages.open('bob', at({ room, id: 'bob', steps: '1' }, '#inside'), DESKTOP);
  const next = bob.getByRole('button', { name: 'Next step' });
  /** @param {string} words */
  const step = async (words) => {
    await bob.getByText(`Next: ${words}`, { exact: true }).waitFor();
    await next.click();
  };
  await step('make the connection');
  await ticked(bob, 3); // and ann has the page open
  await step('add a data channel');
  await step('make an offer');
  await step('set our description: the offer');
  await bob.getByText('Next: send offer', { exact: true }).waitFor();
  // A signal of the page has gone there and back, and no offer before it.
  assert(!(await passed(bob)).includes('out offer'));
  await next.click();
  await until(bob, 'sent', () => /** @type {any} */ (globalThis).wire.passed.includes('out offer'));
  await inspect(bob, 'steps');
  await bob.getByRole('checkbox', { name: 'Step by step' }).uncheck(); // and all the rest
  await isShown(ann, 'bob', 'connected');
  await ticked(bob, 26);
});

test('a lobby: asked, taken back, declined, accepted, and on without the server', async () => {
  const lobby = newRoom();
  const ann = await enter(pages, { lobby, id: 'ann' });
  const bob = await enter(pages, { lobby, id: 'bob' }, PHONE);
  await isShown(ann, 'bob', 'not connected');
  assert(await ann.getByRole('button', { name: 'Send', exact: true }).isDisabled());
  await ann.getByRole('button', { name: 'Ask to connect: bob' }).click();
  await isShown(bob, 'ann', 'asks to connect with you');
  await ann.getByRole('button', { name: 'Take it back: bob' }).click();
  await isShown(bob, 'ann', 'not connected');
  await ann.getByRole('button', { name: 'Ask to connect: bob' }).click();
  await bob.getByRole('button', { name: 'Accept: ann' }).waitFor();
  await inspect(ann, 'lobby');
  await inspect(bob, 'lobby-phone');
  await fits(bob, 'lobby');
  await bob.getByRole('button', { name: 'Decline: ann' }).click();
  await isShown(ann, 'bob', 'has declined');
  await ann.getByRole('button', { name: 'Ask again: bob' }).click();
  await bob.getByRole('button', { name: 'Accept: ann' }).click();
  await isShown(ann, 'bob', 'connected');
  await isShown(bob, 'ann', 'connected');
  const screen = ann.getByRole('button', { name: 'Screen', exact: true });
  await screen.click();
  await bob.getByText('ann’s screen').waitFor();
  for (const page of [ann, bob]) {
    await page.getByRole('button', { name: 'Leave the server' }).click();
    await page.getByText('Without the server').waitFor();
    // A camera could not be agreed on any more. Who comes by with the keyboard is told why.
    const camera = page.getByRole('button', { name: 'Camera' });
    assert(await camera.isDisabled());
    await camera.focus();
    await page.keyboard.press('Enter');
    const why = await page.evaluate(() => {
      const ids = document.activeElement?.getAttribute('aria-describedby');
      return document.getElementById(ids ?? '')?.innerText;
    });
    assert.match(String(why), /Nothing new can be shared/);
    assert.equal(await camera.getAttribute('aria-pressed'), 'false');
  }
  await inspect(ann, 'without-server');
  await fits(bob, 'without the server');
  // What is on can be turned off, here by the browser's own button, but not on again.
  assert(await screen.isEnabled());
  await ann.evaluate(() => {
    const tiles = [...document.querySelectorAll('#stage > li')];
    const tile = tiles.find((tile) => tile.querySelector('.name')?.textContent === 'Your screen');
    const stream = /** @type {MediaStream} */ (tile?.querySelector('video')?.srcObject);
    stream.getTracks()[0].dispatchEvent(new Event('ended'));
  });
  await until(
    ann,
    'the screen is off',
    () => document.querySelector('#screen')?.ariaPressed === 'false',
  );
  assert(await screen.isDisabled());
  await ann.getByRole('textbox', { name: 'Message to all' }).fill('just us');
  await ann.keyboard.press('Enter');
  await bob.locator('#log').getByText('just us').waitFor();
  await bob.getByRole('button', { name: 'Hang up: ann' }).click();
  await ann
    .locator('#log')
    .getByText(/is over|is gone/)
    .first()
    .waitFor();
});

test('hostile names, descriptions and candidates are text', async () => {
  const hostile = '<img src=x onerror="document.body.dataset.broken=1"><b>x</b>\u202e';
  const page = await pages.open('ann', 'about:blank', DESKTOP);
  await page.routeWebSocket(/parties/, (socket) => {
    const send = (/** @type {unknown} */ frame) => socket.send(JSON.stringify(frame));
    send({ type: 'welcome', id: 'ann', room: 'r', peers: [{ id: 'eve', polite: true }] });
    send({ type: 'hello', from: 'eve', payload: { name: hostile, stream: { toString: 1 } } });
    send({ type: 'hello', from: 'eve', payload: { name: hostile, stream: hostile } });
    send({
      type: 'offer',
      from: 'eve',
      payload: { type: hostile, sdp: `v=0\r\n${hostile}\r\na=${hostile}` },
    });
    send({ type: 'candidate', from: 'eve', payload: { candidate: hostile, sdpMid: '0' } });
    send({
      type: 'candidate',
      from: 'eve',
      payload: { candidate: 'candidate:1 1 udp 1 ' + hostile },
    });
    send({ type: hostile, from: 'eve', payload: hostile });
  });
  await page.goto(at({ room: 'r' }, '#inside'));
  await happened(page, 'in offer', 'in candidate', `in ${hostile}`);
  for (const summary of await page.locator('.event[data-way=in] summary').all())
    await summary.click();
  await page.getByText('a=<img').first().waitFor();
  assert.equal(
    await page.locator('main img, main b:not([class], [id]) > *, .reading b').count(),
    0,
  );
  assert.equal(await page.locator('body[data-broken]').count(), 0);
  assert(!(await page.locator('#chosen').textContent())?.includes('\u202e'));
});
