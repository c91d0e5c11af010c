// @ts-check
/** Explanations and other long strings of the page. Other modules decide when to show them. */

/**
 * @import { Relation } from "../room.js"
 * @typedef {"caller" | "callee" | "server"} Actor
 *
 * Evidence that a task is done: the direction and type of a traced step, a description that this
 * side made or set, or a state.
 * @typedef {`${"in" | "out" | "local"} ${string}`
 *   | `${"made" | "set"} ${"offer" | "answer"}` | "present" | "connected"} Proof
 *
 * `proof` has a value for each side, because a side traces only its own steps. The signals that
 * follow from a step prove the step to the other side.
 * @typedef {{ text: string, by: Actor, proof: { caller: Proof, callee: Proof } }} Task
 */

/** Explanations of close codes for users. @type {Record<number, string>} */
export const CLOSE_TEXT = {
  1000: 'You have left the room.',
  1008: 'This invitation is for a name that nobody can have. Ask for a new link.',
  1009: 'What this page sent was too large for the server.',
  4001: 'Another tab or window has taken your place. Reload to take it back.',
  4003: 'The room is full. Wait until somebody leaves, or open another one.',
  4008: 'This page sent too much at once.',
  4009: 'This name is taken: somebody else in the room has it.',
  4010: 'You may not enter this room. Ask whoever invited you for a new link.',
  4011: 'The live stream has ended.',
  4012:
    'The operator of this server has removed you from the room, or has closed the room. ' +
    'Ask the operator whether you may join again.',
  4013: 'This page received its messages too slowly.',
  4014: 'Your invitation has expired. Ask for a new link.',
};

/** The explanation if the server answers HTTP requests, but no WebSocket opens. */
export const WEBSOCKET_BLOCKED_TEXT =
  'The server answers, but refuses WebSockets, which this page needs. This network may block them: ' +
  'try another network, or ask its administrator to allow WebSockets.';

/**
 * The status in a peer's tile: the connection state, or the relation while there is no connection.
 * @type {Record<Relation | RTCPeerConnectionState, string>}
 */
export const PEER_TEXT = {
  none: 'not connected',
  requested: 'has not answered yet',
  asked: 'asks to connect with you',
  declined: 'has declined',
  accepted: 'waits for a step',
  new: 'waiting for its offer',
  connecting: 'connecting',
  connected: 'connected',
  disconnected: 'connection lost',
  failed: 'no connection, trying again',
  closed: 'closed',
};

/**
 * Explanations of the errors of `getUserMedia` and `getDisplayMedia`, by the name of the error.
 * @type {Record<string, (device: string) => string>}
 */
export const DEVICE_ERROR_TEXT = {
  NotAllowedError: (device) =>
    `The browser was not allowed to use the ${device}. Allow it beside the address, then try again.`,
  NotFoundError: (device) => `No ${device} was found. Plug one in, then try again.`,
  NotReadableError: (device) =>
    `The ${device} is in use by another program. Close it there, then try again.`,
};

/** Explains that the browser has paused a device. @param {string} device */
export const pausedText = (device) =>
  `The browser has paused the ${device}, perhaps because another page uses it. ` +
  `To continue, turn the ${device} off and on.`;

/**
 * Local steps by type: a title and an explanation.
 * @type {Record<string, [title: string, reason: string]>}
 */
export const STEP_TEXT = {
  'create-connection': ['make the connection', 'With the ICE servers that may help it.'],
  'create-channel': ['add a data channel', 'For the chat. Now an offer is due.'],
  'create-offer': ['make an offer', 'What we would like to exchange.'],
  'create-answer': ['make an answer', 'What we take of what was offered.'],
  'set-local-description': ['set our description', 'Our browser commits itself to it.'],
  'set-remote-description': ['set their description', 'Our browser knows what they propose.'],
  'ignore-offer': ['ignore their offer', 'Both have offered, and they are polite.'],
  'local-candidate': ['find a candidate', 'An address at which we might be reached.'],
  'add-candidate': ['try their candidate', 'Our browser tries it with each of our own.'],
  'queue-candidate': ['keep their candidate', 'It has come before its description.'],
  track: ['get a track', 'The other side sends sound or pictures.'],
  'connection-state': ['connection', 'ICE, and the encryption on top.'],
  'ice-connection-state': ['ICE', 'The search for a way between us.'],
  'ice-gathering-state': ['gathering', 'The search for addresses of our own.'],
  'signaling-state': ['signaling', 'The exchange of descriptions.'],
  'channel-state': ['data channel', 'Text goes straight to the other side.'],
  relation: ['relation', 'Who has asked whom for a connection.'],
  'room-state': ['line to the server', 'The WebSocket for introductions.'],
};

/** Explanations of frames to and from the server, by type. @type {Record<string, string>} */
export const FRAME_TEXT = {
  offer: 'What one would like to exchange, forwarded unread.',
  answer: 'What the other takes of it, forwarded unread.',
  welcome: 'Who is here, and who is polite.',
  'peer-joined': 'Somebody came.',
  'peer-left': 'Somebody left.',
  hello: 'This page’s own: a name, to be shown.',
  request: 'Would you like to connect?',
  accept: 'Yes. The offer follows.',
  decline: 'No.',
  cancel: 'Not any more.',
};

/** Explanations of SDP lines, by the start of the line. @type {Record<string, string>} */
export const SDP_TEXT = {
  v: 'The version of SDP.',
  o: 'The session, and the version of its description.',
  s: 'The name of the session.',
  'm=application': 'A section for data channels, over SCTP and DTLS.',
  'm=audio': 'A section for sound; port 0: given up.',
  'm=video': 'A section for pictures; port 0: given up.',
  'a=group': 'The sections that share one path.',
  'a=ice-ufrag': 'The name on its checks.',
  'a=ice-pwd': 'The password that proves it.',
  'a=ice-options': 'More candidates may follow one by one.',
  'a=fingerprint': 'The hash of its certificate.',
  'a=setup': 'Who begins the encryption: active itself, passive the other, actpass either.',
  'a=mid': 'The name of the section.',
  'a=sctp-port': 'The SCTP port, inside the encryption.',
  'a=max-message-size': 'The most bytes in a message.',
  'a=sendrecv': 'It wants to send and to receive.',
  'a=sendonly': 'It wants to send only.',
  'a=recvonly': 'It wants to receive only.',
  'a=inactive': 'For now, neither.',
  'a=rtcp-mux': 'Reports travel on the same path.',
  'a=rtpmap': 'The codec that a number stands for.',
  'a=fmtp': 'How that codec is set up.',
  'a=msid': 'The stream of a track, and its own name.',
  'a=ssrc': 'The number on its packets.',
};

/** Explanations of the candidate types in RFC 8839 §5.1. @type {Record<string, string>} */
export const CANDIDATE_TEXT = {
  host: 'an address of the device itself',
  srflx: 'its address from outside, as a STUN server saw it',
  prflx: 'an address that showed when it reached the other side',
  relay: 'an address on a TURN server, which passes all on',
};

/** The 26 tasks of a connection setup. @type {{ heading: string, tasks: Task[] }[]} */
export const TASK_GROUPS = [
  {
    heading: 'The caller makes an offer',
    tasks: [
      {
        text: 'The caller notes which STUN and TURN servers may help it.',
        by: 'caller',
        proof: { caller: 'local create-connection', callee: 'in offer' },
      },
      {
        text: 'It makes an RTCPeerConnection.',
        by: 'caller',
        proof: { caller: 'local create-connection', callee: 'in offer' },
      },
      {
        text: 'It decides what to exchange: a data channel for text.',
        by: 'caller',
        proof: { caller: 'local create-channel', callee: 'in offer' },
      },
      {
        text: 'It adds that to its connection.',
        by: 'caller',
        proof: { caller: 'local create-channel', callee: 'in offer' },
      },
      {
        text: 'It makes an offer: all that it proposes, in SDP.',
        by: 'caller',
        proof: { caller: 'made offer', callee: 'in offer' },
      },
      {
        text: 'It sets the offer as its local description.',
        by: 'caller',
        proof: { caller: 'set offer', callee: 'in offer' },
      },
      {
        text: 'Now its browser gathers candidates: addresses at which it might be reached.',
        by: 'caller',
        proof: { caller: 'local local-candidate', callee: 'in candidate' },
      },
      {
        text: 'It hands the offer to the server, addressed to the callee.',
        by: 'caller',
        proof: { caller: 'out offer', callee: 'in offer' },
      },
      {
        text: 'It hands over each candidate as soon as it is found.',
        by: 'caller',
        proof: { caller: 'out candidate', callee: 'in candidate' },
      },
    ],
  },
  {
    heading: 'The server introduces them',
    tasks: [
      {
        text: 'The server forwards the offer to the callee, unread.',
        by: 'server',
        proof: { caller: 'in answer', callee: 'in offer' },
      },
    ],
  },
  {
    heading: 'The callee answers',
    tasks: [
      {
        text: 'The callee has a line to the server as well.',
        by: 'callee',
        proof: { caller: 'present', callee: 'present' },
      },
      {
        text: 'It gets the offer, and learns whom it is from.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'in offer' },
      },
      {
        text: 'It notes which STUN and TURN servers may help it.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'local create-connection' },
      },
      {
        text: 'It makes an RTCPeerConnection of its own.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'local create-connection' },
      },
      {
        text: 'It decides what it wants to exchange.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'set offer' },
      },
      {
        text: 'It adds that to its connection, or listens for the data channel.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'set offer' },
      },
      {
        text: 'It sets the offer as its remote description.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'set offer' },
      },
      {
        text: 'It makes an answer: what it agrees to.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'made answer' },
      },
      {
        text: 'It sets the answer as its local description.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'set answer' },
      },
      {
        text: 'Now its browser gathers candidates in turn.',
        by: 'callee',
        proof: { caller: 'in candidate', callee: 'local local-candidate' },
      },
      {
        text: 'It hands the answer to the server, addressed to the caller.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'out answer' },
      },
      {
        text: 'It hands over each candidate as soon as it is found.',
        by: 'callee',
        proof: { caller: 'in candidate', callee: 'out candidate' },
      },
    ],
  },
  {
    heading: 'The server introduces them the other way',
    tasks: [
      {
        text: 'The server forwards the answer and the candidates to the caller.',
        by: 'server',
        proof: { caller: 'in answer', callee: 'connected' },
      },
    ],
  },
  {
    heading: 'The caller completes it',
    tasks: [
      {
        text: 'The caller gets the answer and the candidates.',
        by: 'caller',
        proof: { caller: 'in answer', callee: 'connected' },
      },
      {
        text: 'Its own candidates have gone to the callee.',
        by: 'caller',
        proof: { caller: 'out candidate', callee: 'in candidate' },
      },
      {
        text: 'It sets the answer as its remote description; both try all routes until one works.',
        by: 'caller',
        proof: { caller: 'set answer', callee: 'connected' },
      },
    ],
  },
];
