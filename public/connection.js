// @ts-check
/** An `RTCPeerConnection` that also reports when the application closes it, and traces of its states. */

/** @import { Connection, PeerContext } from "./parts.d.ts" */

/**
 * Creates a connection. A browser fires no event when a page calls `close()`.
 * @param {Connection} Base the class of the runtime, or of the application
 * @param {RTCConfiguration} configuration
 * @param {() => void} handleClose called after each call of `close()`
 * @returns {RTCPeerConnection}
 */
export function createConnection(Base, configuration, handleClose) {
  class Connection extends Base {
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
