/** An application in TypeScript. What has `@ts-expect-error` above it must not pass. */
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
  peer.send('hello');
  // @ts-expect-error: text only
  peer.send(7);
  // @ts-expect-error: whoever is polite is not for us to say
  peer.polite = true;
});
room.addEventListener('request', ({ detail: { peer, accept, decline } }) => {
  if (peer.id === 'ann') accept();
  else decline();
});
room.addEventListener('relation', ({ detail: { peer, relation, previous } }) => {
  const went: [Relation, Relation] = [previous, relation];
  if (relation === 'declined') peer.request();
  else if (went[0] === 'asked') peer.cancel();
  // @ts-expect-error: there is no such relation
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
  // @ts-expect-error: it may be that there is no next try
  console.log(retryIn / 1000);
});
// @ts-expect-error: the detail of a message has no text
room.addEventListener('message', ({ detail }) => console.log(detail.text));

const heard: RoomEvents['message'][] = [];
room.addEventListener('message', ({ detail }) => heard.push(detail));
const others: Peer[] = [...room.peers.values()].filter(
  ({ ready, connected }) => ready && connected,
);
const sent: boolean = room.signal('wave', { hand: 'left' }, others[0]?.id);
if (!sent) room.leaveServer();
const id: string | null = room.id;
console.log(id?.length);
room.close();

// @ts-expect-error: one or the other
new Room('demo', { connect: 'sometimes' });
// @ts-expect-error: nobody makes a peer but a room
new Peer();
// @ts-expect-error: what the library does with a peer is not for an application
others[0].handleSignal('offer', {});
