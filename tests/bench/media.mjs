// @ts-check
/**
 * `node tests/bench/media.mjs` measures the CPU time and the memory of the media server: one device
 * in Chromium that sends 640x480 video and sound, and 2 and 10 viewers in another page. Takes about a
 * minute after the build. Add `--dev` to measure the unoptimized build that the tests use.
 *
 * Linux only, because it reads /proc.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { build } from '../../scripts/media.mjs';
import { Pages } from '../support/chromium.mjs';
import { Media, answerIn, decodes } from '../support/media.mjs';
import { Site } from '../support/site.mjs';

/** Milliseconds of each measurement. */
const TIME = 12_000;
const TRACKS = ['video', 'audio'];

/** The CPU time units of /proc in a second. */
const TICKS = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

const program = await build(process.argv.includes('--dev') ? 'dev' : 'release');
const site = new Site();
const pages = new Pages(site);
await Promise.all([site.start(), pages.start()]);

for (const viewers of [2, 10]) {
  const media = new Media({ program });
  await media.start();
  const device = await pages.open('device');
  const source = await media.open();
  await media.exchange(
    source,
    TRACKS.map((kind) => ({ location: 'local', trackName: kind, kind })),
    (offer) => answerIn(device, offer),
  );
  const page = await pages.open('viewers');
  for (let viewer = 0; viewer < viewers; viewer++) {
    const session = await media.open();
    await media.exchange(
      session,
      TRACKS.map((trackName) => ({ location: 'remote', sessionId: source, trackName })),
      // Each viewer is a connection of its own in the same page.
      async (offer) => {
        await page.evaluate(() => {
          const globals = /** @type {any} */ (globalThis);
          globals.connections = [...(globals.connections ?? []), globals.connection];
          globals.connection = undefined;
        });
        return answerIn(page, offer);
      },
    );
  }
  await decodes(page);
  await setTimeout(5000); // the encoder of the device needs some seconds to reach its bit rate
  const before = { cpu: cpuOf(media.server.pid), ...(await received(page)) };
  await setTimeout(TIME);
  const after = { cpu: cpuOf(media.server.pid), ...(await received(page)) };
  const seconds = TIME / 1000;
  const cpu = after.cpu - before.cpu;
  const packets = after.packets - before.packets;
  console.log(
    [
      `${viewers} viewers`,
      `${((after.frames - before.frames) / viewers / seconds).toFixed(1)} frames/s at each`,
      `${((after.bytes - before.bytes) / viewers / seconds / 125_000).toFixed(2)} Mbit/s to each`,
      `${Math.round(packets / seconds)} packets/s out`,
      `${((100 * cpu) / seconds).toFixed(1)} % of a core`,
      `${Math.round((cpu * 1e6) / packets)} µs per packet`,
      `${Math.round(memoryOf(media.server.pid) / 1024)} MB`,
    ].join(', '),
  );
  await pages.tidy();
  await media.stop();
}
await pages.stop();
site.stop();

/**
 * Returns what all connections of a page have received.
 * @param {import('playwright-core').Page} page
 */
function received(page) {
  return page.evaluate(async () => {
    const globals = /** @type {any} */ (globalThis);
    const total = { frames: 0, packets: 0, bytes: 0 };
    for (const connection of [...globals.connections, globals.connection].filter(Boolean))
      for (const entry of (await connection.getStats()).values()) {
        if (entry.type !== 'inbound-rtp') continue;
        total.frames += entry.framesDecoded ?? 0;
        total.packets += entry.packetsReceived;
        total.bytes += entry.bytesReceived;
      }
    return total;
  });
}

/** Returns the CPU time of a process in seconds. @param {number} pid */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** Returns the resident memory of a process in KiB. @param {number} pid */
function memoryOf(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
