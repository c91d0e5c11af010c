// @ts-check
/** Reads session descriptions (SDP), and repairs one difference between the browsers. */

/**
 * @import { Description, DescriptionPayload, StreamTable } from "./parts.d.ts"
 *
 * The type and the SDP lines that identify a description.
 * @typedef {{ type: Description, origin: string, certificate?: string }} Identity
 */

/**
 * Whether this browser can always take its offer back and accept another. Chromium 148 and later
 * cannot if the two offers number the RTP header extensions differently, as offers of Firefox and
 * Chromium do ("RTP extension ID reassignment not supported"). The connection is unusable then.
 */
const canRollBack = () => /\bFirefox\//.test(globalThis.navigator?.userAgent);

/**
 * Returns the payload of the signal for a description.
 * @param {RTCSessionDescriptionInit} description
 * @param {StreamTable} [streams] of this client
 * @returns {DescriptionPayload}
 */
export function toPayload({ type, sdp }, streams) {
  return { type, sdp, partyline: { rollback: canRollBack(), messages: 1, streams } };
}

/**
 * Whether this side accepts the other's offer in glare. If only one side can always roll back, that
 * side is polite. Otherwise, the server's roles decide.
 * @param {boolean} isPolite the role from the server
 * @param {DescriptionPayload["partyline"]} sender of the other side's last description
 */
export function isPoliteTo(isPolite, sender) {
  const isDecided = typeof sender?.rollback === 'boolean' && sender.rollback !== canRollBack();
  return isDecided ? canRollBack() : isPolite;
}

/** @param {Description} type @param {string} sdp @returns {Identity} */
export function identify(type, sdp) {
  return {
    type,
    origin: findLine(sdp, 'o=') ?? sdp,
    certificate: findFingerprints(sdp),
  };
}

/**
 * Returns all fingerprints of a description as one text, or undefined. A fingerprint of a media section
 * replaces that of the session (RFC 8122 §5), so the first alone could hide a new certificate. The start
 * of the line does not matter, because the parsers of browsers may skip spaces.
 * @param {string} sdp
 */
function findFingerprints(sdp) {
  const lines = sdp.match(/fingerprint.*/gi) ?? [];
  return [...new Set(lines.map((line) => line.trim().toUpperCase()))].join() || undefined;
}

/**
 * Returns the SDP of the payload of a signal. A peer can send any JSON value as its payload.
 * @param {any} payload
 * @returns {string}
 */
export function sdpOf(payload) {
  return typeof payload?.sdp === 'string' ? payload.sdp : '';
}

/** Returns the first line that starts with `prefix`. @param {string} sdp @param {string} prefix */
export function findLine(sdp, prefix) {
  return sdp.split(/\r?\n/).find((text) => text.startsWith(prefix));
}

/**
 * Returns the SDP of an answer with the DTLS roles of the previous answer, because the association
 * continues (RFC 8842 §5.3). In the answer to an ICE restart, Firefox 153 always claims the role
 * `active`, although its DTLS transport keeps its role. Chromium cannot set such an answer.
 * @param {string} sdp
 * @param {RTCPeerConnection} connection
 */
export function keepDtlsRoles(sdp, { currentLocalDescription, currentRemoteDescription }) {
  const isOurs = currentLocalDescription?.type === 'answer';
  const previous = isOurs ? currentLocalDescription : currentRemoteDescription;
  const line = findLine(previous?.sdp ?? '', 'a=setup:');
  if (!line) return sdp;
  const isActive = line.endsWith('active') !== isOurs;
  return sdp.replace(/^a=setup:(active|passive)/gm, `a=setup:${isActive ? 'active' : 'passive'}`);
}
