// @ts-check
/** Swarms are evicted while their clients are connected, and know the peers afterwards. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Peer } from '../../support/peer.mjs';
import { IDLE, startWorkerd } from '../../support/workerd.mjs';

const dialect = 'tracker';

/** Returns 20 characters. @param {string} character */
const id = (character) => character.repeat(20);
const [action, info_hash] = ['announce', id('é')];

export const trackerTests = () =>
  describe('WebTorrent', () => {
    /** @type {import('../../support/workerd.mjs').Workerd<'main'>} */
    let workerd;
    before(async () => void (workerd = await startWorkerd({ main: {} })));
    after(() => workerd?.stop());

    test('an evicted swarm knows its peers, and forwards offers and answers', async () => {
      const server = workerd.at.main;
      const connect = async (/** @type {string} */ peer, /** @type {object} */ more) => {
        const client = await Peer.connect(server, 'idle', { dialect });
        client.send({ action, info_hash, peer_id: id(peer), ...more });
        await client.next();
        return client;
      };
      const [ann, bob] = [await connect('a', { left: 0 }), await connect('b', {})];
      const { awakeSince } = await server.status('idle', undefined, dialect);

      await sleep(IDLE);
      const [offer, offer_id] = ['o', '1'];
      const offers = [1, 2].map(() => ({ offer, offer_id }));
      const eve = await Peer.connect(server, 'idle', { dialect });
      eve.send({ action, info_hash, peer_id: id('e'), offers });
      await eve.receives({ complete: 1, incomplete: 2, action, interval: 120, info_hash });
      for (const [peer, name] of /** @type {const} */ ([
        [ann, 'a'],
        [bob, 'b'],
      ])) {
        await peer.receives({ action, offer, offer_id, peer_id: id('e'), info_hash });
        const answer = { action, info_hash, peer_id: id(name), answer: name, offer_id };
        peer.send({ ...answer, to_peer_id: id('e') });
        await eve.receives({ action, answer: name, offer_id, peer_id: id(name), info_hash });
      }
      const woken = (await server.status('idle', undefined, dialect)).awakeSince;
      assert.notEqual(woken, awakeSince, 'the object was evicted');
      await Promise.all([ann, bob, eve].map((peer) => peer.close(1000)));
    });
  });
