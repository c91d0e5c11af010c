// @ts-check
/** The Worker with a media server, live sessions, and what pages show and decode. */
import assert from 'node:assert/strict';
import { join, logged, until } from './browser.mjs';
import { Media, VIDEO_PATIENCE, decodes, grows } from './media.mjs';
import { startWorkerd } from './workerd.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('./workerd.mjs').Server} Server */

/** The value of `LIVE_KEY` in tests. */
export const LIVE_KEY = 'the-key-of-the-back-end-for-the-tests-of-live-streams';
/** The settings for a media server that does not respond: nothing listens on port 1. */
export const NO_MEDIA = {
  MEDIA_URL: 'http://127.0.0.1:1',
  MEDIA_APP: 'app',
  MEDIA_SECRET: 'media-secret',
};
const SECRET = 'secret-of-the-media-server';

let sessions = 0;

/** A media server and a Worker that uses it, as a fixture for `useFixtures`. */
export class LiveServers {
  media = new Media({ secret: SECRET });
  /** @type {import('./workerd.mjs').Workerd<'open' | 'keyed'> | undefined} */
  #workerd;

  /** More options of the media server. @type {string[]} */
  mediaArgs = [];
  /** More settings for the Worker. @type {Record<string, string>} */
  settings = {};
  #proxy;

  /**
   * @param {{ target: string, start(): Promise<string>, stop(): void }} [proxy] a proxy between the
   * Worker and the API of the media server. `start` returns its base URL
   */
  constructor(proxy) {
    this.#proxy = proxy;
  }

  async start() {
    this.media = new Media({ secret: SECRET, args: this.mediaArgs });
    await this.media.start();
    const { url: target, app } = this.media.server;
    if (this.#proxy) this.#proxy.target = target;
    const url = (await this.#proxy?.start()) ?? target;
    const settings = { ...this.settings, MEDIA_URL: url, MEDIA_APP: app, MEDIA_SECRET: SECRET };
    const instances = { open: settings, keyed: { ...settings, LIVE_KEY } };
    this.#workerd = await startWorkerd(instances, { assets: true });
  }

  async stop() {
    await Promise.all([this.media.stop(), this.#workerd?.stop()]);
    this.#proxy?.stop();
  }

  /** The Worker without `LIVE_KEY`. */
  get open() {
    assert(this.#workerd, 'the Worker is not running');
    return this.#workerd.at.open;
  }

  /** The Worker with `LIVE_KEY`. */
  get keyed() {
    assert(this.#workerd, 'the Worker is not running');
    return this.#workerd.at.keyed;
  }

  get origin() {
    return this.open.origin;
  }

  get port() {
    return this.open.port;
  }

  /** Stops the media server. Returns a function that starts it again at the same addresses. */
  async stopMedia() {
    const { url, udp } = this.media.server;
    await this.media.stop();
    return () => {
      this.media = new Media({ secret: SECRET, listen: new URL(url).host, udp });
      return this.media.start();
    };
  }

  /** Creates a session whose device is `camera`. Returns the name of its room. */
  async createSession() {
    sessions += 1;
    const sessionId = `live-${process.pid}-${sessions}`;
    const body = JSON.stringify({ sessionId, deviceId: 'camera' });
    const headers = { 'Content-Type': 'application/json' };
    const init = { method: 'POST', headers, body };
    const { status, text } = await this.open.request('/create-session', init);
    assert.equal(status, 201, text);
    return sessionId;
  }

  /** @param {string} sessionId */
  async stopSession(sessionId) {
    const body = JSON.stringify({ sessionId });
    const headers = { 'Content-Type': 'application/json' };
    const { status, text } = await this.open.request('/live/stop', {
      method: 'POST',
      headers,
      body,
    });
    assert.equal(status, 200, text);
  }
}

/** Waits until the example page shows a text. @param {Page} page @param {string} text */
export function says(page, text) {
  const holds = (/** @type {string} */ text) => document.body.innerText.includes(text);
  return until(page, `it shows ${text}`, holds, text, VIDEO_PATIENCE);
}

/**
 * Waits until the video element of a page has decoded more frames.
 * @param {Page} page
 * @param {number} [more] how many frames more than now
 */
export function plays(page, more = 10) {
  const frames = () => {
    const video = document.querySelector('video');
    return video?.hidden ? 0 : (video?.getVideoPlaybackQuality().totalVideoFrames ?? 0);
  };
  return grows(() => page.evaluate(frames), more);
}

/**
 * Waits until a page has decoded more video of the live stream.
 * @param {Page} page
 * @param {string} [connection] the expression for the connection. Default: that of the library
 */
export const receives = (page, connection = 'room.live.connection') => decodes(page, connection);

/**
 * Opens a page that joins a session. Returns the page.
 * @param {import('./chromium.mjs').Pages} pages
 * @param {string} session
 * @param {string} id the peer id, and the name of the page
 */
export async function enter(pages, session, id) {
  const page = await pages.open(id);
  await join(page, session, { id });
  await logged(page, 'state joined');
  return page;
}

/**
 * Publishes the camera and the microphone of a page.
 * @param {Page} page
 * @param {MediaStreamConstraints} [what]
 */
export async function publish(page, what = { audio: true, video: true }) {
  await page.evaluate(async (what) => {
    const { room } = /** @type {any} */ (globalThis);
    room.live.publish(await navigator.mediaDevices.getUserMedia(what));
  }, what);
}

/**
 * Returns how many frames of a type a page has received from the server (`in`) or sent (`out`).
 * @param {Page} page
 * @param {string} frame such as `in offer`
 */
export function passed(page, frame) {
  const count = (/** @type {string} */ frame) => {
    const { passed } = /** @type {{ passed: string[] }} */ (/** @type {any} */ (globalThis).wire);
    return passed.filter((one) => one === frame).length;
  };
  return page.evaluate(count, frame);
}

/** Waits until a page has received frames of a type. @param {Page} page @param {string} frame */
export function received(page, frame, times = 1) {
  const holds = (/** @type {[string, number]} */ [frame, times]) =>
    /** @type {any} */ (globalThis).wire.passed.filter((/** @type {string} */ one) => one === frame)
      .length >= times;
  const arg = /** @type {[string, number]} */ ([frame, times]);
  return until(page, `${times} times ${frame}`, holds, arg, VIDEO_PATIENCE);
}
