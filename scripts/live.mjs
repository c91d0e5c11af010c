// @ts-check
/**
 * `npm run live`: runs the Worker and the media server of `media/`, and opens the example of a live
 * stream. Options after `--` are passed to wrangler, as in `npm start`.
 */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as media from './media.mjs';
import { tell } from './run.mjs';
import { prepare, readAddress, serve } from './serve.mjs';

const address = await readAddress('npm run live');
await prepare();
const secret = randomBytes(32).toString('base64url');
const server = await media.start({ program: await media.build(), secret });
const page = `${address.protocol}://localhost:${address.port}/examples/live`;
const worker = serve(address, {
  next: `Open ${page}, start a stream, and open its link in other windows of this computer.`,
  vars: { MEDIA_URL: server.url, MEDIA_APP: server.app, MEDIA_SECRET: secret },
});
void worker.ready.then((isReady) => isReady && open(page));
// If one of the two ends, for example on Ctrl-C, the other must not stay.
void server.exited.then((code) => {
  if (code !== 0) tell('the media server has failed, so the Worker ends, too.');
  worker.end();
});
const code = await worker.exited;
await server.stop();
process.exit(code);

/** Opens a page in the browser of the user, if there is one. @param {string} url */
function open(url) {
  const { CI, DISPLAY, WAYLAND_DISPLAY } = process.env;
  const { platform } = process;
  const hasScreen = platform === 'darwin' || platform === 'win32' || DISPLAY || WAYLAND_DISPLAY;
  if (CI || !process.stdout.isTTY || !hasScreen) return;
  const command = { darwin: ['open'], win32: ['cmd', '/c', 'start', '""'] }[String(platform)];
  const [program, ...args] = command ?? ['xdg-open'];
  // The user can open the page by hand if the program is missing.
  spawn(program, [...args, url], { stdio: 'ignore' }).on('error', () => {});
}
