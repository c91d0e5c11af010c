// @ts-check
/** Chromium with fake media devices, and the pages of a test. */
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { chromiumPath } from '../../scripts/chromium.mjs';
import { PATIENCE } from './browser.mjs';
import { installWire } from './wire.mjs';

/** @typedef {import('playwright-core').Browser} Browser */
/** @typedef {import('playwright-core').Page} Page */

const CHROMIUM_ARGS = [
  '--no-sandbox', // Chromium refuses its sandbox as root, which containers run as
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-features=WebRtcHideLocalIpsWithMdns', // mDNS names need multicast, which containers lack
  '--use-fake-ui-for-media-stream', // grants the permission without a prompt
  '--use-fake-device-for-media-stream',
  '--auto-select-desktop-capture-source=Entire screen',
];

/** A browser for a test file, and the pages of one test. */
export class Pages {
  /** @type {Browser | undefined} */
  #browser;
  #home;
  /** @type {{ page: Page, name: string }[]} */
  #open = [];
  /** @type {string[]} */
  #problems = [];

  /** @param {{ origin: string }} [home] the server that relative URLs refer to */
  constructor(home) {
    this.#home = home;
  }

  async start() {
    const args = CHROMIUM_ARGS;
    this.#browser = await chromium.launch({ executablePath: chromiumPath(), args });
  }

  /**
   * Opens a page in a context of its own, so that pages share no storage.
   * @param {string} name
   * @param {string} [url]
   * @param {import('playwright-core').BrowserContextOptions} [options]
   */
  async open(name, url = '/', options) {
    assert(this.#browser);
    const context = await this.#browser.newContext({ baseURL: this.#home?.origin, ...options });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    this.#open.push({ page, name });
    page.on('pageerror', (error) => this.#problems.push(`${name}: ${error.stack}`));
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text()))
        this.#problems.push(`${name}: ${message.text()}`);
    });
    await page.addInitScript(installWire);
    await page.goto(url);
    return page;
  }

  /** Opens two pages that have not joined a room. @returns {Promise<[Page, Page]>} */
  pair() {
    return Promise.all([this.open('ann'), this.open('bob')]);
  }

  /** Closes the pages of a test. Fails if one has thrown or violated the security policy. */
  async tidy() {
    const problems = this.#problems.splice(0);
    await Promise.all(this.#open.splice(0).map(({ page }) => page.context().close()));
    assert.deepEqual(problems, []);
  }

  async stop() {
    await this.#browser?.close();
  }
}
