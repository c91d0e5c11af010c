// @ts-check
/**
 * Builds the Worker into build/, which wrangler.toml names. Builds at the same time wait for each
 * other: worker-build sees to that.
 */

import { show } from './run.mjs';
import { toolchain, workerBuild } from './toolchain.mjs';

process.exitCode = show([workerBuild, '--release'], { env: toolchain() }) ? 0 : 1;
