// @ts-check
/** An `RTCPeerConnection` that also reports when the application closes it, and traces of its states. */

/** @import { PeerContext } from "./parts.d.ts" */

/**
 * Creates a connection. A browser fires no event when a page calls `close()`.
 * @param {RTCConfiguration} configuration
 * @param {() => void} handleClose called after each call of `close()`
 * @returns {RTCPeerConnection}
 */
export function createConnection(configuration, handleClose) {
  // The class is not at the top level, because Node.js can import the library, but has no WebRTC.
  class Connection extends RTCPeerConnection {
    close() {
      super.close();
      handleClose();
    }
  }
  return new Connection(configuration);
}

/** Traces every change of a state. @param {RTCPeerConnection} connection @param {PeerContext["trace"]} trace */
export function traceStates(connection, trace) {
  connection.addEventListener('iceconnectionstatechange', () =>
    trace('ice-connection-state', connection.iceConnectionState),
  );
  connection.addEventListener('icegatheringstatechange', () =>
    trace('ice-gathering-state', connection.iceGatheringState),
  );
  connection.addEventListener('signalingstatechange', () =>
    trace('signaling-state', connection.signalingState),
  );
  connection.addEventListener('connectionstatechange', () =>
    trace('connection-state', connection.connectionState),
  );
}
