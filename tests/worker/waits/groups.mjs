// @ts-check
/**
 * Groups are evicted while clients of RxDB and matchbox are connected. The object knows the groups
 * afterwards, and the heartbeats of RxDB do not wake it.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pages } from '../../support/chromium.mjs';
import { Peer, expectQuiet } from '../../support/peer.mjs';
import * as replicas from '../../support/rxdb-page.mjs';
import { IDLE, startWorkerd } from '../../support/workerd.mjs';

export const groupTests = () =>
  describe('groups', { concurrency: true }, () => {
    const pages = new Pages();
    /** @type {import('../../support/workerd.mjs').Workerd<'main'>} */
    let workerd;
    before(async () => {
      [workerd] = await Promise.all([startWorkerd({ main: {} }), pages.start()]);
    });
    after(async () => {
      await pages.tidy();
      await Promise.all([pages.stop(), workerd?.stop()]);
    });

    test('connected clients of RxDB do not keep them in memory, and replicate afterwards', async () => {
      const server = workerd.at.main;
      const url = `ws://${server.host}/parties/main/idle/rxdb`;
      const open = async (/** @type {string} */ name) => {
        const page = await pages.open(name, `${server.origin}/health`);
        await replicas.load(page);
        await replicas.start(page, name, url);
        return page;
      };
      const [ann, bob] = await Promise.all([open('ann'), open('bob')]);
      for (const page of [ann, bob]) await replicas.has(page, ['ann', 'bob']);
      // RxDB sends a heartbeat each minute. A client in another topic of the object sends more.
      const raw = await Peer.connect(server, 'idle', { dialect: 'rxdb' });
      const { yourPeerId: id } = JSON.parse(await raw.next());
      raw.send({ type: 'join', room: 'villains' });
      await raw.receives({ type: 'joined', otherPeerIds: [id] });
      const { awakeSince } = await server.status('idle', undefined, 'rxdb');

      const end = Date.now() + IDLE;
      while (Date.now() < end) {
        await raw.settle();
        await sleep(2_500);
      }
      const eve = await open('eve');
      for (const page of [ann, bob, eve]) await replicas.has(page, ['ann', 'bob', 'eve']);
      const signal = { type: 'signal', senderPeerId: id, receiverPeerId: id, room: 'villains' };
      raw.send({ ...signal, data: 1 });
      await raw.receives({ ...signal, data: 1 });
      const woken = (await server.status('idle', undefined, 'rxdb')).awakeSince;
      assert.notEqual(woken, awakeSince, 'the object was evicted');
      assert.ok(Date.parse(woken) >= end - 100, `heartbeats woke the object: ${woken}`);
      await raw.close(1000);
    });

    test('an open group of matchbox is filled after an eviction, and a full one stays closed', async () => {
      const server = workerd.at.main;
      const open = async (/** @type {string | undefined} */ next) => {
        const peer = await Peer.connect(server, 'idle', { dialect: 'matchbox', next });
        return { peer, id: JSON.parse(await peer.next()).IdAssigned };
      };
      const [ann, bob, eve] = [await open('2'), await open('2'), await open('2')];
      await ann.peer.receives({ NewPeer: bob.id });
      const { awakeSince } = await server.status('idle', undefined, 'matchbox');
      await sleep(IDLE);
      const dan = await open('2');
      await eve.peer.receives({ NewPeer: dan.id });
      bob.peer.send({ Signal: { receiver: ann.id, data: { Answer: 'v=0' } } });
      await ann.peer.receives({ Signal: { sender: bob.id, data: { Answer: 'v=0' } } });
      await ann.peer.close(1000);
      await bob.peer.receives({ PeerLeft: ann.id });
      const last = await open('2');
      await expectQuiet(bob.peer, eve.peer, dan.peer, last.peer);
      const woken = (await server.status('idle', undefined, 'matchbox')).awakeSince;
      assert.notEqual(woken, awakeSince, 'the object was evicted');
      for (const { peer } of [bob, eve, dan, last]) await peer.close(1000);
    });
  });
