// @ts-check
/** A media server for tests, and the actions of a device and of viewers in Chromium. */
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { start } from '../../scripts/media.mjs';
import { PATIENCE } from './browser.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {{ type: 'offer' | 'answer', sdp: string }} Description */

export const SECRET = 'secret of the tests';
/** Connecting, encoding and decoding share two cores with other tests. */
export const VIDEO_PATIENCE = 3 * PATIENCE;

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

/**
 * Waits until a page has decoded more video over a peer connection.
 * @param {Page} page
 * @param {string} [connection] the expression for the connection in the page
 */
export function decodes(page, connection = 'connection') {
  return grows(
    () =>
      /** @type {Promise<number>} */ (
        page.evaluate(`(async () => {
          let frames = 0;
          let connection;
          try {
            connection = (() => ${connection.replace(/^connection$/, 'globalThis.connection')})();
          } catch {
            // The page has no connection yet.
          }
          for (const entry of (await connection?.getStats() ?? new Map()).values())
            if (entry.type === 'inbound-rtp' && entry.kind === 'video')
              frames += entry.framesDecoded ?? 0;
          return frames;
        })()`)
      ),
  );
}

/**
 * Waits until a count of frames has grown. It may begin again at 0, with a new connection.
 * @param {() => Promise<number>} count
 * @param {number} [more] how many frames more than now
 */
export async function grows(count, more = 10) {
  let before = await count();
  const end = Date.now() + VIDEO_PATIENCE;
  for (let now = before; now < before + more; now = await count()) {
    assert(Date.now() < end, `the page decoded only ${now - before} of ${more} frames`);
    if (now < before) before = now;
    await setTimeout(50);
  }
}
