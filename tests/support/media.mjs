// @ts-check
/** A media server for tests, and the actions of a device and of viewers in Chromium. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { start } from '../../scripts/media.mjs';
import { PATIENCE } from './browser.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {{ type: 'offer' | 'answer', sdp: string }} Description */

export const SECRET = 'secret of the tests';

/** A media server, as a fixture for `useFixtures`. */
export class Media {
  /** @type {import('../../scripts/media.mjs').MediaServer | undefined} */
  #server;
  #options;

  /** @param {import('../../scripts/media.mjs').Options} [options] */
  constructor(options = {}) {
    this.#options = { secret: SECRET, ...options };
  }

  /** The running server. */
  get server() {
    assert(this.#server, 'the media server is not running');
    return this.#server;
  }

  async start() {
    this.#server = await start(this.#options);
  }

  async stop() {
    const server = this.#server;
    this.#server = undefined;
    return server?.stop();
  }

  /**
   * Calls the API. Returns the status and the JSON of the reply.
   * @param {string} method
   * @param {string} path the path below `/v1/apps/{appId}`
   * @param {unknown} [body]
   * @returns {Promise<{ status: number, body: any }>}
   */
  async call(method, path, body) {
    const { url, app } = this.server;
    const response = await fetch(`${url}/apps/${app}${path}`, {
      method,
      headers: { authorization: `Bearer ${SECRET}` },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Makes a session. @returns {Promise<string>} the id of the session */
  async open() {
    const { status, body } = await this.call('POST', '/sessions/new');
    assert.equal(status, 201);
    return body.sessionId;
  }

  /**
   * Calls `tracks/new`, and lets a page answer the server's offer. Returns the tracks of the reply.
   * @param {string} session
   * @param {object[]} tracks
   * @param {(offer: Description) => Promise<Description>} answer
   */
  async exchange(session, tracks, answer) {
    const offer = await this.call('POST', `/sessions/${session}/tracks/new`, { tracks });
    assert.equal(offer.status, 200, JSON.stringify(offer.body));
    assert.equal(offer.body.requiresImmediateRenegotiation, true, JSON.stringify(offer.body));
    const sessionDescription = await answer(offer.body.sessionDescription);
    const accepted = await this.call('PUT', `/sessions/${session}/renegotiate`, {
      sessionDescription,
    });
    assert.deepEqual(accepted, { status: 200, body: {} });
    return offer.body.tracks;
  }

  /** Returns the figures of the server. */
  async health() {
    const response = await fetch(this.server.health);
    return response.json();
  }

  /**
   * Waits until a figure of the server has a value.
   * @param {string} name
   * @param {number} value
   */
  async reaches(name, value) {
    let health = await this.health();
    for (const end = Date.now() + PATIENCE; health[name] !== value; health = await this.health()) {
      assert(Date.now() < end, `${name} never was ${value}: ${JSON.stringify(health)}`);
      await setTimeout(50);
    }
  }
}

/** A web server on a free loopback port, whose pages may use the fake camera. */
export class Site {
  #server;

  /** @param {http.RequestListener} [answer] Default: an empty page */
  constructor(answer = (_, response) => response.end('<!doctype html><title>Test</title>')) {
    this.#server = http.createServer((request, response) => {
      response.setHeader('content-type', 'text/html');
      answer(request, response);
    });
  }

  get origin() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    return `http://127.0.0.1:${port}`;
  }

  async start() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/**
 * Answers an offer of the server in a page, which sends its camera and microphone on the media
 * sections that ask for them. Returns the answer without candidates, as it is before Chromium has
 * gathered any. Defines the global variable `connection` in the page.
 * @param {Page} page
 * @param {Description} offer
 * @returns {Promise<Description>}
 */
export function answerIn(page, offer) {
  return page.evaluate(async (offer) => {
    const globals = /** @type {any} */ (globalThis);
    globals.connection ??= new RTCPeerConnection();
    const { connection } = /** @type {{ connection: RTCPeerConnection }} */ (globals);
    await connection.setRemoteDescription(offer);
    for (const transceiver of connection.getTransceivers()) {
      const { kind } = transceiver.receiver.track;
      const wanted = transceiver.direction === 'recvonly' && asksForMedia(offer.sdp, transceiver);
      if (!wanted || transceiver.sender.track) continue;
      const camera = { video: { width: 640, height: 480 } };
      const constraints = kind === 'video' ? camera : { audio: true };
      const [track] = (await navigator.mediaDevices.getUserMedia(constraints)).getTracks();
      transceiver.direction = 'sendonly';
      await transceiver.sender.replaceTrack(track);
    }
    const answer = await connection.createAnswer();
    await connection.setLocalDescription(answer);
    return /** @type {Description} */ ({ type: 'answer', sdp: answer.sdp ?? '' });

    /** @param {string} sdp @param {RTCRtpTransceiver} transceiver */
    function asksForMedia(sdp, { mid }) {
      const sections = sdp.split(/^m=/m);
      return sections.some((text) => text.includes(`a=mid:${mid}\r\n`) && /a=recvonly/.test(text));
    }
  }, offer);
}

/** Returns how many frames of video a page has decoded on its `connection`. @param {Page} page */
export function framesDecoded(page) {
  return page.evaluate(async () => {
    const { connection } = /** @type {{ connection: RTCPeerConnection }} */ (
      /** @type {any} */ (globalThis)
    );
    let frames = 0;
    for (const entry of (await connection.getStats()).values())
      if (entry.type === 'inbound-rtp' && entry.kind === 'video') frames += entry.framesDecoded;
    return frames;
  });
}

/**
 * Waits until a page has decoded more video.
 * @param {Page} page
 * @param {number} [more] how many frames more than now
 */
export async function decodes(page, more = 10) {
  const before = await framesDecoded(page);
  // Connecting, encoding and decoding share two cores with other tests.
  const end = Date.now() + 2 * PATIENCE;
  for (let now = before; now < before + more; now = await framesDecoded(page)) {
    assert(Date.now() < end, `the page decoded only ${now - before} of ${more} frames`);
    await setTimeout(50);
  }
}
