// @ts-check
/**
 * The storage of a room is deleted when nothing is stored any more, and a room that stores nothing
 * has none. Cloudflare bills the operator of the server for empty databases, too.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { HttpPeer } from '../support/http-peer.mjs';
import { Peer } from '../support/peer.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const folder = mkdtempSync(join(tmpdir(), 'partyline-disk-'));

/** @type {import('../support/workerd.mjs').Workerd<'main'>} */
let workerd;

before(async () => {
  const settings = { RECONNECT_GRACE: '1', HOLD_FOR_NEXT: '1', PING_INTERVAL: '1' };
  workerd = await startWorkerd({ main: settings }, { persist: folder });
});
after(async () => {
  await workerd?.stop();
  rmSync(folder, { recursive: true });
});

/**
 * The size of the file that workerd creates for each object, without a table. An empty database with
 * the table of the key-value storage has 12,288 bytes.
 */
const NO_TABLE = 4096;

/** Returns the files of the databases that have a table or an unfinished write. */
function databases() {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const size = (/** @type {string} */ file) =>
    statSync(join(folder, file), { throwIfNoEntry: false })?.size ?? 0;
  return files.filter(
    (file) =>
      !file.includes('metadata') &&
      ((file.endsWith('.sqlite') && size(file) > NO_TABLE) ||
        (file.endsWith('.sqlite-wal') && size(file) > 0)),
  );
}

test('no database is left when all peers have left', async () => {
  const server = workerd.at.main;
  await server.status('looked-at');
  const gone = await Peer.join(server, 'left', 'ann');
  await gone.close(1000);
  assert.deepEqual(databases(), [], 'rooms without absent peers store nothing');

  const alone = await Peer.join(server, 'alone', 'ann');
  alone.send({ type: 'hello' });
  await alone.settle();
  const lost = await Peer.join(server, 'lost', 'ann');
  lost.socket.terminate();
  const http = await HttpPeer.join(server, 'http', 'bob');
  http.stream?.response.destroy();
  const back = await Peer.join(server, 'back', 'ann');
  back.socket.terminate();
  /** The databases that existed at some time. @type {Set<string>} */
  const seen = new Set();
  for (let n = 0; seen.size < 4; n += 1) {
    assert(n < 500, `four rooms store something: ${[...seen]}`);
    for (const file of databases()) seen.add(file.replace(/-wal$/, ''));
    await setTimeout(20);
  }
  const again = await Peer.join(server, 'back', 'ann');
  await again.close(1000);
  for (let n = 0; databases().length > 0; n += 1) {
    assert(n < 600, `${databases()} are left`);
    await setTimeout(20);
  }

  // Storage that was deleted can be used again.
  const next = await Peer.join(server, 'lost', 'ann');
  next.socket.terminate();
  for (let n = 0; (await server.status('lost')).peers > 0; n += 1) {
    assert(n < 600, 'the lost peer leaves');
    await setTimeout(20);
  }
});
