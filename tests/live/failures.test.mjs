// @ts-check
/** A media server that fails: the Worker talks to it through a proxy that spoils some replies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { logged } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { LiveServers, enter, publish, receives } from '../support/live.mjs';
import { Recorder } from '../support/recorder.mjs';
import { all } from '../support/tier.mjs';

/** @typedef {{ status: number, body: unknown }} Reply */
/** @typedef {(reply: Reply) => Reply | Promise<Reply>} Spoil */

/** Returns the method and the last part of the path, such as `POST new`. @param {string} line */
const nameOf = (line) => line.replace(/ .*\/sessions\/([0-9a-f]{32}\/?)?/, ' ');

/** Forwards the calls of the Worker to the media server. */
class MediaProxy {
  /** What happens to the next replies. @type {{ call: RegExp, spoil: Spoil }[]} */
  #spoils = [];
  /** The base URL of the API of the media server. */
  target = '';
  #recorder = new Recorder(async (response, { line, headers, body }) => {
    const [method, path] = line.split(' ');
    const forwarded = await fetch(`${this.target}${path.replace(/^\/v1/, '')}`, {
      method,
      headers: { authorization: headers.authorization ?? '' },
      body: body || undefined,
    }).catch(() => undefined);
    // At the end of the tests, the media server stops before the Worker has closed all sessions.
    if (!forwarded) return void response.destroy();
    const at = this.#spoils.findIndex((next) => next.call.test(nameOf(line)));
    const [next] = at < 0 ? [] : this.#spoils.splice(at, 1);
    const reply = { status: forwarded.status, body: await forwarded.json() };
    const { status, body: sent } = next ? await next.spoil(reply) : reply;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof sent === 'string' ? sent : JSON.stringify(sent));
  });

  start = async () => `${await this.#recorder.start()}/v1`;
  stop = () => this.#recorder.stop();
  skip = () => this.#recorder.skip();

  /** The names of the calls since the last `skip`. */
  get calls() {
    return this.#recorder.unread.map(({ line }) => nameOf(line));
  }

  /**
   * Spoils the reply to the next call that matches.
   * @param {RegExp} call
   * @param {Spoil} spoil
   */
  spoil(call, spoil) {
    this.#spoils.push({ call, spoil });
  }

  /** Fails if a reply that a test wanted to spoil was never sent. */
  check() {
    assert.deepEqual(this.#spoils, []);
  }
}

const proxy = new MediaProxy();
const servers = new LiveServers(proxy);
const pages = new Pages(servers);
useFixtures(servers, pages);

const OPEN = /^POST new$/;
const OFFER = /^POST tracks\/new$/;
const ANSWER = /^PUT renegotiate$/;

/** @param {string} errorCode */
const error = (errorCode) => ({ errorCode, errorDescription: 'spoiled by a test' });

/** @param {string} session */
async function enterDevice(session) {
  const page = await enter(pages, session, 'camera');
  await publish(page, { video: true });
  return page;
}

test('an error of the media server is reported, and a later attempt connects', async () => {
  const session = await servers.createSession();
  proxy.spoil(OPEN, () => ({ status: 500, body: 'no JSON' }));
  const device = await enterDevice(session);
  await logged(device, 'error media-unavailable');
  const viewer = await enter(pages, session, 'viewer');
  await receives(viewer);
  proxy.check();
});

test('a viewer waits while the media server has no packets of the device', async () => {
  const session = await servers.createSession();
  await enterDevice(session);
  await receives(await enter(pages, session, 'first'));
  for (const code of ['empty_track_error', 'not_found_track_error'])
    proxy.spoil(OFFER, ({ body }) => {
      const { tracks } = /** @type {{ tracks: object[] }} */ (body);
      const failed = tracks.map((track) => ({ ...track, ...error(code) }));
      return { status: 200, body: { tracks: failed } };
    });
  await receives(await enter(pages, session, 'second'));
  proxy.check();
});

test('a peer whose session is gone gets a new session and a new offer', async () => {
  const session = await servers.createSession();
  proxy.spoil(ANSWER, () => ({ status: 410, body: error('session_error') }));
  await enterDevice(session);
  await receives(await enter(pages, session, 'viewer'));
  proxy.check();
});

test('signaling continues while the media server does not respond', async () => {
  const session = await servers.createSession();
  let respond = () => {};
  const slow = new Promise((resolve) => (respond = () => resolve(undefined)));
  proxy.spoil(OPEN, async (reply) => {
    // The Worker waits for ten seconds. Only the full tier waits that long.
    await (all ? setTimeout(11_000) : slow);
    return reply;
  });
  const device = await enterDevice(session);
  const viewer = await enter(pages, session, 'viewer');
  await viewer.evaluate(() => {
    /** @type {any} */ (globalThis).room.signal('hello', { n: 1 }, 'camera');
  });
  await logged(device, 'signal viewer hello {"n":1}');
  respond();
  if (all) await logged(device, 'error media-unavailable');
  await receives(viewer);
  proxy.check();
});

test('a device and two viewers cost three calls each', async () => {
  const session = await servers.createSession();
  proxy.skip();
  await enterDevice(session);
  for (const id of ['one', 'two']) await receives(await enter(pages, session, id));
  // The sessions of earlier tests may still be closing.
  const calls = proxy.calls.filter((call) => !call.endsWith('close'));
  assert.deepEqual(calls.toSorted(), [
    ...Array(3).fill('POST new'),
    ...Array(3).fill('POST tracks/new'),
    ...Array(3).fill('PUT renegotiate'),
  ]);
});
