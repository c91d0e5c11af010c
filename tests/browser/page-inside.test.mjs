// @ts-check
/** Tests the view "Look inside" (diagram, step-by-step mode, connection state) and lobbies. */
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
 * Waits until the diagram contains `rows` in this order. Other rows may occur between `rows`.
 * @param {Page} page
 * @param {...string} rows direction and type
 */
function happened(page, ...rows) {
  return until(
    page,
    `${rows} in order`,
    (rows) => {
      const seen = [...document.querySelectorAll('.event')].map(
        (row) => `${row.getAttribute('data-direction')} ${row.getAttribute('data-type')}`,
      );
      let at = -1;
      return rows.every((row) => (at = seen.indexOf(row, at + 1)) >= 0);
    },
    rows,
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

/** @param {Page} page @param {string} name of the peer */
const lookInside = (page, name) =>
  page.getByRole('button', { name: `Look inside: ${name}` }).click();

test('both pages show the handshake in order', async () => {
  const { ann, bob } = await meet(pages);
  await lookInside(ann, 'bob');
  await lookInside(bob, 'ann');
  await happened(
    bob,
    'in welcome',
    'local create-connection',
    'local create-channel',
    'out offer',
    'in answer',
    'local set-remote-description',
  );
  // The channel can open before `setRemoteDescription` resolves.
  await happened(bob, 'in answer', 'both channel-state');
  await happened(
    ann,
    'in peer-joined',
    'in offer',
    'local set-remote-description',
    'out answer',
    'both channel-state',
  );
});

test('both pages show the caller, and mark all 26 tasks as done', async () => {
  const { ann, bob } = await meet(pages);
  await lookInside(ann, 'bob');
  await lookInside(bob, 'ann');
  await ticked(ann, 26);
  await ticked(bob, 26);
  await bob.getByText('You are the caller, and ann is the callee').waitFor();
  await ann.getByText('bob is the caller, and you are the callee').waitFor();
});

test('the diagram explains a description and a candidate', async () => {
  const { bob } = await meet(pages);
  await lookInside(bob, 'ann');
  await bob.locator('.event[data-type=offer] summary').click();
  await bob.getByText('A section for data channels').first().waitFor();
  await bob
    .locator('.event[data-direction=out][data-type=candidate] summary')
    .first()
    .press('Enter');
  await bob.getByText('an address of the device itself').first().waitFor();
  await inspect(bob, 'inside');
});

test('the connection view shows role, states, candidates and rates, and plots them', async () => {
  const { ann } = await meet(pages);
  await lookInside(ann, 'bob');
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
});

test('a tooltip explains the role while it has the focus, until Escape is pressed', async () => {
  const { ann } = await meet(pages);
  await lookInside(ann, 'bob');
  const tip = ann.getByRole('tooltip', { includeHidden: true });
  assert(!(await tip.isVisible()));
  await ann.getByText('polite', { exact: true }).focus();
  assert(await tip.isVisible());
  assert.match(String(await tip.textContent()), /take your offer back/);
  await ann.keyboard.press('Escape');
  assert(!(await tip.isVisible()));
});

test('the page sends no offer in step-by-step mode until "Next step" is pressed', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' });
  const bob = await pages.open('bob', at({ room, id: 'bob', steps: '1' }, '#inside'), DESKTOP);
  const next = bob.getByRole('button', { name: 'Next step' });
  /** @param {string} words */
  const step = async (words) => {
    await bob.getByText(`Next: ${words}`, { exact: true }).waitFor();
    await next.click();
  };
  await step('create the connection · new RTCPeerConnection()');
  // Two tasks belong to this step. The third task is ann's connection to the server.
  await ticked(bob, 3);
  await step('add a data channel · createDataChannel()');
  await step('create an offer · createOffer()');
  await step('set our description: the offer · setLocalDescription()');
  await bob.getByText('Next: send offer', { exact: true }).waitFor();
  // The step waits for "Next step", so the offer is not sent yet.
  assert(!(await passed(bob)).includes('out offer'));
  await next.click();
  await until(bob, 'sent', () => /** @type {any} */ (globalThis).wire.passed.includes('out offer'));
  await inspect(bob, 'steps');
  // Runs all remaining steps.
  await bob.getByRole('checkbox', { name: 'Step by step' }).uncheck();
  await isShown(ann, 'bob', 'connected');
  await ticked(bob, 26);
});

/** Opens a lobby for ann and for bob, who uses a phone. The peers are not connected. */
async function meetInLobby() {
  const lobby = newRoom();
  const ann = await enter(pages, { lobby, id: 'ann' });
  const bob = await enter(pages, { lobby, id: 'bob' }, PHONE);
  await isShown(ann, 'bob', 'not connected');
  return { ann, bob };
}

/** Opens a lobby for ann and bob, and connects the two peers. */
async function connectInLobby() {
  const { ann, bob } = await meetInLobby();
  await ann.getByRole('button', { name: 'Ask to connect: bob' }).click();
  await bob.getByRole('button', { name: 'Accept: ann' }).click();
  await isShown(ann, 'bob', 'connected');
  await isShown(bob, 'ann', 'connected');
  return { ann, bob };
}

/** @param {...Page} leaving */
async function leaveServer(...leaving) {
  for (const page of leaving) {
    await page.getByRole('button', { name: 'Go offline, keep the call' }).click();
    await page.getByText('Call continues without server').waitFor();
  }
}

test('a request in a lobby is cancelled, declined and accepted', async () => {
  const { ann, bob } = await meetInLobby();
  assert(await ann.getByRole('button', { name: 'Send', exact: true }).isDisabled());
  await ann.getByRole('button', { name: 'Ask to connect: bob' }).click();
  await isShown(bob, 'ann', 'wants to connect');
  await ann.getByRole('button', { name: 'Cancel request: bob' }).click();
  await isShown(bob, 'ann', 'not connected');
  await ann.getByRole('button', { name: 'Ask to connect: bob' }).click();
  await bob.getByRole('button', { name: 'Accept: ann' }).waitFor();
  await inspect(ann, 'lobby');
  await inspect(bob, 'lobby-phone');
  await fits(bob, 'lobby');
  await bob.getByRole('button', { name: 'Decline: ann' }).click();
  await isShown(ann, 'bob', 'declined');
  await ann.getByRole('button', { name: 'Ask again: bob' }).click();
  await bob.getByRole('button', { name: 'Accept: ann' }).click();
  await isShown(ann, 'bob', 'connected');
  await isShown(bob, 'ann', 'connected');
});

test('peers who left the server chat and hang up', async () => {
  const { ann, bob } = await connectInLobby();
  await leaveServer(ann, bob);
  await ann.getByRole('textbox', { name: 'Message everyone' }).fill('just us');
  await ann.keyboard.press('Enter');
  await bob.locator('#log').getByText('just us').waitFor();
  await bob.getByRole('button', { name: 'Hang up: ann' }).click();
  await ann
    .locator('#log')
    .getByText(/ended|left/)
    .first()
    .waitFor();
});

test('a peer who left the server cannot turn a camera on, and the button explains why', async () => {
  const { ann, bob } = await connectInLobby();
  await leaveServer(ann, bob);
  await inspect(ann, 'without-server');
  await fits(bob, 'without the server');
  for (const page of [ann, bob]) {
    const camera = page.getByRole('button', { name: 'Camera' });
    assert(await camera.isDisabled());
    // A keyboard user can focus the disabled button and read why the button does nothing.
    await camera.focus();
    await page.keyboard.press('Enter');
    const description = await page.evaluate(() => {
      const id = document.activeElement?.getAttribute('aria-describedby');
      return document.getElementById(id ?? '')?.innerText;
    });
    assert.match(String(description), /You can’t start sharing without the server/);
    assert.equal(await camera.getAttribute('aria-pressed'), 'false');
  }
});

test('a peer who left the server can turn its screen off, but not on again', async () => {
  const { ann, bob } = await connectInLobby();
  const screen = ann.getByRole('button', { name: 'Screen', exact: true });
  await screen.click();
  await bob.getByText('ann’s screen').waitFor();
  await leaveServer(ann, bob);
  assert(await screen.isEnabled());
  // Simulates the browser's button "Stop sharing", which ends the track.
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
});

test('markup in names, descriptions and candidates is shown as text', async () => {
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
  for (const summary of await page.locator('.event[data-direction=in] summary').all())
    await summary.click();
  await page.getByText('a=<img').first().waitFor();
  assert.equal(
    await page.locator('main img, main b:not([class], [id]) > *, .reading b').count(),
    0,
  );
  assert.equal(await page.locator('body[data-broken]').count(), 0);
  assert(!(await page.locator('#chosen').textContent())?.includes('\u202e'));
});
