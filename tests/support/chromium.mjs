// @ts-check
/** Chromium, with media that nobody has to allow, and the pages of a test. */
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { chromiumPath } from '../../scripts/chromium.mjs';
import { PATIENCE } from './browser.mjs';
import { installWire } from './wire.mjs';

/** @typedef {import('playwright-core').Browser} Browser */
/** @typedef {import('playwright-core').Page} Page */

const CHROMIUM_ARGS = [
  '--no-sandbox', // root, in containers
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-features=WebRtcHideLocalIpsWithMdns', // containers have no multicast
  '--use-fake-ui-for-media-stream', // nobody is there to allow it
  '--use-fake-device-for-media-stream',
  '--auto-select-desktop-capture-source=Entire screen',
];

/** Chromium, and the pages of one test. */
export class Pages {
  /** @type {Browser | undefined} */
  #browser;
  #home;
  /** @type {{ page: Page, name: string }[]} */
  #open = [];
  /** @type {string[]} */
  #complaints = [];

  /** @param {{ origin: string }} [home] the server whose addresses may be short */
  constructor(home) {
    this.#home = home;
  }

  async start() {
    const args = CHROMIUM_ARGS;
    this.#browser = await chromium.launch({ executablePath: chromiumPath(), args });
  }

  /**
   * A page in a context of its own, as another person's would be.
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
    page.on('pageerror', (error) => this.#complaints.push(`${name}: ${error.stack}`));
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text()))
        this.#complaints.push(`${name}: ${message.text()}`);
    });
    await page.addInitScript(installWire);
    await page.goto(url);
    return page;
  }

  /** Two pages without a room yet. @returns {Promise<[Page, Page]>} */
  pair() {
    return Promise.all([this.open('ann'), this.open('bob')]);
  }

  /** Ends a test: its pages go, and none of them may have thrown or broken the policy. */
  async tidy() {
    const complaints = this.#complaints.splice(0);
    await Promise.all(this.#open.splice(0).map(({ page }) => page.context().close()));
    assert.deepEqual(complaints, []);
  }

  async stop() {
    await this.#browser?.close();
  }
}
