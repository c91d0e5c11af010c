// @ts-check
/// <reference path="./page-globals.d.ts" />
/** Tests the layout of the built-in page on tablets, reduced motion, and layout shifts. */
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
  pictured,
  TABLETS,
} from '../support/page.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Deployed } from '../support/workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */

const server = new Deployed();
const pages = new Pages(server);
useFixtures(server, pages);

/** @param {Page} page @param {string} name */
const press = (page, name) => page.getByRole('button', { name, exact: true }).click();

for (const [held, options] of Object.entries(TABLETS)) {
  test(`a call and "Look inside" fit on a tablet held ${held}`, async () => {
    const { ann, bob, room } = await meet(pages, options);
    const eve = await enter(pages, { room, id: 'eve' });
    for (const page of [ann, bob, eve]) await press(page, 'Camera');
    for (const name of ['ann (you)', 'bob', 'eve']) await pictured(ann, name);
    await fits(ann, 'call');
    await inspect(ann, `tablet-${held}-call`);
    await press(ann, 'Look inside: bob');
    await ann.getByRole('listitem').filter({ hasText: 'offer' }).first().waitFor();
    await ann.getByRole('term').filter({ hasText: 'Round trip' }).waitFor();
    await fits(ann, 'inside');
    await inspect(ann, `tablet-${held}-inside`);
  });

  test(`a lobby fits on a tablet held ${held}`, async () => {
    const lobby = newRoom();
    const ann = await enter(pages, { lobby, id: 'ann' }, options);
    await enter(pages, { lobby, id: 'bob' });
    const eve = await enter(pages, { lobby, id: 'eve' });
    await press(eve, 'Ask to connect: ann');
    await press(ann, 'Ask to connect: bob');
    await ann.getByRole('button', { name: 'Accept: eve' }).waitFor();
    await ann.getByRole('button', { name: 'Cancel request: bob' }).waitFor();
    await fits(ann, 'lobby');
    await inspect(ann, `tablet-${held}-lobby`);
  });
}

/** Appends every element that is animated to the global `moved`. */
function watchMotion() {
  /** @type {string[]} */
  const moved = [];
  globalThis.moved = moved;
  for (const type of ['transitionrun', 'animationstart'])
    addEventListener(
      type,
      ({ target }) => moved.push(/** @type {Element} */ (target).outerHTML.slice(0, 80)),
      true,
    );
  const { animate } = Element.prototype;
  Element.prototype.animate = function (...options) {
    moved.push(this.outerHTML.slice(0, 80));
    return animate.apply(this, options);
  };
}

/** @param {Page} page @returns {Promise<string[]>} */
const moved = (page) => page.evaluate(() => globalThis.moved);

for (const reducedMotion of /** @type {const} */ (['reduce', 'no-preference'])) {
  test(`the page ${reducedMotion === 'reduce' ? 'does not animate' : 'animates'} when prefers-reduced-motion is ${reducedMotion}`, async () => {
    const room = newRoom();
    const ann = await pages.open('ann', 'about:blank', { ...DESKTOP, reducedMotion });
    await ann.addInitScript(watchMotion);
    await ann.goto(at({ room, id: 'ann' }));
    const bob = await enter(pages, { room, id: 'bob' });
    await isShown(ann, 'bob', 'connected');
    const eve = await enter(pages, { room, id: 'eve' });
    await isShown(ann, 'eve', 'connected');
    await press(bob, 'Camera');
    await pictured(ann, 'bob');
    await bob.getByRole('textbox', { name: 'Message everyone' }).fill('hello');
    await bob.keyboard.press('Enter');
    await ann.getByRole('log').getByText('hello').waitFor();
    await eve.close();
    await ann.getByRole('log').getByText('eve left').waitFor();
    await press(ann, 'Look inside: bob');
    await ann.getByRole('heading', { name: 'Handshake' }).waitFor();
    if (reducedMotion !== 'reduce') {
      assert((await moved(ann)).length > 0, 'the tiles are animated');
      return;
    }
    assert.deepEqual(await moved(ann), []);
    const animated = await ann.evaluate(() =>
      [...document.querySelectorAll('*')]
        .flatMap((node) => ['', '::before', '::after'].map((part) => getComputedStyle(node, part)))
        .filter((style) => style.transitionDuration !== '0s' || style.animationName !== 'none')
        .map((style) => `${style.transition} ${style.animation}`),
    );
    assert.deepEqual(animated, []);
    assert.equal(await ann.evaluate(() => document.getAnimations().length), 0);
    await inspect(ann, 'without-motion');
  });
}

/** Records layout shifts without recent user input, and defines `takeShifts()`. */
function watchShifts() {
  /** @type {string[]} */
  const shifts = [];
  const box = (/** @type {DOMRect} */ { x, y, width, height }) => [x, y, width, height].join(' ');
  const record = (/** @type {any[]} */ entries) => {
    for (const { value, hadRecentInput, sources } of entries) {
      if (hadRecentInput) continue;
      const moved = sources.map(
        (/** @type {any} */ { node, previousRect, currentRect }) =>
          `${box(previousRect)} to ${box(currentRect)}: ${(node?.outerHTML ?? '').slice(0, 80)}`,
      );
      shifts.push(`${value}: ${moved.join(', ')}`);
    }
  };
  const observer = new PerformanceObserver((list) => record(list.getEntries()));
  observer.observe({ type: 'layout-shift' });
  Object.assign(globalThis, {
    takeShifts: () => {
      record(observer.takeRecords());
      return shifts.splice(0);
    },
  });
}

/** @param {Page} page @returns {Promise<string[]>} */
const shifts = (page) => page.evaluate(() => globalThis.takeShifts());

const SCREENS = { desktop: DESKTOP, tablet: TABLETS.upright, phone: PHONE };

for (const [where, options] of Object.entries(SCREENS)) {
  for (const hash of ['#talk', '#inside']) {
    test(`nothing shifts when people join and leave: ${where}, ${hash}`, async () => {
      const room = newRoom();
      const ann = await pages.open('ann', 'about:blank', options);
      await ann.addInitScript(watchShifts);
      await ann.goto(at({ room, id: 'ann' }, hash));
      await joined(ann);
      await drawn(ann);
      // Ignores the layout shifts while the page loads.
      await shifts(ann);
      const bob = await enter(pages, { room, id: 'bob' });
      await isShown(ann, 'bob', 'connected');
      const eve = await enter(pages, { room, id: 'eve' });
      await isShown(ann, 'eve', 'connected');
      await bob.getByRole('textbox', { name: 'Message everyone' }).fill('hello');
      await bob.keyboard.press('Enter');
      await press(bob, 'Camera');
      await pictured(ann, 'bob');
      await bob.close();
      await until(ann, 'bob left', () => document.body.textContent?.includes('bob left'));
      await drawn(ann);
      assert.deepEqual(await shifts(ann), []);
      await eve.close();
      await until(ann, 'eve left', () => document.body.textContent?.includes('eve left'));
      await drawn(ann);
      assert.deepEqual(await shifts(ann), []);
    });
  }
}

/** Waits until the browser has painted the current state. @param {Page} page */
const drawn = (page) =>
  page.evaluate(
    () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0)))),
  );
