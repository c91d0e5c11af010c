// @ts-check
/**
 * The browser bundle of socket.io-client, unmodified, in Chromium. The page has another origin than the
 * server, as the pages of most applications have.
 */
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Peer } from '../support/peer.mjs';
import { MODES } from '../support/socketio-peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const BUNDLE = fileURLToPath(
  new URL('../../node_modules/socket.io-client/dist/socket.io.min.js', import.meta.url),
);

/** @type {import('../support/workerd.mjs').Workerd<'main' | 'page'>} */
let workerd;
const pages = new Pages();
useFixtures(pages, {
  start: async () => (workerd = await startWorkerd({ main: {}, page: {} })),
  stop: () => workerd?.stop(),
});

const modes = /** @type {(keyof typeof MODES)[]} */ (Object.keys(MODES));
for (const mode of modes)
  test(`a page of another origin exchanges signals: ${mode}`, async () => {
    const server = workerd.at.main;
    const nat = await Peer.join(server, mode, 'nat');
    const page = await pages.open('bob', `${workerd.at.page.origin}/health`);
    await page.addScriptTag({ path: BUNDLE });
    const transport = await page.evaluate(
      async ({ origin, room, transports }) => {
        const { io } = /** @type {any} */ (globalThis);
        const options = { query: { room }, auth: { id: 'bob' }, ...(transports && { transports }) };
        const socket = io(origin, options);
        // Answers every signal, also those that arrive before the client has upgraded.
        socket.on('question', (/** @type {unknown} */ payload, /** @type {string} */ from) =>
          socket.emit('answer', payload, from),
        );
        await new Promise((resolve) => socket.once('connect', resolve));
        const { engine } = socket.io;
        if (!transports && engine.transport.name === 'polling')
          await new Promise((resolve) => engine.once('upgrade', resolve));
        return engine.transport.name;
      },
      { origin: server.origin, room: mode, transports: MODES[mode] },
    );
    await nat.receives({ type: 'peer-joined', id: 'bob', polite: true });
    for (let n = 0; n < 5; n += 1) nat.send({ type: 'question', to: 'bob', payload: { n } });
    for (let n = 0; n < 5; n += 1)
      await nat.receives({ type: 'answer', from: 'bob', payload: { n } });
    await page.goto('about:blank');
    // A page that polls is lost without a message, so its peer leaves after the grace period.
    if (transport === 'websocket') await nat.receives({ type: 'peer-left', id: 'bob' });
    await nat.close();
  });
