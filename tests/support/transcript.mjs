// @ts-check
/**
 * Parses a transcript and plays the transcript over real WebSockets and event streams.
 * `tests/transcripts/README.md` describes the format.
 */
import assert from 'node:assert/strict';
import { HttpPeer } from './http-peer.mjs';
import { Peer, waitUntilNoticed, expectQuiet, within } from './peer.mjs';

/** @typedef {{ number: number, words: string[], text: string }} Line */
/**
 * @typedef {object} Transcript
 * @property {string} dialect
 * @property {string} room
 * @property {string} claim the first comment of the file
 * @property {Record<string, string>} settings
 * @property {Line[]} lines
 * @property {boolean} isLong whether the `after` lines add up to more than 2 s
 */

/**
 * The timeout for the next frame in milliseconds. There is no simulated clock over real sockets, so
 * `play` skips `after` lines and waits for the next frame.
 */
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
  /** The latest WebSocket peer, by its name in the transcript. @type {Map<string, Peer>} */
  const now = new Map();
  /** @type {Peer[]} */
  const all = [];
  /**
   * The peers of the HTTP dialect, by name. `answer` is a response that no `answered` line has
   * checked.
   * @type {Map<string, { peer: HttpPeer, answer?: string }>}
   */
  const overHttp = new Map();
  /** The ids that the server has assigned, by the name of the peer. @type {Map<string, string>} */
  const ids = new Map();
  for (const { number, words, text } of lines) {
    const [name, verb, ...rest] = words;
    try {
      if (name === 'after') continue;
      if (verb === 'joins') {
        const peer = await join(server, room, dialect, name, rest);
        ids.delete(name);
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
      if (verb === '<') receive(await peer.next(PATIENCE), frame, ids);
      else if (verb === '>') {
        peer.send(withIds(frame, ids));
        // The server must handle this frame before the frame of another peer in the next line.
        await peer.settle();
      } else if (verb === 'drops') await peer.cut();
      else if (verb === 'closes') {
        await peer.close(rest[0] ? Number(rest[0]) : undefined);
        await waitUntilNoticed(server, room, peer.dialect);
      } else if (verb === 'closed') await peer.isClosed(Number(rest[0]), rest.slice(1).join(' '));
      else assert.fail(`unknown verb "${verb}"; tests/transcripts/README.md lists all verbs`);
    } catch (error) {
      throw new Error(
        `line ${number}: ${text}\n${error instanceof Error ? error.message : error}`,
        { cause: error },
      );
    }
  }
  if (all.length) await expectQuiet(...all);
  for (const [name, { peer, answer }] of overHttp) {
    assert.equal(answer, undefined, `${name} received a response without an "answered" line`);
    if (!peer.stream || peer.stream.ended) continue;
    // The peer sends a signal to its own id. The room delivers this signal after all earlier
    // events, so the check fails if an event is missing in the transcript.
    await peer.sends({ type: 'last', target: name });
    await peer.receives(`{"type":"last","payload":null,"senderId":"${name}"}`);
    peer.stream.cut();
  }
  // A WebSocket may be closed or lost only if the transcript has a line for this event.
  const ended = new Set(
    lines
      .filter(({ words }) => /^(drops|closes|closed)$/.test(words[1]))
      .map(({ words }) => words[0]),
  );
  for (const [name, peer] of now)
    assert.ok(
      peer.open || ended.has(name),
      `the WebSocket of ${name} was closed, but the transcript has no line for it`,
    );
  await Promise.all(all.filter((peer) => peer.open).map((peer) => peer.close(1000)));
}

/**
 * Plays one line of a peer of the HTTP dialect.
 * @param {{ peer: HttpPeer, answer?: string }} one
 * @param {string} verb
 * @param {string[]} rest the words after the verb
 * @param {string} frame the text after the verb
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
  } else assert.fail(`unknown verb "${verb}"; tests/transcripts/README.md lists all verbs`);
}

/**
 * Opens a WebSocket as a `joins` line describes.
 * @param {import('./workerd.mjs').Server} server
 * @param {string} room
 * @param {string} dialect
 * @param {string} name
 * @param {string[]} rest the words after `joins`
 */
function join(server, room, dialect, name, rest) {
  /** @type {import('./peer.mjs').Join} */
  const wanted = { id: name, ...(dialect === 'native' ? {} : { dialect }) };
  for (let i = 0; i < rest.length; i++) {
    if (rest[i] === 'as') wanted.id = rest[++i];
    else {
      const [field, value] = pair(rest[i]);
      assert.ok(
        field === 'key' ||
          field === 'token' ||
          field === 'dialect' ||
          field === 'next' ||
          field === 'meta' ||
          field === 'offer',
        `unknown argument "${field}" of "joins"; it accepts as, key, token, dialect, next, meta and offer`,
      );
      if (field === 'offer') wanted.protocols = ['partyline', `offer.${base64url(value)}`];
      else wanted[field] = field === 'meta' ? base64url(value) : value;
    }
  }
  return Peer.connect(server, room, wanted);
}

/**
 * Asserts that a frame is as written. A `$name` without an id stands for the id in the frame.
 * @param {string} frame
 * @param {string} written
 * @param {Map<string, string>} ids
 */
function receive(frame, written, ids) {
  const [, name] = /\$(\w+)/.exec(withIds(written, ids)) ?? [];
  const [id] = /[0-9a-f]{32}/.exec(frame) ?? [];
  if (name && id) ids.set(name, id);
  assert.match(frame, pattern(withIds(written, ids)));
}

/**
 * Replaces each `$name` with the id of this peer.
 * @param {string} text
 * @param {Map<string, string>} ids
 */
const withIds = (text, ids) => text.replace(/\$(\w+)/g, (all, name) => ids.get(name) ?? all);

/**
 * Returns a pattern that matches the frame byte for byte. `…` matches any text without a quotation
 * mark.
 * @param {string} frame
 */
function pattern(frame) {
  const literal = frame.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${literal.join('[^"]*')}$`, 's');
}

/** @param {string} text */
const base64url = (text) => Buffer.from(text).toString('base64url');

/** @param {string} text */
function pair(text) {
  const at = text.indexOf('=');
  assert.ok(at > 0, `"${text}" does not have the form name=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}
