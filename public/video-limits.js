// @ts-check
/**
 * Limits of the video from cameras, so that a connection to each peer stays affordable: the more
 * cameras are in the room, the smaller is the video that each of them sends.
 */

/**
 * @import { Peer } from "./peer.js"
 * @import { Streams } from "./streams.js"
 * @import { VideoLimit } from "./parts.d.ts"
 */

/** Each row: the maximum number of cameras, and the limit. @type {[number, ...VideoLimit][]} */
const LIMITS = [
  [2, 1_500_000, Infinity],
  [4, 600_000, Infinity],
  [8, 250_000, 360],
  [Infinity, 150_000, 240],
];

/**
 * Limits the video that this client sends. Must be called after each change of the streams, of the
 * peers and of their connections.
 * @param {Streams} own the streams of this client
 * @param {Iterable<Peer>} peers
 */
export function limitVideo({ slots }, peers) {
  if (!slots[0]) return;
  const others = [...peers].flatMap(({ negotiation }) => negotiation?.streams ?? []);
  const cameras =
    others.filter(({ hasCamera }) => hasCamera).length +
    Number(slots.some(({ track }) => isCamera(track)));
  const [, ...limit] = LIMITS.find(([maximum]) => cameras <= maximum) ?? LIMITS[0];
  for (const streams of others) streams.limitVideo(limit);
}

/**
 * Whether a track is video from a camera: everything that is not a screen. Browsers name the source
 * of a screen in `displaySurface`. An application can set `contentHint`.
 * @param {MediaStreamTrack | null} track
 */
export function isCamera(track) {
  return (
    track?.kind === 'video' &&
    !track.getSettings().displaySurface &&
    !/detail|text/.test(track.contentHint)
  );
}

/**
 * Limits a sender, if it sends video. A screen has no limit.
 * @param {RTCRtpSender} sender
 * @param {MediaStreamTrack | null} track what the sender sends, or is about to send
 * @param {VideoLimit} limit
 */
export async function limitSender(sender, track, [bitrate, lines]) {
  if (track?.kind !== 'video') return;
  const { width = 0, height = 0 } = track.getSettings();
  const isLimited = isCamera(track);
  const maxBitrate = isLimited ? bitrate : undefined;
  // A phone that is held upright has a video whose width is the smaller side.
  const scale = isLimited ? Math.max(1, Math.min(width, height) / lines) : 1;
  const parameters = sender.getParameters();
  const [encoding] = parameters.encodings;
  const isSame = encoding?.maxBitrate === maxBitrate && encoding?.scaleResolutionDownBy === scale;
  if (!encoding || isSame) return;
  Object.assign(encoding, { maxBitrate, scaleResolutionDownBy: scale });
  // The browser can refuse this until a negotiation is over. Then this function is called again.
  await sender.setParameters(parameters).catch(() => {});
}
