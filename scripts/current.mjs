// @ts-check
/**
 * Installs the current versions of Node, wrangler and workerd, which scripts/current/ pins. The
 * versions in the root package.json are the last ones that support Node 20. `npm test -- --all`
 * repeats the end-to-end tests with the current versions.
 */

import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { cached, cacheFolder, hash } from './cache.mjs';
import { root, step, stop, tell } from './run.mjs';
import { npmCi } from './setup.mjs';
import { isOlder } from './versions.mjs';

/** The oldest Node that the current wrangler supports. */
const LEAST_NODE = '22.12.0';

/**
 * Installs the current Node, wrangler and workerd. Returns the paths of Node and wrangler, and the
 * environment variables for processes that use them.
 */
export async function currentPlatform() {
  const modules = join(await install(), 'node_modules');
  const node = findNode(modules);
  const wrangler = join(modules, 'wrangler', 'bin', 'wrangler.js');
  const env = {
    ...process.env,
    PATH: dirname(node) + delimiter + process.env.PATH,
    PARTYLINE_WRANGLER: wrangler,
    // Makes miniflare run the current workerd. The tests keep the miniflare version of
    // package.json, because miniflare 5 has different options.
    MINIFLARE_WORKERD_PATH: createRequire(wrangler)('workerd').default,
  };
  return { node, wrangler, env };
}

function install() {
  const { platform, arch } = process;
  const files = ['package.json', 'package-lock.json'];
  const texts = files.map((file) => readFileSync(join(root, 'scripts', 'current', file)));
  const name = `platform-${hash(platform, arch, ...texts)}`;
  return cached(cacheFolder(), name, async (folder) => {
    for (const file of files)
      copyFileSync(join(root, 'scripts', 'current', file), join(folder, file));
    const what = 'installing the current Node and wrangler from npm (once, about 20 s)';
    if (!(await step(what, npmCi(), { cwd: folder })))
      stop(
        'npm could not install the current Node and wrangler. Fix the errors that npm printed above, ' +
          'then run the same command again.',
      );
  });
}

/**
 * Returns the path of Node in `modules`. For some systems, such as macOS on ARM, npm has no package
 * with Node 24. On these systems, the function returns the running Node if it is recent enough.
 * @param {string} modules
 */
function findNode(modules) {
  const { execPath, platform, arch, versions } = process;
  const system = platform === 'win32' ? 'win' : platform;
  const node = join(
    modules,
    `node-${system}-${arch}`,
    'bin',
    system === 'win' ? 'node.exe' : 'node',
  );
  if (existsSync(node)) return node;
  if (isOlder(versions.node, LEAST_NODE))
    stop(
      `npm has no Node 24 for ${platform}-${arch}, and Node ${versions.node} is too old for the ` +
        `current wrangler. Run npm test -- --all with Node ${LEAST_NODE} or newer.`,
    );
  tell(`using Node ${versions.node}, because npm has no Node 24 for ${platform}-${arch}`);
  return execPath;
}
