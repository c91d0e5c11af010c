// @ts-check
/**
 * Streams for every peer. `Streams` holds the streams of this client. `PeerStreams` sends them over
 * one connection, and keeps the table of the streams that the peer sends: metadata and mute states.
 * Descriptions contain the table, because the event `track` needs it. Each change is a message.
 */

import { isCamera, limitSender } from './video-limits.js';

/**
 * @import { Muted, PeerContext, StreamInfo, StreamTable, VideoLimit } from "./parts.d.ts"
 *
 * A track that is sent. `key` is the track by which `replaceTrack` finds it: while `track` is null,
 * the track before.
 * @typedef {{ stream: MediaStream, key: MediaStreamTrack, track: MediaStreamTrack | null }} Slot
 *
 * @typedef {{ metadata: unknown, muted: Muted, slots: Slot[] }} Entry
 */

const MAX_STREAMS = 16;
/** The limit for the table of a peer, in characters of JSON. */
const MAX_TABLE = 4_096;
/** The limit for our table. The table can become longer when the words `true` in it become `false`. */
const MAX_OWN_TABLE = 4_000;

export class Streams {
  #changed;
  /** @type {Map<MediaStream, Entry>} */
  #entries = new Map();

  /** @param {() => void} changed called after each change */
  constructor(changed) {
    this.#changed = changed;
  }

  get slots() {
    return [...this.#entries.values()].flatMap(({ slots }) => slots);
  }

  /** What the peers need to know. Undefined if there are no streams. */
  get table() {
    if (this.#entries.size) return tableOf(this.#entries);
  }

  /** @param {MediaStream} stream @param {{ metadata?: unknown }} [options] */
  add(stream, { metadata } = {}) {
    const known = this.#entries.get(stream);
    const text = JSON.stringify(metadata);
    /** @type {Entry} */
    const entry = {
      metadata: text ? JSON.parse(text) : known?.metadata,
      muted: known?.muted ?? { audio: false, video: false },
      slots: [],
    };
    const entries = new Map(this.#entries).set(stream, entry);
    if (entries.size > MAX_STREAMS || JSON.stringify(tableOf(entries)).length > MAX_OWN_TABLE) {
      throw new RangeError(
        `expected at most ${MAX_STREAMS} streams, and ${MAX_OWN_TABLE} characters of JSON about ` +
          'them: remove a stream, or shorten the metadata',
      );
    }
    const tracks = stream.getTracks();
    const slots = known?.slots.filter(({ track }) => !track || tracks.includes(track)) ?? [];
    entry.slots = slots;
    for (const track of tracks) {
      if (slots.some((slot) => slot.track === track)) continue;
      let slot = slots.find(({ track: sent, key }) => !sent && key.kind === track.kind);
      if (!slot) slots.push((slot = { stream, key: track, track }));
      setTrack(slot, track, entry);
    }
    this.#entries = entries;
    this.#changed();
  }

  /** @param {MediaStream} stream */
  remove(stream) {
    if (this.#entries.delete(stream)) this.#changed();
  }

  /** @param {MediaStreamTrack} old @param {MediaStreamTrack | null} track */
  replaceTrack(old, track) {
    const slots = this.slots.filter(({ key }) => key === old);
    if (!slots[0]) throw unknown('track');
    for (const slot of slots) {
      const { stream } = slot;
      stream.removeTrack(old);
      if (track) stream.addTrack(track);
      setTrack(slot, track, this.#entries.get(stream));
    }
    this.#changed();
  }

  /** @param {MediaStream} stream @param {Partial<Muted>} muted */
  mute(stream, muted) {
    const entry = this.#entries.get(stream);
    if (!entry) throw unknown('stream');
    for (const kind of /** @type {const} */ (['audio', 'video'])) {
      const value = muted[kind];
      if (value === undefined) continue;
      entry.muted[kind] = value;
      for (const { track } of entry.slots) if (track?.kind === kind) track.enabled = !value;
    }
    this.#changed();
  }
}

export class PeerStreams {
  #connection;
  #context;
  #send;
  /** @type {Map<Slot, RTCRtpSender>} */
  #senders = new Map();
  /** The streams that the peer sends, by id. @type {Map<string, StreamInfo>} */
  #table = new Map();
  /** The streams of the connection, by id. @type {Map<string, MediaStream>} */
  #received = new Map();
  #limiting = Promise.resolve();
  /** The limit that waits for `#limiting`. @type {VideoLimit=} */
  #nextLimit;

  /**
   * @param {RTCPeerConnection} connection
   * @param {PeerContext} context
   * @param {(table: StreamTable) => void} send sends the table over the data channel
   */
  constructor(connection, context, send) {
    this.#connection = connection;
    this.#context = context;
    this.#send = send;
    this.#sync();
  }

  get hasCamera() {
    return [...this.#table.values()].some(({ camera }) => camera);
  }

  /** The streams of this client have changed. */
  update() {
    if (this.#isClosed) return;
    this.#sync();
    this.#send(this.#context.streams.table ?? {});
  }

  get #isClosed() {
    return this.#connection.signalingState === 'closed';
  }

  /** Makes the connection send exactly the streams of this client. */
  #sync() {
    const { slots } = this.#context.streams;
    for (const [slot, sender] of this.#senders)
      if (!slots.includes(slot)) this.#remove(slot, sender);
    for (const slot of slots) {
      const { stream, track } = slot;
      const sender = this.#senders.get(slot);
      if (!sender && track) this.#senders.set(slot, this.#add(track, stream));
      else if (sender && sender.track !== track) {
        // The browser refuses a track of another kind, and all tracks after the peer has rejected
        // the media section.
        sender.replaceTrack(track).catch(() => {
          if (this.#isClosed || this.#senders.get(slot) !== sender) return;
          this.#remove(slot, sender);
          this.#sync();
        });
      }
    }
  }

  /** @param {MediaStreamTrack} track @param {MediaStream} stream */
  #add(track, stream) {
    const connection = this.#connection;
    // `addTrack()` can use a media section of the peer's offer, but refuses a track that is sent
    // already.
    return connection.getSenders().some((it) => it.track === track)
      ? connection.addTransceiver(track, { streams: [stream] }).sender
      : connection.addTrack(track, stream);
  }

  /** @param {Slot} slot @param {RTCRtpSender} sender */
  #remove(slot, sender) {
    this.#senders.delete(slot);
    this.#connection.removeTrack(sender);
  }

  /**
   * Handles a table of the peer, which can be any JSON value. A description can arrive after a newer
   * message. Therefore it only adds streams.
   * @param {unknown} value
   * @param {boolean} isMessage
   */
  receive(value, isMessage) {
    const previous = this.#table;
    const table = readTable(value);
    if (!isMessage) for (const [id, info] of previous) table?.set(id, info);
    if (!table || table.size > MAX_STREAMS) return;
    this.#table = table;
    for (const [id, stream] of this.#received) {
      const info = table.get(id);
      if (info && JSON.stringify(info) !== JSON.stringify(previous.get(id)))
        this.#context.emit('mute', { stream, ...info });
    }
  }

  /** Returns the detail of the event `track`. @param {RTCTrackEvent} event */
  handleTrack({ track, streams, transceiver, receiver }) {
    // The peer can send any number of streams, one after the other.
    for (const [id, { active }] of this.#received) if (!active) this.#received.delete(id);
    for (const stream of streams) this.#received.set(stream.id, stream);
    const info = this.#table.get(streams[0]?.id) ?? readInfo(null);
    return { track, streams, transceiver, receiver, ...info };
  }

  /** @param {VideoLimit} limit */
  limitVideo(limit) {
    const isWaiting = this.#nextLimit;
    this.#nextLimit = limit; // the last one counts, because a peer can cause any number of changes
    if (isWaiting) return;
    // One call at a time: the browser refuses parameters that were read before the last call ended.
    this.#limiting = this.#limiting.then(async () => {
      const limit = /** @type {VideoLimit} */ (this.#nextLimit);
      this.#nextLimit = undefined;
      for (const [slot, sender] of this.#senders) await limitSender(sender, slot.track, limit);
    });
  }
}

/** @param {Map<MediaStream, Entry>} entries @returns {StreamTable} */
function tableOf(entries) {
  const table = [...entries].map(([{ id }, { metadata, muted, slots }]) => [
    id,
    { metadata, muted, camera: slots.some(({ track }) => isCamera(track)) },
  ]);
  return Object.fromEntries(table);
}

/** @param {Slot} slot @param {MediaStreamTrack | null} track @param {Entry} [entry] of the stream */
function setTrack(slot, track, entry) {
  slot.track = track;
  if (!track) return;
  slot.key = track;
  if (entry?.muted[/** @type {keyof Muted} */ (track.kind)]) track.enabled = false;
}

/** @param {string} what */
const unknown = (what) => new TypeError(`unknown ${what}: call room.addStream() first`);

/**
 * Reads the table of a peer. Returns undefined if the table is too large.
 * @param {any} value
 * @returns {Map<string, StreamInfo> | undefined}
 */
function readTable(value) {
  try {
    if (JSON.stringify((value ??= {})).length > MAX_TABLE) return;
  } catch {
    return; // nested deeper than the stack of the browser
  }
  return new Map(Object.entries(value).map(([id, info]) => [id, readInfo(info)]));
}

/** @param {any} info @returns {StreamInfo} */
function readInfo(info) {
  const { audio, video } = info?.muted ?? {};
  return {
    metadata: info?.metadata,
    muted: { audio: audio === true, video: video === true },
    camera: info?.camera === true,
  };
}
