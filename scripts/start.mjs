// @ts-check
/**
 * `npm start`: builds the Worker if necessary, runs `wrangler dev`, and prints the URL of the page.
 * Options after `--` are passed to wrangler: `npm start -- --port 2005`.
 */

import { prepare, readAddress, serve } from './serve.mjs';

const address = await readAddress('npm start');
await prepare();
const { protocol, port } = address;
const next = `Open ${protocol}://localhost:${port}/?room=demo in two windows.`;
process.exit(await serve(address, { next }).exited);
