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
  1008: 'This invitation link is not valid. Ask the person who invited you for a new link.',
  1009: 'This page sent a message that is too large for the server. Reload the page.',
  4001: 'You joined in another tab or window. Reload this page to continue here.',
  4003: 'The room is full. Wait until somebody leaves, or use another room.',
  4008: 'This page sent too many messages at once.',
  4009: 'This ID is in use in the room (perhaps in another tab).',
  4010: 'This room needs a valid invitation link. Ask the person who invited you.',
  4011: 'The live stream has ended.',
  4012:
    'The operator of this server has removed you from the room, or has closed the room. ' +
    'Ask the operator whether you can join again.',
  4013: 'Your connection to the server is too slow for the messages of this room.',
  4014: 'Your invitation has expired. Ask the person who invited you for a new link.',
};

/** The explanation if the server answers HTTP requests, but no WebSocket opens. */
export const WEBSOCKET_BLOCKED_TEXT =
  'This network seems to block WebSockets, which this page needs. Try mobile data or other Wi-Fi, ' +
  'or ask the administrator of the network to allow WebSockets.';

/**
 * The status in a peer's tile: the connection state, or the relation while there is no connection.
 * @type {Record<Relation | RTCPeerConnectionState, string>}
 */
export const PEER_TEXT = {
  none: 'not connected',
  requested: 'request sent',
  asked: 'wants to connect',
  declined: 'declined',
  accepted: 'paused (step mode)',
  new: 'connecting…',
  connecting: 'connecting…',
  connected: 'connected',
  disconnected: 'connection lost',
  failed: 'no connection, retrying',
  closed: 'closed',
};

/**
 * Explanations of the errors of `getUserMedia` and `getDisplayMedia`, by the name of the error.
 * @type {Record<string, (device: string) => string>}
 */
export const DEVICE_ERROR_TEXT = {
  NotAllowedError: (device) =>
    device === 'screen'
      ? 'Your screen is not shared. To share it, try again and choose what others can see.'
      : `${capitalized(device)} blocked. Tap the icon in the address bar and allow it.`,
  NotFoundError: (device) => `No ${device} found. Connect one, then try again.`,
  NotReadableError: (device) =>
    `The ${device} is in use by another program. Close it there, then try again.`,
};

/** @param {string} device */
const capitalized = (device) => device[0].toUpperCase() + device.slice(1);

/** Explains that the browser has paused a device. @param {string} device */
export const pausedText = (device) =>
  `The browser has paused the ${device}, perhaps because another page uses it. ` +
  `To continue, turn the ${device} off and on.`;

/**
 * Local steps by type: a title, an explanation, and the name in the API of WebRTC.
 * @type {Record<string, [title: string, reason: string, api?: string]>}
 */
export const STEP_TEXT = {
  'create-connection': [
    'create the connection',
    'The connection gets the list of STUN and TURN servers.',
    'new RTCPeerConnection()',
  ],
  'create-channel': [
    'add a data channel',
    'The chat uses it. The browser now needs an offer.',
    'createDataChannel()',
  ],
  'create-offer': ['create an offer', 'It lists what we want to exchange.', 'createOffer()'],
  'create-answer': ['create an answer', 'It lists what we accept of the offer.', 'createAnswer()'],
  'set-local-description': [
    'set our description',
    'Our browser applies it, and starts to gather candidates.',
    'setLocalDescription()',
  ],
  'set-remote-description': [
    'set their description',
    'Our browser applies what the other side sent.',
    'setRemoteDescription()',
  ],
  'ignore-offer': ['ignore their offer', 'Both sides made an offer, and the other side is polite.'],
  'local-candidate': [
    'find a candidate',
    'An address at which the other side might reach us.',
    'onicecandidate',
  ],
  'add-candidate': [
    'try their candidate',
    'Our browser tests it with each of our own candidates.',
    'addIceCandidate()',
  ],
  'queue-candidate': ['keep their candidate', 'It arrived before their description.'],
  track: ['get a track', 'The other side sends sound or video.', 'ontrack'],
  'connection-state': ['connection', 'The state of ICE and of the encryption.', 'connectionState'],
  'ice-connection-state': ['ICE', 'The search for a route between us.', 'iceConnectionState'],
  'ice-gathering-state': ['gathering', 'The search for our own addresses.', 'iceGatheringState'],
  'signaling-state': ['signaling', 'The exchange of offer and answer.', 'signalingState'],
  'channel-state': ['data channel', 'Text goes directly to the other side.', 'readyState'],
  relation: ['relation', 'Who has asked for a connection, and who has agreed.'],
  'room-state': ['WebSocket to the server', 'It carries the signals of the handshake.'],
};

/** Explanations of frames to and from the server, by type. @type {Record<string, string>} */
export const FRAME_TEXT = {
  offer: 'What one side wants to exchange. The server does not read it.',
  answer: 'What the other side accepts. The server does not read it.',
  welcome: 'The list of the people in the room, and the role toward each.',
  'peer-joined': 'Somebody joined the room.',
  'peer-left': 'Somebody left the room.',
  hello: 'A signal of this page only: a display name.',
  request: 'A request to connect.',
  accept: 'The request is accepted. The offer follows.',
  decline: 'The request is declined.',
  cancel: 'The request is cancelled, or the call has ended.',
};

/** Explanations of SDP lines, by the start of the line. @type {Record<string, string>} */
export const SDP_TEXT = {
  v: 'The version of SDP.',
  o: 'The session, and the version of its description.',
  s: 'The name of the session.',
  'm=application': 'A section for data channels, over SCTP and DTLS.',
  'm=audio': 'A section for sound. Port 0 means that it is rejected.',
  'm=video': 'A section for video. Port 0 means that it is rejected.',
  'a=group': 'The sections that share one transport.',
  'a=ice-ufrag': 'The user name of its connectivity checks.',
  'a=ice-pwd': 'The password of its connectivity checks.',
  'a=ice-options': 'Trickle ICE: more candidates may follow one by one.',
  'a=fingerprint': 'The hash of its certificate.',
  'a=setup': 'Who starts the encryption: active (itself), passive (the other) or actpass (either).',
  'a=mid': 'The name of the section.',
  'a=sctp-port': 'The SCTP port, inside the encryption.',
  'a=max-message-size': 'The maximum size of a message in bytes.',
  'a=sendrecv': 'It wants to send and to receive.',
  'a=sendonly': 'It wants to send only.',
  'a=recvonly': 'It wants to receive only.',
  'a=inactive': 'It wants neither to send nor to receive for now.',
  'a=rtcp-mux': 'RTCP reports use the same port.',
  'a=rtpmap': 'The codec of a payload type.',
  'a=fmtp': 'The parameters of that codec.',
  'a=msid': 'The ids of the stream and of the track.',
  'a=ssrc': 'The source number on its packets.',
};

/** Explanations of the candidate types in RFC 8839 §5.1. @type {Record<string, string>} */
export const CANDIDATE_TEXT = {
  host: 'an address of the device itself',
  srflx: 'its public address, as a STUN server saw it',
  prflx: 'an address that the other side saw on a connectivity check',
  relay: 'an address on a TURN server, which relays everything',
};

/** The 26 tasks of a connection setup. @type {{ heading: string, tasks: Task[] }[]} */
export const TASK_GROUPS = [
  {
    heading: 'The caller creates an offer',
    tasks: [
      {
        text: 'The caller gets the list of STUN and TURN servers.',
        by: 'caller',
        proof: { caller: 'local create-connection', callee: 'in offer' },
      },
      {
        text: 'It creates an RTCPeerConnection.',
        by: 'caller',
        proof: { caller: 'local create-connection', callee: 'in offer' },
      },
      {
        text: 'It decides what to exchange: a data channel for text.',
        by: 'caller',
        proof: { caller: 'local create-channel', callee: 'in offer' },
      },
      {
        text: 'It adds the data channel to its connection.',
        by: 'caller',
        proof: { caller: 'local create-channel', callee: 'in offer' },
      },
      {
        text: 'It creates an offer: everything that it proposes, in SDP.',
        by: 'caller',
        proof: { caller: 'made offer', callee: 'in offer' },
      },
      {
        text: 'It sets the offer as its local description.',
        by: 'caller',
        proof: { caller: 'set offer', callee: 'in offer' },
      },
      {
        text: 'Its browser gathers candidates: addresses at which it might be reached.',
        by: 'caller',
        proof: { caller: 'local local-candidate', callee: 'in candidate' },
      },
      {
        text: 'It sends the offer to the server, addressed to the callee.',
        by: 'caller',
        proof: { caller: 'out offer', callee: 'in offer' },
      },
      {
        text: 'It sends each candidate as soon as it is found.',
        by: 'caller',
        proof: { caller: 'out candidate', callee: 'in candidate' },
      },
    ],
  },
  {
    heading: 'The server forwards the offer',
    tasks: [
      {
        text: 'The server forwards the offer to the callee, and does not read it.',
        by: 'server',
        proof: { caller: 'in answer', callee: 'in offer' },
      },
    ],
  },
  {
    heading: 'The callee answers',
    tasks: [
      {
        text: 'The callee has a WebSocket to the server as well.',
        by: 'callee',
        proof: { caller: 'present', callee: 'present' },
      },
      {
        text: 'It receives the offer with the id of the caller.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'in offer' },
      },
      {
        text: 'It gets the list of STUN and TURN servers.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'local create-connection' },
      },
      {
        text: 'It creates its own RTCPeerConnection.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'local create-connection' },
      },
      {
        text: 'It decides what it wants to exchange.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'set offer' },
      },
      {
        text: 'It adds this to its connection, or listens for the data channel.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'set offer' },
      },
      {
        text: 'It sets the offer as its remote description.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'set offer' },
      },
      {
        text: 'It creates an answer: what it accepts.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'made answer' },
      },
      {
        text: 'It sets the answer as its local description.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'set answer' },
      },
      {
        text: 'Its browser gathers candidates, too.',
        by: 'callee',
        proof: { caller: 'in candidate', callee: 'local local-candidate' },
      },
      {
        text: 'It sends the answer to the server, addressed to the caller.',
        by: 'callee',
        proof: { caller: 'in answer', callee: 'out answer' },
      },
      {
        text: 'It sends each candidate as soon as it is found.',
        by: 'callee',
        proof: { caller: 'in candidate', callee: 'out candidate' },
      },
    ],
  },
  {
    heading: 'The server forwards the answer',
    tasks: [
      {
        text: 'The server forwards the answer and the candidates to the caller.',
        by: 'server',
        proof: { caller: 'in answer', callee: 'connected' },
      },
    ],
  },
  {
    heading: 'The caller completes the connection',
    tasks: [
      {
        text: 'The caller receives the answer and the candidates.',
        by: 'caller',
        proof: { caller: 'in answer', callee: 'connected' },
      },
      {
        text: 'Its own candidates have been sent to the callee.',
        by: 'caller',
        proof: { caller: 'out candidate', callee: 'in candidate' },
      },
      {
        text: 'It sets the answer as its remote description. Both sides try all routes until one works.',
        by: 'caller',
        proof: { caller: 'set answer', callee: 'connected' },
      },
    ],
  },
];
