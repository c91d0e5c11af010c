// @ts-check
/**
 * Starts Chromium with fake media devices, or Firefox, and opens and closes the pages of a test.
 */
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { chromiumPath } from '../../scripts/chromium.mjs';
import { PATIENCE } from './browser.mjs';
import { isOwnReport, launchFirefox } from './firefox.mjs';
import { installWire } from './wire.mjs';

/** @typedef {import('playwright-core').Browser} Browser */
/** @typedef {import('playwright-core').Page} Page */
/** @typedef {'Chromium' | 'Firefox'} BrowserName */

const CHROMIUM_ARGS = [
  '--no-sandbox', // Chromium's sandbox does not work as root, and containers usually run as root
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Candidates contain IP addresses instead of mDNS names, because containers have no multicast.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--use-fake-ui-for-media-stream', // Chromium grants media permissions without a prompt
  '--use-fake-device-for-media-stream',
  '--auto-select-desktop-capture-source=Entire screen',
];

const LAUNCH = {
  Chromium: () => chromium.launch({ executablePath: chromiumPath(), args: CHROMIUM_ARGS }),
  Firefox: launchFirefox,
};

/** The browser of a test that names none. */
const DEFAULT_BROWSER = /** @type {BrowserName} */ (process.env.PARTYLINE_BROWSER || 'Chromium');

/** A browser for one test file, and the pages of the test that is running. */
export class Pages {
  /** @type {Browser | undefined} */
  #browser;
  #home;
  #name;
  /** @type {{ page: Page, name: string }[]} */
  #open = [];
  /** @type {string[]} */
  #problems = [];

  /**
   * @param {{ origin: string }} [home] the server to which relative URLs refer
   * @param {BrowserName} [name]
   */
  constructor(home, name = DEFAULT_BROWSER) {
    this.#home = home;
    this.#name = name;
  }

  async start() {
    assert(this.#name in LAUNCH, `PARTYLINE_BROWSER is ${this.#name}: use Chromium or Firefox`);
    this.#browser = await LAUNCH[this.#name]();
  }

  /**
   * Opens a page in its own browser context, so that pages do not share storage.
   * @param {string} name
   * @param {string} [url]
   * @param {import('playwright-core').BrowserContextOptions} [options]
   */
  async open(name, url = '/', options) {
    assert(this.#browser);
    const context = await this.#browser.newContext({ baseURL: this.#home?.origin, ...options });
    context.setDefaultTimeout(PATIENCE);
    context.setDefaultNavigationTimeout(3 * PATIENCE); // Firefox loads slowly on a busy machine
    const page = await context.newPage();
    this.#open.push({ page, name });
    page.on('pageerror', (error) => {
      if (!isOwnReport(error.message)) this.#problems.push(`${name}: ${error.stack}`);
    });
    page.on('console', (message) => {
      if (/Content Security Policy|(Permissions|Opener)-Policy/.test(message.text()))
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

  /**
   * Closes the pages of a test. Fails if a page threw an uncaught exception or violated its Content
   * Security Policy, or if Chromium does not understand a security header.
   */
  async tidy() {
    const problems = this.#problems.splice(0);
    await Promise.all(this.#open.splice(0).map(({ page }) => page.context().close()));
    assert.deepEqual(problems, []);
  }

  async stop() {
    await this.#browser?.close();
  }
}
