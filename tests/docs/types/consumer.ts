/** A TypeScript application. Lines below `@ts-expect-error` must not compile. */
import {
  Room,
  type Peer,
  type Relation,
  type RoomEvents,
  type Trace,
} from '../../../public/room.js';

const room = new Room('demo', {
  connect: 'on-request',
  iceServers: [{ urls: 'stun:stun.example' }],
  pace: async ({ direction, type }) => console.log(direction.toUpperCase(), type),
});

room.addEventListener('peer', ({ detail: { peer } }) => {
  peer.connection.addTransceiver('audio');
  const { signal } = new AbortController();
  const onProgress = ({ sent, total }: { sent: number; total: number }) => sent / total;
  peer.send(new Blob(), { metadata: 'a blob', onProgress, signal }).then(() => peer.open);
  peer.ask({ question: 7 }, { timeout: 5_000, signal }).then((answer) => console.log(answer));
  // @ts-expect-error: the metadata is an option
  peer.send('hello', 'metadata');
  // @ts-expect-error: `polite` is read-only
  peer.polite = true;
});
room.addEventListener('request', ({ detail: { peer, accept, decline } }) => {
  if (peer.id === 'ann') accept();
  else decline();
});
room.addEventListener('relation', ({ detail: { peer, relation, previous } }) => {
  const change: [Relation, Relation] = [previous, relation];
  if (relation === 'declined') peer.request();
  else if (change[0] === 'asked') peer.cancel();
  // @ts-expect-error: "friends" is not a relation
  if (relation === 'friends') peer.accept();
});
room.addEventListener('track', ({ detail }) => {
  const [stream]: readonly MediaStream[] = detail.streams;
  detail.track.onmute = () => stream?.removeTrack(detail.track);
});
const handleTrace = ({ detail }: CustomEvent<Trace>): number => detail.time;
room.addEventListener('trace', handleTrace, { once: true });
room.removeEventListener('trace', handleTrace);
room.addEventListener('state', ({ detail: { state, retryIn } }) => {
  if (state === 'reconnecting') console.log((retryIn ?? 0) / 1000);
  // @ts-expect-error: `retryIn` can be null or undefined
  console.log(retryIn / 1000);
});
room.addEventListener('live', ({ detail: { state } }) => {
  if (state === 'stopped') console.log(room.live.stream === null);
  // @ts-expect-error: "over" is not a state
  if (state === 'over') room.close();
});
room.addEventListener('stream', ({ detail: { stream } }) => {
  document.createElement('video').srcObject = stream;
  if (stream) room.live.publish(stream);
  // @ts-expect-error: publish() takes a stream
  room.live.publish(null);
});
room.on('ask', ({ data, reply }) => reply(data));
room.on('progress', ({ received, total }) => console.log(received / total));
room.joined.then(() => room.send({ hello: 'all' }));
const channel = room.channel('positions', { ordered: false, maxRetransmits: 0 });
channel.on('message', ({ peer, data }) => channel.send(data, peer));
// @ts-expect-error: a channel has no event `open`
channel.on('open', () => {});
// @ts-expect-error: the detail of `message` has no property `text`
room.addEventListener('message', ({ detail }) => console.log(detail.text));

const messages: RoomEvents['message'][] = [];
room.addEventListener('message', ({ detail }) => messages.push(detail));
const others: Peer[] = [...room.peers.values()].filter(
  ({ ready, connected }) => ready && connected,
);
const sent: boolean = room.signal('wave', { hand: 'left' }, others[0]?.id);
if (!sent) room.leaveServer();
const id: string | null = room.id;
console.log(id?.length);
room.close();

// @ts-expect-error: `connect` is "always" or "on-request"
new Room('demo', { connect: 'sometimes' });
// @ts-expect-error: only a room creates peers
new Peer();
// @ts-expect-error: internal methods are not declared
others[0].handleSignal('offer', {});
