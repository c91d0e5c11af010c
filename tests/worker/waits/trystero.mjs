// @ts-check
/**
 * Topics are evicted while clients of trystero are connected, over `ws-relay` or Nostr. The object knows
 * the topics and the filters afterwards. The clients send the frames of trystero. The real client would
 * wake the object with its announcements.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Peer } from '../../support/peer.mjs';
import { IDLE, startWorkerd } from '../../support/workerd.mjs';

const TOPIC = 'k'.repeat(40);
const event = { kind: 20_001, tags: [['x', TOPIC]], created_at: 9, id: '1' };
/** The other topics of the subscription. trystero names up to 250 topics in one. */
const topics = Array.from({ length: 249 }, (_, n) => String(n).padStart(40, '0'));

/**
 * For each dialect: the frame that subscribes to the topic, its answer, the frame that publishes, and what
 * subscribers receive.
 * @type {Record<string, [subscribe: unknown, answer: unknown, publish: unknown, received: unknown]>}
 */
const FRAMES = {
  trystero: [
    { type: 'subscribe', topic: TOPIC },
    undefined,
    { type: 'publish', topic: TOPIC, payload: 1 },
    { topic: TOPIC, payload: 1 },
  ],
  nostr: [
    ['REQ', 'sub', { kinds: [20_001], since: 9, '#x': [...topics, TOPIC] }],
    ['EOSE', 'sub'],
    ['EVENT', event],
    ['EVENT', 'sub', event],
  ],
};

export const trysteroTests = () =>
  describe('trystero', { concurrency: true }, () => {
    /** @type {import('../../support/workerd.mjs').Workerd<'main'>} */
    let workerd;
    before(async () => (workerd = await startWorkerd({ main: {} })));
    after(() => workerd?.stop());

    for (const [dialect, [subscribe, answer, publish, received]] of Object.entries(FRAMES))
      test(`the topics of ${dialect} are known after an eviction`, async () => {
        const server = workerd.at.main;
        const connect = () => Peer.connect(server, 'idle', { dialect });
        const [ann, bob] = [await connect(), await connect()];
        ann.send(subscribe);
        if (answer) await ann.receives(answer);
        await ann.settle();
        const { awakeSince } = await server.status('idle', undefined, dialect);
        await sleep(IDLE);
        bob.send(publish);
        await ann.receives(received);
        const status = await server.status('idle', undefined, dialect);
        assert.notEqual(status.awakeSince, awakeSince, 'the object was evicted');
        assert.equal(status.peers, 2);
        await Promise.all([ann, bob].map((peer) => peer.close(1000)));
      });
  });
