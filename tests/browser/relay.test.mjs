// @ts-check
/** `iceTransportPolicy: "relay"` connects over a real TURN server, and hides the own addresses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, join, logged, newRoom, talk } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { DeployedWithTurn } from '../support/turn.mjs';

/** @typedef {import('../../public/room.js').Trace} Trace */

const deployed = new DeployedWithTurn();
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
