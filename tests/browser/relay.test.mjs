// @ts-check
/** `iceTransportPolicy: "relay"` connects over a real TURN server, and hides the own addresses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, logged, newRoom, talk } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Coturn } from '../support/turn.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @typedef {import('../../public/room.js').Trace} Trace */

const TURN_SECRET = 'what-coturn-knows-too';
/** @type {Coturn | undefined} */
let coturn;
/** @type {import('../support/workerd.mjs').Workerd<'main'> | undefined} */
let workerd;
const deployed = {
  get origin() {
    return workerd?.at.main.origin ?? '';
  },
  start: async () => {
    coturn = await Coturn.start(TURN_SECRET);
    const turn = { TURN_URLS: coturn.url, TURN_SECRET, TURN_OPEN: 'true' };
    workerd = await startWorkerd({ main: { STUN_URLS: coturn.stun, ...turn } }, { assets: true });
  },
  stop: () => Promise.all([coturn?.stop(), workerd?.stop()]),
};
const pages = new Pages(deployed);
useFixtures(deployed, pages);

test('a page with the policy "relay" sends relay candidates only, and connects', async () => {
  const [ann, bob] = await pages.pair();
  const room = newRoom();
  // Without the option `iceServers`, the server provides the TURN server.
  await join(ann, room, { id: 'ann', iceServers: undefined, iceTransportPolicy: 'relay' });
  await logged(ann, 'state joined');
  await join(bob, room, { id: 'bob' });
  await connected(ann, 'bob');
  await talk(ann, 'ann', bob, 'bob', 'over the relay');
  const addresses = await bob.evaluate(() =>
    /** @type {any} */ (globalThis).trace.flatMap((/** @type {Trace} */ step) => {
      const { direction, payload } = step;
      const text = direction === 'in' ? (payload?.candidate ?? payload?.sdp ?? '') : '';
      return text.match(/(?<=typ )\w+/g) ?? [];
    }),
  );
  assert(addresses.length > 0);
  assert.deepEqual(new Set(addresses), new Set(['relay']));
});
