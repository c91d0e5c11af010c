// @ts-check
/** What a session description and a candidate say, in words. */

/** The parts of a description, by how the line begins. @type {[RegExp, string | ((...found: string[]) => string)][]} */
const LINES = [
  [/^v=/, 'The version of SDP; there is only this one.'],
  [/^o=\S+ (\S+) (\d+)/, (_, id, version) => `Session ${id}, version ${version} of its description.`],
  [/^s=/, 'The name of the session; it has none.'],
  [/^a=group:BUNDLE (.*)/, (_, mids) => `The sections ${mids} share one path.`],
  [/^m=application/, 'A section for data channels, over SCTP and DTLS.'],
  [/^m=audio (\d+)/, (_, port) => (port === '0' ? 'A section for sound, given up.' : 'A section for sound.')],
  [/^m=video (\d+)/, (_, port) => (port === '0' ? 'A section for pictures, given up.' : 'A section for pictures.')],
  [/^a=(candidate:.*)/, (_, candidate) => explainCandidate(candidate)],
  [/^a=ice-ufrag/, 'The user name with which its checks are recognized.'],
  [/^a=ice-pwd/, 'The password that proves that a check is its own.'],
  [/^a=ice-options:trickle/, 'More candidates may follow one by one.'],
  [/^a=fingerprint:(\S+)/, (_, hash) => `The ${hash} hash of its certificate: who answers there must have that one.`],
  [/^a=setup:actpass/, 'Either side may begin the encryption.'],
  [/^a=setup:active/, 'It begins the encryption.'],
  [/^a=setup:passive/, 'It waits for the other side to begin the encryption.'],
  [/^a=mid:(.*)/, (_, mid) => `This section is called ${mid}.`],
  [/^a=sctp-port:(\d+)/, (_, port) => `SCTP port ${port}, inside the encryption.`],
  [/^a=max-message-size:(\d+)/, (_, bytes) => `A message may have ${bytes} bytes.`],
  [/^a=sendrecv/, 'It wants to send and to receive.'],
  [/^a=sendonly/, 'It wants to send only.'],
  [/^a=recvonly/, 'It wants to receive only.'],
  [/^a=inactive/, 'For now, neither.'],
  [/^a=rtcp-mux/, 'Reports travel on the same path.'],
  [/^a=rtpmap:(\d+) ([^/]*)/, (_, number, codec) => `Type ${number} is ${codec}.`],
  [/^a=fmtp:(\d+)/, (_, number) => `How type ${number} is set up.`],
  [/^a=msid:(\S+)/, (_, stream) => (stream === '-' ? 'A track in no stream.' : `A track of stream ${stream}.`)],
  [/^a=ssrc/, 'The number on its packets.'],
];

/**
 * @param {string} sdp
 * @returns {[line: string, words: string][]}
 */
export function explainDescription(sdp) {
  return sdp
    .split(/\r?\n/)
    .filter(Boolean)
    .map((line) => {
      for (const [start, words] of LINES) {
        const found = start.exec(line);
        if (found) return [line, typeof words === 'string' ? words : words(...found)];
      }
      return [line, ''];
    });
}

/** How an address came to be known. */
const TYPES = /** @type {Record<string, string>} */ ({
  host: 'an address of the device itself',
  srflx: 'its address from outside, as a STUN server saw it: that of its router',
  prflx: 'an address that showed only when the other side was reached from it',
  relay: 'an address on a TURN server, which passes everything on',
});

/**
 * RFC 8839 §5.1: foundation, component, transport, priority, address, port, "typ", type.
 * @param {string} candidate
 */
export function explainCandidate(candidate) {
  const [, , transport, , address, port, , type] = candidate.split(' ');
  if (!type) return 'That was the last candidate.';
  const hidden = address.endsWith('.local')
    ? ' The name hides the address from the page; the local network resolves it.'
    : '';
  const where = `${address}, port ${port}, over ${transport.toUpperCase()}`;
  return `A possible route: ${where}. It is ${TYPES[type] ?? type}.${hidden}`;
}

/** In two words, for a line. @param {string} candidate */
export function nameCandidate(candidate) {
  const [, , transport, , , , , type] = candidate.split(' ');
  return type ? `${type}, ${transport.toLowerCase()}` : 'the last';
}
