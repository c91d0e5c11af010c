// @ts-check
/** Our side of the negotiation: creates, measures, sets and sends offers and answers. */

import { toPayload } from './description.js';

/** @import { Description, DescriptionPayload, PeerContext } from "./parts.d.ts" */

export class LocalDescriptions {
  isNegotiationNeeded = false; // `negotiationneeded` has fired since the last offer
  isOfferScheduled = false; // an offer is waiting for `pace`
  isMakingOffer = false;
  isOfferPostponed = false; // the next offer waits for the restart timer

  #connection;
  #context;
  #transmit;
  #reportError;
  #scheduleRestart;

  /**
   * @param {RTCPeerConnection} connection
   * @param {PeerContext} context
   * @param {(type: Description, payload: unknown) => void} transmit sends a signal to the peer
   * @param {(code: string, error: unknown) => void} reportError
   * @param {() => void} scheduleRestart starts the restart timer
   */
  constructor(connection, context, transmit, reportError, scheduleRestart) {
    this.#connection = connection;
    this.#context = context;
    this.#transmit = transmit;
    this.#reportError = reportError;
    this.#scheduleRestart = scheduleRestart;
  }

  /** @param {DescriptionPayload} [sent] an offer that has been sent already */
  async offer(sent) {
    if (this.isOfferScheduled || this.isOfferPostponed) return;
    try {
      // Its answer may be there before it is set.
      if (sent) this.#transmit('offer', sent);
      const pause = this.#context.pace('create-offer', null);
      /** @type {RTCSessionDescriptionInit | null} */
      let offer = sent ?? null;
      if (pause) {
        this.isOfferScheduled = true;
        offer = await this.#create(pause, 'offer').finally(() => (this.isOfferScheduled = false));
        if (!offer) return;
      }
      this.isNegotiationNeeded = false;
      this.isMakingOffer = true;
      offer ??= await this.#connection.createOffer();
      const isNeeded = this.#connection.signalingState === 'stable';
      if (isNeeded && this.#checkSize(offer)) await this.#set(sent);
    } catch (error) {
      this.postponeOffer(); // the browser requests no other offer
      this.#reportError('negotiation', error);
    } finally {
      this.isMakingOffer = false;
    }
  }

  async answer() {
    const pause = this.#context.pace('create-answer', null);
    if (!pause || (await this.#create(pause, 'answer'))) await this.#set();
  }

  /** Lets the next offer wait for the restart timer, because the last offer was not usable. */
  postponeOffer() {
    this.isOfferPostponed = true;
    this.#scheduleRestart();
  }

  /** Sends the current local description, for the first time or again. */
  send() {
    const description = this.#connection.localDescription;
    if (description)
      this.#transmit(/** @type {Description} */ (description.type), this.#toPayload(description));
  }

  /** @param {RTCSessionDescriptionInit} description */
  #toPayload(description) {
    return toPayload(description, this.#context.streams.table);
  }

  /**
   * Creates and traces a description as a separate step for `pace`. Afterwards,
   * `setLocalDescription()` without an argument sets the same description
   * (https://www.w3.org/TR/webrtc/#dom-peerconnection-setlocaldescription).
   * @param {Promise<void>} pause
   * @param {Description} type
   * @returns {Promise<RTCSessionDescriptionInit | null>} null if it is no longer needed
   */
  async #create(pause, type) {
    const connection = this.#connection;
    const isNeeded = () =>
      connection.signalingState === (type === 'offer' ? 'stable' : 'have-remote-offer');
    await pause;
    if (!isNeeded()) return null;
    const description = await (type === 'offer'
      ? connection.createOffer()
      : connection.createAnswer());
    this.#context.trace(`create-${type}`, description);
    await this.#context.pace('set-local-description', description);
    return isNeeded() ? description : null;
  }

  /**
   * Measures the offer before it is set, because an offer that was set is difficult to take back.
   * Returns false, reports an error and postpones the next offer if the offer is too large.
   * @param {RTCSessionDescriptionInit} offer
   */
  #checkSize(offer) {
    const error = this.#context.checkSize('offer', this.#toPayload(offer));
    if (error) {
      this.postponeOffer();
      this.#context.emit('error', error);
    }
    return !error;
  }

  /** @param {DescriptionPayload} [sent] an offer that has been sent already */
  async #set(sent) {
    await this.#connection.setLocalDescription(sent);
    const description = this.#connection.localDescription;
    if (description) this.#context.trace('set-local-description', description);
    if (!sent) this.send();
  }
}
