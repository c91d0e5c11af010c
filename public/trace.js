// @ts-check
/** The steps of the event `trace` that stand for frames. */

/**
 * @import { Step } from "./room.js"
 * @import { Frame } from "./parts.d.ts"
 */

import { sdpOf } from './description.js';

const MAX_TRACED_CHARS = 2_048;

/** @param {"in" | "out"} direction @param {Frame} frame @returns {Step} */
export function frameStep(direction, { type, from, to, payload, ...rest }) {
  const isNotice = direction === 'in' && from === undefined;
  // The id of the peer is in `to` for `error`, and in `id` for `peer-joined` and `peer-left`.
  const peer = from ?? to ?? (type.startsWith('peer-') ? rest.id : null);
  return { peer, direction, type, payload: isNotice ? rest : tracedPayload(type, payload) };
}

/**
 * Returns the payload of a signal for the event `trace`. Listeners often keep what they receive, and
 * a peer can send 64 KiB of any type, so a large payload is left out. A description is large in most
 * calls, so it keeps the two fields that WebRTC uses.
 * @param {string} type
 * @param {any} payload
 */
export function tracedPayload(type, payload) {
  if (!isLarge(payload)) return payload;
  const isDescription = type === 'offer' || type === 'answer';
  return isDescription ? { type, sdp: sdpOf(payload) } : undefined;
}

/** @param {unknown} payload */
function isLarge(payload) {
  try {
    return (JSON.stringify(payload)?.length ?? 0) > MAX_TRACED_CHARS;
  } catch {
    return true; // for example, arrays nested deeper than the stack of the browser
  }
}
