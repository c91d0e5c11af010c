// @ts-check
/**
 * `npm start`: builds the Worker if necessary, runs `wrangler dev`, and prints the URL of the page.
 * Options after `--` are passed to wrangler: `npm start -- --port 2005`.
 */

import { seconds, tell } from './run.mjs';
import { prepare, readAddress, serve } from './serve.mjs';

const start = Date.now();
const address = await readAddress('npm start');
await prepare();
const { status, exited } = serve(address);
void status.then((status) =>
  tell(
    status === 200
      ? `ready after ${seconds(start)}. Open ` +
          `${address.protocol}://localhost:${address.port}/?room=demo in two windows.`
      : `the Worker answers with status ${status}. The error above names the problem.`,
  ),
);
process.exit(await exited);
