// @ts-check
/** Adds the peer's candidates. A candidate that arrives before its description is queued. */

/** @import { PeerContext } from "./parts.d.ts" */

const MAX_PENDING = 64;

export class RemoteCandidates {
  #connection;
  #trace;
  /** @type {RTCIceCandidateInit[]} */
  #pending = [];

  /** @param {RTCPeerConnection} connection @param {PeerContext["trace"]} trace */
  constructor(connection, trace) {
    this.#connection = connection;
    this.#trace = trace;
  }

  /**
   * @param {RTCIceCandidateInit} candidate
   * @param {boolean} isIgnored whether the last offer was ignored, so that its candidates are
   *   useless
   */
  async add(candidate, isIgnored) {
    if (!this.#connection.remoteDescription) return this.#queue(candidate, isIgnored);
    try {
      await this.#connection.addIceCandidate(candidate);
      this.#trace('add-candidate', candidate);
    } catch (error) {
      if (error instanceof TypeError) throw error; // the payload is not a candidate
      this.#queue(candidate, isIgnored); // the description has probably not arrived yet
    }
  }

  /** Removes and returns the queued candidates. */
  takePending() {
    return this.#pending.splice(0);
  }

  /** @param {RTCIceCandidateInit} candidate @param {boolean} isIgnored */
  #queue(candidate, isIgnored) {
    if (isIgnored || this.#pending.length >= MAX_PENDING) return;
    this.#pending.push(candidate);
    this.#trace('queue-candidate', candidate);
  }
}
