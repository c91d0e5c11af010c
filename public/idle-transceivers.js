// @ts-check
/**
 * Stops transceivers that are no longer used. `addTrack()` never reuses a transceiver that has sent
 * before, so an application that adds and removes a track makes every description larger. The
 * browsers put a new transceiver in the place of a stopped transceiver (RFC 9429 §5.2.2).
 */

/**
 * The number of idle transceivers that are kept. An application can use them again with
 * `replaceTrack()` and `direction`, as the built-in page does for camera, microphone and screen.
 */
const MAX_IDLE = 4;

export class IdleTransceivers {
  #connection;
  /** The transceivers that have sent. @type {WeakSet<RTCRtpTransceiver>} */
  #senders = new WeakSet();
  /** The transceivers that have received. @type {WeakSet<RTCRtpTransceiver>} */
  #receivers = new WeakSet();

  /** @param {RTCPeerConnection} connection */
  constructor(connection) {
    this.#connection = connection;
  }

  /** Must be called after each negotiation. @param {boolean} isPolite the role from the server */
  update(isPolite) {
    const transceivers = this.#connection.getTransceivers();
    for (const transceiver of transceivers) {
      const { currentDirection } = transceiver;
      if (currentDirection?.includes('send')) this.#senders.add(transceiver);
      if (currentDirection?.includes('recv')) this.#receivers.add(transceiver);
    }
    const idle = transceivers.filter((transceiver) => this.#mayStop(transceiver, isPolite));
    // The oldest come first.
    for (const transceiver of idle.slice(0, -MAX_IDLE)) transceiver.stop();
  }

  /**
   * Whether the transceiver is idle, and this side stops it. The other side must have sent. Its
   * `addTrack()` could otherwise start to use the transceiver while our offer is under way. If both
   * sides have sent, the impolite side stops the transceiver, which avoids glare. This side cannot
   * see whether the other side has removed its track, or keeps it for a later `direction`.
   * @param {RTCRtpTransceiver} transceiver
   * @param {boolean} isPolite
   */
  #mayStop(transceiver, isPolite) {
    const { currentDirection, direction, sender } = transceiver;
    const isIdle =
      currentDirection === 'inactive' && !direction.includes('send') && sender.track === null;
    const isOurs = !isPolite || !this.#senders.has(transceiver);
    return isIdle && this.#receivers.has(transceiver) && isOurs;
  }
}
