// @ts-check
/**
 * Reads a transcript and plays it over real WebSockets and event streams. `tests/transcripts/README.md`
 * describes the format.
 */
import assert from 'node:assert/strict';
import { HttpPeer } from './http-peer.mjs';
import { Peer, waitUntilNoticed, expectQuiet, within } from './peer.mjs';

/** @typedef {{ number: number, words: string[], text: string }} Line */
/**
 * @typedef {object} Transcript
 * @property {string} dialect
 * @property {string} room
 * @property {string} claim its first comment
 * @property {Record<string, string>} settings
 * @property {Line[]} lines
 * @property {boolean} isLong whether it waits longer than 2 s
 */

/** The clock is real here, so `after` is skipped and the next frame is awaited this long. */
const PATIENCE = 30_000;

/** @param {string} dialect @param {string} room @param {string} source @returns {Transcript} */
export function parse(dialect, room, source) {
  const all = source
    .split('\n')
    .map((text, i) => ({ number: i + 1, words: text.trim().split(/\s+/), text: text.trim() }));
  const lines = all.filter(({ text }) => text && !text.startsWith('#'));
  const claim =
    all
      .filter(({ text }) => text.startsWith('#'))[0]
      ?.text.slice(1)
      .trim() ?? '';
  const settings = Object.fromEntries(
    lines.filter(({ words }) => words[0] === 'set').map(({ words }) => pair(words[1])),
  );
  const seconds = lines
    .filter(({ words }) => words[0] === 'after')
    .reduce((sum, { words }) => sum + parseFloat(words[1]), 0);
  return {
    dialect,
    room,
    claim,
    settings,
    lines: lines.filter(({ words }) => words[0] !== 'set'),
    isLong: seconds > 2,
  };
}

/** @param {import('./workerd.mjs').Server} server @param {Transcript} transcript */
export async function play(server, { dialect, room, lines }) {
  /** The current peer of each name. @type {Map<string, Peer>} */
  const now = new Map();
  /** @type {Peer[]} */
  const all = [];
  /**
   * The peers of the HTTP dialect, each with its last response until the transcript has read it.
   * @type {Map<string, { peer: HttpPeer, answer?: string }>}
   */
  const overHttp = new Map();
  for (const { number, words, text } of lines) {
    const [name, verb, ...rest] = words;
    try {
      if (name === 'after') continue;
      if (verb === 'joins') {
        const peer = await join(server, room, dialect, name, rest);
        now.set(name, peer);
        all.push(peer);
        continue;
      }
      if (verb === 'registers' || overHttp.has(name) || verb === 'posts' || verb === 'opens') {
        if (!overHttp.has(name)) overHttp.set(name, { peer: new HttpPeer(server, room, name) });
        const one = overHttp.get(name);
        assert.ok(one);
        await playHttp(one, verb, rest, text.slice(text.indexOf(verb) + verb.length).trim());
        continue;
      }
      const peer = now.get(name);
      assert.ok(peer, `no peer is called "${name}"; a "joins" or "registers" line must come first`);
      const frame = text.slice(text.indexOf(verb) + verb.length).trim();
      if (verb === '<') assert.match(await peer.next(PATIENCE), pattern(frame));
      else if (verb === '>') {
        peer.send(frame);
        // The next line may be another peer's, and its frame must not overtake this one.
        await peer.settle();
      } else if (verb === 'drops') await peer.cut();
      else if (verb === 'closes') {
        await peer.close(rest[0] ? Number(rest[0]) : undefined);
        await waitUntilNoticed(server, room);
      } else if (verb === 'closed') await peer.isClosed(Number(rest[0]), rest.slice(1).join(' '));
      else assert.fail(`"${verb}" is no verb of a transcript; see tests/transcripts/README.md`);
    } catch (error) {
      throw new Error(
        `line ${number}: ${text}\n${error instanceof Error ? error.message : error}`,
        { cause: error },
      );
    }
  }
  if (all.length) await expectQuiet(...all);
  for (const [name, { peer, answer }] of overHttp) {
    assert.equal(answer, undefined, `${name} got a response that the transcript does not have`);
    if (!peer.stream || peer.stream.ended) continue;
    // A signal to itself arrives after everything else that the room has sent.
    await peer.sends({ type: 'last', target: name });
    await peer.receives(`{"type":"last","payload":null,"senderId":"${name}"}`);
    peer.stream.cut();
  }
  // A WebSocket must not end unless the transcript says so.
  const ended = new Set(
    lines
      .filter(({ words }) => /^(drops|closes|closed)$/.test(words[1]))
      .map(({ words }) => words[0]),
  );
  for (const [name, peer] of now)
    assert.ok(
      peer.open || ended.has(name),
      `${name} was closed, but the transcript has no such line`,
    );
  await Promise.all(all.filter((peer) => peer.open).map((peer) => peer.close(1000)));
}

/**
 * Plays a line of a peer of the HTTP dialect.
 * @param {{ peer: HttpPeer, answer?: string }} one
 * @param {string} verb
 * @param {string[]} rest
 * @param {string} frame
 */
async function playHttp(one, verb, rest, frame) {
  const { peer } = one;
  if (verb === 'registers') {
    const credentials = Object.fromEntries(rest.map(pair));
    if (rest.length) peer.credentials = credentials;
    const { status, text } = await peer.register();
    const body = JSON.parse(text);
    one.answer =
      status === 200 ? `200 ${JSON.stringify(body.peers)}` : `${status} ${body.error.code}`;
  } else if (verb === 'posts') {
    const { status, text } = await peer.post(frame);
    one.answer = `${status} ${status === 200 ? text : JSON.parse(text).error.code}`;
  } else if (verb === 'opens') {
    const again = rest.includes('again');
    const response = await peer.request(again ? peer.lastId : undefined);
    if (response.statusCode === 200) {
      peer.listen(response);
      return;
    }
    const text = (await response.toArray()).join('');
    const code = response.statusCode === 204 ? 'replaced' : JSON.parse(text).error.code;
    one.answer = `${response.statusCode} ${code}`;
  } else if (verb === 'answered') {
    const { answer } = one;
    delete one.answer;
    assert.match(answer ?? 'nothing', pattern(frame));
  } else if (verb === '<') {
    assert.match((await peer.next(PATIENCE)).data, pattern(frame));
    peer.lastId = peer.stream?.lastId;
  } else if (verb === 'drops') {
    peer.stream?.cut();
    await peer.stream?.gone;
  } else if (verb === 'ends') {
    await within(/** @type {Promise<void>} */ (peer.stream?.gone), 'the server ends the stream');
  } else assert.fail(`"${verb}" is no verb of a transcript; see tests/transcripts/README.md`);
}

/**
 * @param {import('./workerd.mjs').Server} server
 * @param {string} room
 * @param {string} dialect
 * @param {string} name
 * @param {string[]} rest
 */
function join(server, room, dialect, name, rest) {
  /** @type {import('./peer.mjs').Join} */
  const wanted = { id: name, ...(dialect === 'native' ? {} : { dialect }) };
  for (let i = 0; i < rest.length; i++) {
    if (rest[i] === 'as') wanted.id = rest[++i];
    else {
      const [field, value] = pair(rest[i]);
      assert.ok(
        field === 'key' || field === 'token' || field === 'dialect',
        `"joins" takes as, key, token and dialect, but not "${field}"`,
      );
      wanted[field] = value;
    }
  }
  return Peer.connect(server, room, wanted);
}

/**
 * Matches the frame byte for byte, except that `…` matches any characters without a quotation mark.
 * @param {string} frame
 */
function pattern(frame) {
  const literal = frame.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${literal.join('[^"]*')}$`, 's');
}

/** @param {string} text */
function pair(text) {
  const at = text.indexOf('=');
  assert.ok(at > 0, `"${text}" is not of the form name=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}
