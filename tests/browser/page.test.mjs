// @ts-check
/** Tests the built-in page at `/?room=…`: joining, chatting, leaving, and alerts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { newRoom, PATIENCE, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { Dev } from '../support/dev.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { at, enter, inspect, joined } from '../support/page.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { sign } from '../support/token.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages(dev);
useFixtures(dev, pages);

/**
 * Waits until the stage shows our own tile and exactly these peers, and all of them are connected.
 * @param {Page} page
 * @param {...string} names
 */
function shows(page, ...names) {
  return until(
    page,
    `shows ${names}`,
    (names) => {
      const tiles = [...document.querySelectorAll('#stage > li:not(.invitation)')].slice(1);
      const part = (/** @type {Element} */ tile, /** @type {string} */ name) =>
        tile.querySelector(name)?.textContent;
      const seen = tiles.map((tile) => [part(tile, '.name'), part(tile, '.connection')]);
      return JSON.stringify(seen) === JSON.stringify(names.map((name) => [name, 'connected']));
    },
    names,
  );
}

/** @param {Page} page @param {string} text */
async function write(page, text) {
  await page.getByRole('textbox', { name: 'Message everyone' }).fill(text);
  await page.keyboard.press('Enter');
}

/**
 * Waits for a message in the chat.
 * @param {Page} page
 * @param {string} author empty for system messages, such as "ann left"
 * @param {string} text
 */
function reads(page, author, text) {
  return until(
    page,
    `a message of "${author}": ${text}`,
    ([author, text]) =>
      [...document.querySelectorAll('#log > .line')].some(
        (row) =>
          row.querySelector('.name')?.textContent === author &&
          row.querySelector('.text')?.textContent === text,
      ),
    [author, text],
  );
}

test('two peers chat after they open the same link', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' });
  const bob = await enter(pages, { room, id: 'bob' });
  await shows(ann, 'bob');
  await shows(bob, 'ann');
  await write(ann, 'hello bob');
  await reads(bob, 'ann', 'hello bob');
  await write(bob, 'hello ann');
  await reads(ann, 'bob', 'hello ann');
  await reads(ann, 'You', 'hello bob');
});

test('three peers connect to each other, and a fourth does not see older messages', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' });
  const bob = await enter(pages, { room, id: 'bob' });
  await shows(bob, 'ann');
  const eve = await enter(pages, { room, id: 'eve' });
  await shows(ann, 'bob', 'eve');
  await shows(bob, 'ann', 'eve');
  await shows(eve, 'ann', 'bob');
  await write(eve, 'to both');
  await reads(ann, 'eve', 'to both');
  await reads(bob, 'eve', 'to both');
  const dan = await enter(pages, { room, id: 'dan' });
  await shows(dan, 'ann', 'bob', 'eve');
  await write(ann, 'hello dan');
  await reads(dan, 'ann', 'hello dan');
  assert.equal(await dan.getByText('to both').count(), 0);
});

test('a reloaded page leaves the room and joins again', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' });
  const bob = await enter(pages, { room, id: 'bob' });
  await shows(bob, 'ann');
  await ann.reload();
  await shows(ann, 'bob');
  await shows(bob, 'ann');
  await reads(bob, '', 'ann left');
  await write(bob, 'there you are');
  await reads(ann, 'bob', 'there you are');
});

test('a peer who clicks "Leave" disappears for the others at once', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' });
  const bob = await enter(pages, { room, id: 'bob' });
  await shows(ann, 'bob');
  await bob.getByRole('link', { name: 'Leave' }).click();
  await shows(ann);
});

test('a peer is shown as lost when its connection breaks, until the server reports that it left', async () => {
  const proxy = await TcpProxy.to(dev);
  try {
    const room = newRoom();
    const ann = await enter(pages, { room, id: 'ann' });
    const bob = await pages.open('bob', proxy.origin + at({ room, id: 'bob' }));
    await shows(ann, 'bob');
    // The server must not receive the Close frame of bob's WebSocket.
    proxy.freeze();
    await bob.close();
    // Chromium needs some seconds to detect that bob does not respond.
    await ann.getByText('connection lost').waitFor({ timeout: 20_000 });
    assert.equal(await ann.getByText('bob left').count(), 0);
    proxy.thaw();
    await reads(ann, '', 'bob left');
    await shows(ann);
  } finally {
    proxy.stop();
  }
});

test('the chat works while the server is unreachable, and the alert disappears on reconnect', async () => {
  const proxy = await TcpProxy.to(dev);
  try {
    const room = newRoom();
    const ann = await enter(pages, { room, id: 'ann' });
    const bob = await pages.open('bob', proxy.origin + at({ room, id: 'bob' }));
    await shows(bob, 'ann');
    proxy.down();
    await bob.getByRole('alert').getByText('Connection to the server lost. Your call').waitFor();
    await bob.getByText('Reconnecting…', { exact: true }).waitFor();
    await write(bob, 'still here');
    await reads(ann, 'bob', 'still here');
    proxy.restore();
    await bob
      .getByRole('alert')
      .getByText('Connection to the server lost')
      .waitFor({ state: 'detached', timeout: 20_000 });
    await joined(bob);
    await shows(ann, 'bob');
  } finally {
    proxy.stop();
  }
});

test('markup in a message is shown as text', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' });
  const bob = await enter(pages, { room, id: 'bob' });
  await shows(ann, 'bob');
  const hostile = '<img src=x onerror="document.body.dataset.broken=1"><b>bold</b>';
  await write(bob, hostile);
  await reads(ann, 'bob', hostile);
  assert.equal(await ann.locator('#log img, #log b').count(), 0);
  assert.equal(await ann.locator('body[data-broken]').count(), 0);
});

test('markup in room names and peer ids is shown as text, even if the server allows such ids', async () => {
  const hostile = '<img src=x onerror="document.body.dataset.broken=1">';
  const page = await pages.open('ann', 'about:blank');
  await page.routeWebSocket(/parties/, (socket) => {
    socket.send(
      JSON.stringify({
        type: 'welcome',
        id: 'ann',
        room: 'r',
        peers: [{ id: hostile.slice(0, 18), polite: false }],
      }),
    );
    socket.send(JSON.stringify({ type: 'peer-joined', id: hostile, polite: true }));
  });
  await page.goto(at({ room: hostile, name: hostile }));
  await page.locator('#stage > li').nth(2).waitFor();
  assert.equal(await page.locator('h1:visible').textContent(), hostile);
  assert.equal(await page.locator('#stage > li .name').nth(1).textContent(), hostile.slice(0, 18));
  assert.equal(await page.locator('#stage > li .name').nth(2).getAttribute('title'), hostile);
  assert.equal(await page.locator('main img').count(), 0);
  assert.equal(await page.locator('body[data-broken]').count(), 0);
});

test('the copied link opens the room and does not contain the id of its peer', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' }, { permissions: ['clipboard-write'] });
  await ann.getByRole('button', { name: 'Copy link' }).click();
  await ann.getByRole('button', { name: 'Copied' }).waitFor();
  // The permissions policy of the page forbids scripts to read the clipboard, so the user pastes.
  const message = ann.getByRole('textbox', { name: 'Message everyone' });
  await message.press('Control+V');
  const link = await message.inputValue();
  assert.equal(link, `${dev.origin}/?room=${room}`);
  const guest = await pages.open('guest', link);
  await shows(guest, 'ann');
});

test('a page with a token does not offer a link that would admit nobody', async () => {
  const token = sign({ room: '*', exp: Math.floor(Date.now() / 1000) + 600 });
  const page = await pages.open('ann', at({ room: newRoom(), id: 'ann' }, `#token=${token}`));
  await page.getByText('Your invitation link is for you only').waitFor();
  await joined(page);
  assert.equal(await page.getByLabel('Invite people').count(), 0);
  await inspect(page, 'invitation-with-token');
  await page.getByRole('button', { name: 'Invite' }).click();
  assert.equal(await page.getByText('Your invitation link').count(), 0);
});

test('a user opens a room and chats with the keyboard alone', async () => {
  const ann = await pages.open('ann');
  /** @param {string} label */
  const tabTo = async (label) => {
    const isFocused = () =>
      ann.evaluate((label) => {
        const active = /** @type {HTMLInputElement | null} */ (document.activeElement);
        return (active?.labels?.[0] ?? active)?.textContent?.trim().startsWith(label);
      }, label);
    while (!(await isFocused())) await ann.keyboard.press('Tab');
  };
  await tabTo('Your name');
  await ann.keyboard.type('Ann');
  await ann.keyboard.press('Enter');
  await joined(ann);
  const link = await ann.getByLabel('Invite people').inputValue();
  assert.match(link, /\?room=(\w+-){4}\w+$/);
  const bob = await pages.open('bob', link);
  await shows(bob, 'Ann');
  await tabTo('Message everyone');
  await ann.keyboard.type('typed');
  await ann.keyboard.press('Enter');
  await reads(bob, 'Ann', 'typed');
  await tabTo('Look inside');
  await ann.keyboard.press('Enter');
  await ann.getByRole('heading', { name: 'Handshake' }).waitFor();
});

test('an invalid room name is explained, and the form is shown again', async () => {
  const page = await pages.open('ann', at({ room: 'r'.repeat(129) }));
  await page.getByRole('alert').getByText('This room name is too long').waitFor();
  await page.getByLabel('Room', { exact: true }).waitFor();
});

test('the page says that the room is full, and joins when another peer leaves', async () => {
  const small = new Dev({ MAX_PEERS: '1' });
  try {
    await small.start();
    const occupant = new WebSocket(`${small.origin.replace('http', 'ws')}/parties/main/small`);
    await new Promise((resolve, reject) => occupant.once('message', resolve).once('error', reject));
    const page = await pages.open('ann', 'about:blank');
    await page.clock.install();
    await page.goto(`${small.origin}/?room=small&id=ann`);
    await page.getByRole('alert').getByText('The room is full').waitFor();
    await new Promise((resolve) => {
      occupant.once('close', resolve);
      occupant.close(1000);
    });
    await page.clock.fastForward(31_000);
    await joined(page);
  } finally {
    await small.stop();
  }
});

test('the page uses wss and shares an https link when it is served over https', async () => {
  const secure = new Dev({}, 'https');
  await secure.start();
  try {
    // The certificate is self-signed.
    const options = { ignoreHTTPSErrors: true };
    const ann = await pages.open('ann', 'about:blank', options);
    const opened = ann.waitForEvent('websocket');
    await ann.goto(`${secure.origin}${at({ room: 'secure', id: 'ann' })}`);
    assert.match((await opened).url(), /^wss:/);
    const link = await ann.getByLabel('Invite people').inputValue();
    assert.equal(link, `${secure.origin}/?room=secure`);
    const bob = await pages.open('bob', `${link}&id=bob`, options);
    await shows(ann, 'bob');
    await shows(bob, 'ann');
    await write(ann, 'hello bob');
    await reads(bob, 'ann', 'hello bob');
    await write(bob, 'hello ann');
    await reads(ann, 'bob', 'hello ann');
  } finally {
    await secure.stop();
  }
});

test('the page says at once that an id is taken, and gives it up after a minute', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' });
  const eve = await pages.open('eve', 'about:blank');
  await eve.clock.install();
  await eve.goto(at({ room, id: 'ann' }));
  const alert = eve.getByRole('alert');
  await alert.getByText(/^This ID is in use in the room.* Retrying in \d+ s\.$/).waitFor();
  await alert.getByRole('link', { name: 'Join with a new one' }).waitFor();
  await eve.clock.fastForward(60_000);
  await alert.getByText(/^This ID is in use in the room[^.]*\.\s*$/).waitFor();
  await eve.getByText('Not connected', { exact: true }).waitFor();
  assert(await eve.getByRole('textbox', { name: 'Message everyone' }).isDisabled());
  assert.equal(await ann.locator('#status').getAttribute('data-state'), 'joined');
});

test('a link leaves an id that is taken', async () => {
  const room = newRoom();
  const ann = await enter(pages, { room, id: 'ann' });
  const eve = await pages.open('eve', at({ room, id: 'ann' }));
  await eve.getByRole('link', { name: 'Join with a new one' }).click();
  await joined(eve);
  await until(ann, 'two people', () => document.querySelectorAll('.tile .face').length === 2);
});

/**
 * Opens the page in a new tab. Like "Duplicate tab" of a browser, this copies `sessionStorage`.
 * @param {Page} page
 */
async function duplicate(page) {
  const [copy] = await Promise.all([
    page.context().waitForEvent('page'),
    page.evaluate(() => void window.open(location.href)),
  ]);
  return copy;
}

test('a reloaded page keeps its id, and a duplicated tab gets a new id', async () => {
  const room = newRoom();
  const bob = await enter(pages, { room, id: 'bob' });
  const ann = await pages.open('ann', at({ room, name: 'Ann' }));
  await shows(bob, 'Ann');
  const id = () => bob.locator('#stage .name', { hasText: 'Ann' }).first().getAttribute('title');
  const before = await id();
  // Users copy the address, so the address must not contain the name.
  assert.equal(new URL(ann.url()).search, `?room=${room}`);
  await ann.reload();
  await reads(bob, '', 'Ann left');
  await shows(bob, 'Ann');
  assert.equal(await id(), before);
  const copy = await duplicate(ann);
  await shows(copy, 'bob', 'Ann');
  await shows(bob, 'Ann', 'Ann');
});

test('a duplicated tab takes over the id without Web Locks, and the first tab shows an alert', async () => {
  const room = newRoom();
  const bob = await enter(pages, { room, id: 'bob' });
  const first = await pages.open('ann', 'about:blank');
  await first.context().addInitScript(() => {
    // Browsers define `navigator.locks` in secure contexts only.
    Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined });
  });
  await first.goto(at({ room, id: 'ann' }));
  await shows(bob, 'ann');
  const second = await duplicate(first);
  await first.getByRole('alert').getByText('joined in another tab').waitFor();
  await shows(second, 'bob');
  await shows(bob, 'ann');
  await write(bob, 'which ann');
  await reads(second, 'bob', 'which ann');
});

for (const { code, reason, words } of [
  {
    code: 4010,
    reason: 'unauthorized',
    words:
      'This room needs a valid invitation link: your link has expired. Ask the person who invited you.',
  },
  {
    code: 4012,
    reason: 'removed',
    words:
      'The operator of this server has removed you from the room, or has closed the room. ' +
      'Ask the operator whether you can join again.',
  },
  { code: 4014, reason: 'expired', words: 'Your invitation has expired' },
  { code: 1009, reason: 'too-large', words: 'too large for the server' },
  { code: 4008, reason: 'too-fast', words: 'Retrying in' },
  { code: 1011, reason: '', words: 'The server does not answer' },
]) {
  test(`an alert explains close code ${code}`, async () => {
    const page = await pages.open('ann', 'about:blank');
    await page.routeWebSocket(/parties/, (socket) => {
      const message =
        'the token has expired: `exp` is 1, expected more than the current time 2. Request a new token';
      socket.send(JSON.stringify({ type: 'error', code: reason, message }));
      socket.close({ code, reason });
    });
    await page.goto(at({ room: 'demo' }));
    await page.getByRole('alert').getByText(words).waitFor({ timeout: PATIENCE });
  });
}
