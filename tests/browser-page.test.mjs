// @ts-check
/** The page at `/?room=…`, as somebody uses it who knows nothing of its insides. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { newRoom, PATIENCE, Pages, until } from './support/browser.mjs';
import { Dev } from './support/dev.mjs';
import { Line } from './support/line.mjs';

/** @typedef {import('playwright-core').Page} Page */

const dev = new Dev();
const pages = new Pages();

before(() => Promise.all([dev.start(), pages.launch()]));
afterEach(() => pages.closeAll());
after(() => Promise.all([dev.stop(), pages.quit()]));

/**
 * @param {string} room
 * @param {string} id
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
function enter(room, id, options) {
  return pages.open(id, `${dev.origin}/?${new URLSearchParams({ room, id })}`, options);
}

/**
 * Waits until the list of people shows each of these with this role and a connection.
 * @param {Page} page
 * @param {Record<string, string>} roles
 */
function shows(page, roles) {
  return until(
    page,
    `shows ${JSON.stringify(roles)}`,
    (roles) => {
      const rows = [...document.querySelectorAll('#people > li')].slice(1); // without itself
      const part = (/** @type {Element} */ row, /** @type {string} */ name) =>
        row.querySelector(name)?.textContent;
      const seen = rows.map((row) => [
        part(row, '.name'),
        part(row, '.role'),
        part(row, '.connection'),
      ]);
      return (
        JSON.stringify(seen) ===
        JSON.stringify(Object.entries(roles).map(([id, role]) => [id, role, 'connected']))
      );
    },
    roles,
  );
}

/** @param {Page} page @param {string} text */
async function write(page, text) {
  await page.getByLabel('Message to all').fill(text);
  await page.keyboard.press('Enter');
}

/** Waits for a line in the chat. @param {Page} page @param {string} who @param {string} text */
function reads(page, who, text) {
  return until(
    page,
    `${who} says ${text}`,
    ([who, text]) =>
      [...document.querySelectorAll('#log > li')].some(
        (row) =>
          row.querySelector('.name')?.textContent === who &&
          row.querySelector('.text')?.textContent === text,
      ),
    [who, text],
  );
}

test('two peers who open the same link meet and talk', async () => {
  const room = newRoom();
  const ann = await enter(room, 'ann');
  await ann.getByText('In the room').waitFor();
  const bob = await enter(room, 'bob');
  await shows(ann, { bob: 'impolite' });
  await shows(bob, { ann: 'polite' });
  await write(ann, 'hello bob');
  await reads(bob, 'ann', 'hello bob');
  await write(bob, 'hello ann');
  await reads(ann, 'bob', 'hello ann');
  await reads(ann, 'You', 'hello bob');
});

test('three peers are connected each with each, and a fourth hears nothing said before it came', async () => {
  const room = newRoom();
  const ann = await enter(room, 'ann');
  await ann.getByText('In the room').waitFor();
  const bob = await enter(room, 'bob');
  await shows(bob, { ann: 'polite' });
  const eve = await enter(room, 'eve');
  await shows(ann, { bob: 'impolite', eve: 'impolite' });
  await shows(bob, { ann: 'polite', eve: 'impolite' });
  await shows(eve, { ann: 'polite', bob: 'polite' });
  await write(eve, 'to both');
  await reads(ann, 'eve', 'to both');
  await reads(bob, 'eve', 'to both');
  const dan = await enter(room, 'dan');
  await shows(dan, { ann: 'polite', bob: 'polite', eve: 'polite' });
  await write(ann, 'hello dan');
  await reads(dan, 'ann', 'hello dan');
  assert.equal(await dan.getByText('to both').count(), 0);
});

test('a page that is reloaded leaves and comes back as the younger one', async () => {
  const room = newRoom();
  const ann = await enter(room, 'ann');
  await ann.getByText('In the room').waitFor();
  const bob = await enter(room, 'bob');
  await shows(bob, { ann: 'polite' });
  await ann.reload();
  await shows(ann, { bob: 'polite' });
  await shows(bob, { ann: 'impolite' });
  await reads(bob, '', 'ann is gone');
  await write(bob, 'there you are');
  await reads(ann, 'bob', 'there you are');
});

test('a page that is left is gone for the others at once', async () => {
  const room = newRoom();
  const ann = await enter(room, 'ann');
  await ann.getByText('In the room').waitFor();
  const bob = await enter(room, 'bob');
  await shows(ann, { bob: 'impolite' });
  await bob.getByRole('link', { name: 'Leave' }).click();
  await shows(ann, {});
});

test('a peer who is lost is shown so, until word comes that it has left', async () => {
  const line = await Line.to(dev.port);
  try {
    const room = newRoom();
    const ann = await enter(room, 'ann');
    await ann.getByText('In the room').waitFor();
    const bob = await pages.open(
      'bob',
      `${line.origin}/?${new URLSearchParams({ room, id: 'bob' })}`,
    );
    await shows(ann, { bob: 'impolite' });
    line.freeze(); // nothing that bob's browser may say on its way out comes through
    await bob.close();
    // Chromium takes some seconds to notice that the other side no longer answers.
    await ann.getByText('connection lost').waitFor({ timeout: 20_000 });
    assert.equal(await ann.getByText('bob is gone').count(), 0);
    line.thaw();
    await reads(ann, '', 'bob is gone');
    await shows(ann, {});
  } finally {
    line.stop();
  }
});

test('what a peer sends is shown as text', async () => {
  const room = newRoom();
  const ann = await enter(room, 'ann');
  await ann.getByText('In the room').waitFor();
  const bob = await enter(room, 'bob');
  await shows(ann, { bob: 'impolite' });
  const hostile = '<img src=x onerror="document.body.dataset.broken=1"><b>bold</b>';
  await write(bob, hostile);
  await reads(ann, 'bob', hostile);
  assert.equal(await ann.locator('#log img, #log b').count(), 0);
  assert.equal(await ann.locator('body[data-broken]').count(), 0);
});

test('room names and ids are shown as text, even from a server that lets any id in', async () => {
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
  await page.goto(`${dev.origin}/?${new URLSearchParams({ room: hostile })}`);
  await page.locator('#people > li').nth(2).waitFor();
  assert.equal(await page.locator('h1:visible').textContent(), hostile);
  assert.equal(await page.locator('#people > li .name').nth(1).textContent(), hostile.slice(0, 18));
  assert.equal(await page.locator('#people > li .name').nth(2).getAttribute('title'), hostile);
  assert.equal(await page.locator('main img').count(), 0);
  assert.equal(await page.locator('body[data-broken]').count(), 0);
});

test('the link that is copied leads to the room, without our own name', async () => {
  const room = newRoom();
  const ann = await enter(room, 'ann', { permissions: ['clipboard-read', 'clipboard-write'] });
  await ann.getByRole('button', { name: 'Copy link' }).click();
  await ann.getByRole('button', { name: 'Copied' }).waitFor();
  const link = await ann.evaluate(() => navigator.clipboard.readText());
  assert.equal(link, `${dev.origin}/?room=${room}`);
  const guest = await pages.open('guest', link);
  await shows(guest, { ann: 'polite' });
});

test('the keyboard alone makes a room and talks in it', async () => {
  const room = newRoom();
  const bob = await enter(room, 'bob');
  await bob.getByText('In the room').waitFor();
  const ann = await pages.open('ann', dev.origin);
  for (const label of ['Room', 'Your name']) {
    while (
      !(await ann.evaluate(
        (label) =>
          /** @type {HTMLInputElement} */ (
            document.activeElement
          ).labels?.[0]?.textContent.startsWith(label),
        label,
      ))
    ) {
      await ann.keyboard.press('Tab');
    }
    await ann.keyboard.type(label === 'Room' ? room : 'ann');
  }
  await ann.keyboard.press('Enter');
  await shows(ann, { bob: 'polite' });
  await ann.keyboard.type('typed'); // the field to write in has the focus
  await ann.keyboard.press('Enter');
  await reads(bob, 'ann', 'typed');
});

test('a name that makes no room is explained and the form is there to try again', async () => {
  const page = await pages.open(
    'ann',
    `${dev.origin}/?${new URLSearchParams({ room: 'r'.repeat(129) })}`,
  );
  await page.getByRole('alert').getByText('1 to 128 bytes').waitFor();
  await page.getByLabel('Room', { exact: true }).waitFor();
});

test('a room that is full says so, and lets the next one in when a place is free', async () => {
  const small = new Dev({ MAX_PEERS: '1' });
  try {
    await small.start();
    const sitting = new WebSocket(`${small.origin.replace('http', 'ws')}/parties/main/small`);
    await new Promise((resolve, reject) => sitting.once('message', resolve).once('error', reject));
    const page = await pages.open('ann', 'about:blank');
    await page.clock.install();
    await page.goto(`${small.origin}/?room=small&id=ann`);
    await page.getByRole('alert').getByText('The room is full').waitFor();
    await new Promise((resolve) => {
      sitting.once('close', resolve);
      sitting.close(1000);
    });
    await page.clock.fastForward(31_000);
    await page.getByText('In the room').waitFor();
  } finally {
    await small.stop();
  }
});

test('a name that somebody else has is refused, and not tried again', async () => {
  const room = newRoom();
  const ann = await enter(room, 'ann');
  await ann.getByText('In the room').waitFor();
  const eve = await enter(room, 'ann');
  await eve.getByRole('alert').getByText('This name is taken').waitFor();
  await eve.getByText('Not in the room').waitFor();
  assert(await eve.getByLabel('Message to all').isDisabled());
  assert.equal(await ann.getByText('In the room').count(), 1);
});

test('a second tab of the same person takes over, and the first says so', async () => {
  const room = newRoom();
  const bob = await enter(room, 'bob');
  await bob.getByText('In the room').waitFor();
  const first = await enter(room, 'ann');
  await shows(bob, { ann: 'impolite' });
  const [second] = await Promise.all([
    first.context().waitForEvent('page'),
    // It copies the session storage, as "duplicate tab" does.
    first.evaluate(() => void window.open(location.href)),
  ]);
  await first.getByRole('alert').getByText('has taken your place').waitFor();
  await shows(second, { bob: 'polite' });
  await shows(bob, { ann: 'impolite' });
  await write(bob, 'which ann');
  await reads(second, 'bob', 'which ann');
});

for (const { code, reason, words } of [
  {
    code: 4010,
    reason: 'unauthorized',
    words: 'You may not enter this room: the token has expired',
  },
  { code: 1009, reason: 'too-large', words: 'too large for the server' },
  { code: 4008, reason: 'too-fast', words: 'Trying again in' },
  { code: 1011, reason: '', words: 'The server does not answer' },
]) {
  test(`close code ${code} is explained`, async () => {
    const page = await pages.open('ann', 'about:blank');
    await page.routeWebSocket(/parties/, (socket) => {
      socket.send(
        JSON.stringify({ type: 'error', code: reason, message: 'the token has expired' }),
      );
      socket.close({ code, reason });
    });
    await page.goto(`${dev.origin}/?room=demo`);
    await page.getByRole('alert').getByText(words).waitFor({ timeout: PATIENCE });
  });
}
