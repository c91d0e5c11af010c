// @ts-check
/** Runs the samples of docs/clients.md in Chromium, with the published packages of the clients. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';
import { build } from 'esbuild';
import { newRoom, until } from '../support/browser.mjs';
import { Pages } from '../support/chromium.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Peer } from '../support/peer.mjs';
import { Site } from '../support/site.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { mint } from '../support/jwt.mjs';
import { ROOM_SECRET } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

/** @type {import('../support/workerd.mjs').Workerd<'open' | 'tokens'>} */
let workerd;
const pages = new Pages();
/** The samples run on pages of another origin than the server. */
const site = new Site();
useFixtures(site, pages, {
  start: async () => (workerd = await startWorkerd({ open: {}, tokens: { ROOM_SECRET } })),
  stop: () => workerd?.stop(),
});

const DOCUMENT = readFileSync(new URL('../../docs/clients.md', import.meta.url), 'utf8');

/**
 * Returns the samples of a section, in their order.
 * @param {string} heading
 * @param {string} [language]
 */
function samples(heading, language = 'js') {
  const [, section] = DOCUMENT.split(`\n## ${heading}\n`);
  assert.ok(section, `docs/clients.md has the section ${heading}`);
  const blocks = section.split('\n## ')[0].split(`\n\`\`\`${language}\n`).slice(1);
  return blocks.map((block) => block.split('\n```')[0]);
}

/** The room of the current test, which replaces the room of the samples. */
let room = '';
beforeEach(() => void (room = newRoom()));

/**
 * Opens a page and runs code in it, with the address of a server instead of `your-worker.example`
 * and the room of the test instead of `demo` and `my-document`.
 * @param {string} name the name of the page
 * @param {string} code an ES module
 * @param {string} [origin]
 */
async function runs(name, code, origin = workerd.at.open.origin) {
  const { host, hostname, port } = new URL(origin);
  const addressed = code
    .replaceAll(
      'host: "your-worker.example", port: 443, secure: true',
      `host: "${hostname}", port: ${port}, secure: false`,
    )
    .replaceAll('wss://your-worker.example', `ws://${host}`)
    .replaceAll('https://your-worker.example', origin)
    .replaceAll('your-worker.example', host)
    .replaceAll(/\b(demo|my-document)\b/g, room);
  const { outputFiles } = await build({
    stdin: { contents: addressed, resolveDir: import.meta.dirname },
    bundle: true,
    write: false,
    format: 'esm',
    define: { global: 'globalThis', 'process.browser': 'true' },
    alias: { events: 'bare-events' }, // bundlers for browsers replace this module of Node.js
    logLevel: 'silent',
  });
  const page = await pages.open(name, site.origin);
  await page.addScriptTag({ type: 'module', content: outputFiles[0].text });
  return page;
}

/** PartySocket waits for 1 to 5 s before it reconnects, and the PeerJS sample for 1 to 3 s. */
const RECONNECT_PATIENCE = 12_000;

/**
 * Waits until the global array `heard` of a page contains a text.
 * @param {import('playwright-core').Page} page
 * @param {string} text
 * @param {number} [patience]
 */
const hears = (page, text, patience) =>
  until(
    page,
    `it hears ${text}`,
    (text) => /** @type {any} */ (globalThis).heard?.includes(text),
    text,
    patience,
  );

/** Collects what the sample logs in the global array `heard`. */
const LOG = 'globalThis.heard = []; console.log = (...texts) => heard.push(texts.join(" "));';

test('the PeerJS samples connect, and return with their id after an interruption', async () => {
  const [, join, reconnect, withConfig] = samples('PeerJS');
  const proxy = await TcpProxy.to(workerd.at.open);
  try {
    const ann = await runs(
      'ann',
      `import { Peer } from "peerjs"; ${LOG} ${join} ${reconnect}
      globalThis.peer = peer;
      peer.on("open", (id) => heard.push("open as " + id));
      peer.on("connection", (connection) =>
        connection.on("data", (data) => connection.send("ann hears " + data)));`,
      proxy.origin,
    );
    await hears(ann, 'open as ann');
    const bob = await runs(
      'bob',
      `import { Peer } from "peerjs"; ${LOG} ${withConfig.replace('"ann"', '"bob"')}
      globalThis.peer = peer;
      peer.on("open", () => {
        const connection = peer.connect("ann");
        connection.on("open", () => connection.send("bob"));
        connection.on("data", (data) => heard.push(data));
      });`,
    );
    await hears(bob, 'ann hears bob');
    const config = await bob.evaluate(() => /** @type {any} */ (globalThis).peer.options.config);
    assert.deepEqual(config.iceServers[0].urls, ['stun:stun.cloudflare.com:3478']);
    await ann.evaluate(() => void (/** @type {any} */ (globalThis).heard.splice(0)));
    proxy.cut();
    await hears(ann, 'open as ann', RECONNECT_PATIENCE);
  } finally {
    proxy.stop();
  }
});

test('the matchbox samples are compiled with the client of the tests', () => {
  const path = new URL('../clients/matchbox/src/sample.rs', import.meta.url);
  const compiled = readFileSync(path, 'utf8').replaceAll(/^ {4}/gm, '');
  const found = samples('matchbox', 'rust');
  assert.equal(found.length, 3);
  for (const sample of found) assert.ok(compiled.includes(`\n${sample}\n`), sample);
});

test('the RxDB samples replicate a collection', async () => {
  const [, join, withConfig] = samples('RxDB');
  const start = (/** @type {string} */ sample, /** @type {string} */ id) => `
    import { createRxDatabase } from "rxdb/plugins/core";
    import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
    import { replicateWebRTC, getConnectionHandlerSimplePeer }
      from "rxdb/plugins/replication-webrtc";
    ${LOG}
    // The documentation of RxDB asks pages to define this function.
    globalThis.process = { env: {}, nextTick: (call, ...args) => setTimeout(call, 0, ...args) };
    const storage = getRxStorageMemory();
    const db = await createRxDatabase({ name: "${id}", storage, multiInstance: false });
    const properties = { id: { type: "string", maxLength: 9 } };
    const schema = { version: 0, primaryKey: "id", type: "object", properties, required: ["id"] };
    const { collection } = await db.addCollections({ collection: { schema } });
    collection.find().$.subscribe((all) => heard.push(all.map((each) => each.id).sort().join()));
    await collection.insert({ id: "${id}" });
    ${sample}
    globalThis.config = typeof config === "undefined" ? undefined : config;`;
  const ann = await runs('ann', start(join, 'ann'));
  const bob = await runs('bob', start(withConfig, 'bob'));
  for (const page of [ann, bob]) await hears(page, 'ann,bob', 10_000);
  const config = await bob.evaluate(() => /** @type {any} */ (globalThis).config);
  assert.deepEqual(config.iceServers[0].urls, ['stun:stun.cloudflare.com:3478']);
});

test('the y-webrtc samples synchronize a document', async () => {
  const [, join, withConfig] = samples('y-webrtc');
  const start = (/** @type {string} */ sample) => `
    import * as Y from "yjs";
    import { WebrtcProvider } from "y-webrtc";
    const doc = new Y.Doc();
    ${sample}
    globalThis.map = doc.getMap("test");
    globalThis.provider = provider;`;
  const ann = await runs('ann', start(join));
  const bob = await runs('bob', start(withConfig));
  for (const page of [ann, bob])
    await until(page, 'the sample has run', () => /** @type {any} */ (globalThis).provider);
  await ann.evaluate(() => /** @type {any} */ (globalThis).map.set('ann', 'hello'));
  await until(
    bob,
    'the document arrives',
    () => /** @type {any} */ (globalThis).map.get('ann') === 'hello',
    undefined,
    10_000,
  );
  const options = await bob.evaluate(() => /** @type {any} */ (globalThis).provider.peerOpts);
  assert.deepEqual(options.config.iceServers[0].urls, ['stun:stun.cloudflare.com:3478']);
});

test('the trystero samples exchange data', async () => {
  const [, join, withConfig] = samples('trystero');
  const start = (/** @type {string} */ name, /** @type {string} */ sample) => `
    import { joinRoom } from "@trystero-p2p/nostr";
    ${LOG} ${sample}
    const hello = room.makeAction("hello");
    room.onPeerJoin = (target) => hello.send("from ${name}", { target });
    hello.onMessage = (text) => heard.push(text);
    globalThis.rtcConfig = typeof rtcConfig === "undefined" ? undefined : rtcConfig;`;
  const ann = await runs('ann', start('ann', join));
  const bob = await runs('bob', start('bob', withConfig));
  await hears(ann, 'from bob', RECONNECT_PATIENCE);
  await hears(bob, 'from ann', RECONNECT_PATIENCE);
  const config = await bob.evaluate(() => /** @type {any} */ (globalThis).rtcConfig);
  assert.deepEqual(config.iceServers[0].urls, ['stun:stun.cloudflare.com:3478']);
});

/**
 * WebTorrent, as far as the samples use it: it passes its options to bittorrent-tracker. The peer logs the
 * messages of the others, and greets them.
 */
const WEBTORRENT = `class WebTorrent {
  constructor({ tracker } = {}) {
    this.tracker = tracker;
  }
  add(infoHash, { announce }) {
    const peerId = crypto.randomUUID().replaceAll("-", "").padEnd(40, "0");
    this.discovery = new Client({ infoHash, peerId, announce, ...this.tracker });
    this.discovery.on("update", () => heard.push("admitted"));
    this.discovery.on("peer", (peer) => {
      peer.on("connect", () => peer.send("hello"));
      peer.on("data", (data) => heard.push(new TextDecoder().decode(data)));
    });
    this.discovery.start();
  }
}`;

test('the WebTorrent and p2pt samples connect peers', async () => {
  const [, add, p2pt, withConfig] = samples('WebTorrent');
  const imports = `import { Client } from "bittorrent-tracker"; ${LOG} ${WEBTORRENT}
    const torrentId = "0123456789".repeat(4);`;
  const ann = await runs('ann', `${imports} const client = new WebTorrent(); ${add}`);
  const bob = await runs('bob', `${imports} ${withConfig} ${add} globalThis.config = config;`);
  for (const page of [ann, bob]) await hears(page, 'hello');
  const used = await bob.evaluate(() => /** @type {any} */ (globalThis).config.iceServers[0].urls);
  assert.deepEqual(used, ['stun:stun.cloudflare.com:3478']);
  const [eve, dan] = await Promise.all(
    ['eve', 'dan'].map((name) =>
      runs(
        name,
        `import P2PT from "p2pt"; ${LOG} ${p2pt}
        p2pt.on("peerconnect", (peer) => p2pt.send(peer, "${name}"));
        p2pt.on("msg", (peer, text) => heard.push(text));
        p2pt.start();`,
      ),
    ),
  );
  await Promise.all([hears(eve, 'dan'), hears(dan, 'eve')]);
});

test('the partysocket samples exchange frames with a native client', async () => {
  const [, join, ice] = samples('partysocket');
  const bob = await Peer.join(workerd.at.open, room, 'bob');
  const ann = await runs(
    'ann',
    `import PartySocket from "partysocket"; ${LOG} ${join}
    socket.addEventListener("message", ({ data }) => heard.push(JSON.parse(data).type));
    ${ice}
    heard.push(connection.getConfiguration().iceServers[0].urls[0]);
    socket.send('{"type":"chat","payload":"hello"}');`,
  );
  await bob.receives({ type: 'peer-joined', id: 'ann', polite: true });
  await bob.receives({ type: 'chat', from: 'ann', payload: 'hello' });
  await hears(ann, 'welcome');
  await hears(ann, 'stun:stun.cloudflare.com:3478');
  await bob.close();
});

test('the Socket.IO sample joins a room and sends a signal', async () => {
  const [, join] = samples('Socket.IO');
  const ann = await Peer.join(workerd.at.open, room, 'ann');
  const bob = await runs(
    'bob',
    `import { io } from "socket.io-client"; ${LOG} ${join}
    socket.on("hello", (payload, sender) => heard.push(sender + ": " + payload));
    socket.on("peers", () => socket.emit("hello", "from bob", "ann"));`,
  );
  await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
  await ann.receives({ type: 'hello', from: 'bob', payload: 'from bob' });
  ann.send({ type: 'hello', to: 'bob', payload: 'from ann' });
  await hears(bob, 'ann: from ann');
  await ann.close();
});

test('the EventSource sample registers and receives signals', async () => {
  const [, join] = samples('EventSource');
  const ann = await Peer.join(workerd.at.open, room, 'ann');
  const phone = await runs(
    'phone',
    `${LOG} ${join}
    events.onmessage = ({ data }) => heard.push(JSON.parse(data).payload);`,
  );
  await ann.receives({ type: 'peer-joined', id: 'phone', polite: true });
  ann.send({ type: 'hello', to: 'phone', payload: 'from ann' });
  await hears(phone, 'from ann');
  await ann.close();
});

test('the simple-peer recipe connects three pages, also after an interruption', async () => {
  const [, setUp, recipe, send] = samples('simple-peer');
  assert.equal(recipe.split('\n').length, 12);
  const [, replacement] = /replace the first line with `([^`]+)`/.exec(DOCUMENT) ?? [];
  const [first] = recipe.split('\n');
  const start = (/** @type {string} */ recipe) =>
    `${setUp} import PartySocket from "partysocket"; ${LOG} ${recipe}
    globalThis.say = () => { ${send} };
    globalThis.open = () => Object.values(peers).filter(({ connected }) => connected).length;`;
  /** @param {import('playwright-core').Page} page @param {number} count */
  const connected = (page, count) =>
    until(
      page,
      `it has ${count} connections`,
      (count) => /** @type {any} */ (globalThis).open?.() === count,
      count,
      RECONNECT_PATIENCE,
    );
  /** @param {import('playwright-core').Page} page */
  const heard = (page) => page.evaluate(() => /** @type {any} */ (globalThis).heard.length);
  const proxy = await TcpProxy.to(workerd.at.open);
  try {
    const ann = await runs('ann', start(recipe.replace(first, replacement)), proxy.origin);
    const bob = await runs('bob', start(recipe));
    await connected(ann, 1);
    await connected(bob, 1);
    for (const page of [ann, bob]) await page.evaluate(() => /** @type {any} */ (globalThis).say());
    for (const page of [ann, bob])
      await until(page, 'it hears the other', () =>
        /** @type {any} */ (globalThis).heard.some((/** @type {string} */ text) =>
          /^[\w-]+: hello$/.test(text),
        ),
      );
    proxy.cut();
    // Eve joins while ann's WebSocket is interrupted, or after it has returned.
    const eve = await runs('eve', start(recipe));
    for (const page of [ann, bob, eve]) await connected(page, 2);
    await eve.evaluate(() => /** @type {any} */ (globalThis).say());
    for (const page of [ann, bob])
      await until(page, 'it hears eve', () => /** @type {any} */ (globalThis).heard.length === 2);
    assert.equal(await heard(eve), 0);
  } finally {
    proxy.stop();
  }
});

/**
 * Returns the code in a row of a table of docs/clients.md.
 * @param {string} topic the first cell of the row
 * @param {string} start the first characters of the code
 */
function codeOf(topic, start) {
  const [, found] = DOCUMENT.split(`| ${topic} | \`${start}`);
  assert.ok(found, `docs/clients.md has a row ${topic} with ${start}`);
  return start + found.split('`')[0];
}

/** Logs "admitted" after the first frame of a room. The frame of a refusal has another type. */
const LOG_WELCOME = `socket.addEventListener("message", ({ data }) => {
  if (JSON.parse(data).type === "welcome") heard.push("admitted");
});`;

/**
 * For each client: its imports, a sample with the token in the constant `token`, and code that logs
 * "admitted".
 * @type {Record<string, () => string[]>}
 */
const WITH_TOKEN = {
  PeerJS: () => [
    'import { Peer } from "peerjs";',
    samples('PeerJS')[1].replace('{', '{ key: token,'),
    'peer.on("open", () => heard.push("admitted"));',
  ],
  'y-webrtc': () => [
    'import * as Y from "yjs"; import { WebrtcProvider } from "y-webrtc"; const doc = new Y.Doc();',
    samples('y-webrtc')[1].replace('/y-webrtc"', '/y-webrtc?token=" + token'),
    // The server sends each message to its sender, too.
    'provider.signalingConns[0].on("message", () => heard.push("admitted"));',
  ],
  trystero: () => [
    'import { getRelaySockets, joinRoom } from "@trystero-p2p/nostr";',
    samples('trystero')[1].replace('/nostr"', '/nostr?token=" + token'),
    `Object.values(getRelaySockets())[0].addEventListener("message", ({ data }) =>
      data.startsWith('["EOSE"') && heard.push("admitted"));`,
  ],
  WebTorrent: () => [
    'import { Client } from "bittorrent-tracker";',
    `${WEBTORRENT} const client = new WebTorrent(); const torrentId = "0123456789".repeat(4);
    ${samples('WebTorrent')[1].replace('/tracker"', '/tracker?token=" + token')}`,
    '',
  ],
  partysocket: () => [
    'import PartySocket from "partysocket"; const fetchToken = async () => token;',
    samples('partysocket')[1].replace('{', `{ ${codeOf('Tokens', 'query:')},`),
    LOG_WELCOME,
  ],
  'simple-peer': () => {
    const [first] = samples('simple-peer')[2].split('\n');
    const [, url] = /\((.*)\)/.exec(first) ?? [];
    return [
      '',
      `const url = ${url}; const socket = ${codeOf('Tokens', 'new WebSocket')};`,
      LOG_WELCOME,
    ];
  },
};

for (const [client, code] of Object.entries(WITH_TOKEN))
  test(`a token admits ${client}, and gets ICE servers`, async () => {
    const [imports, sample, then] = code();
    const [ice] = samples('For all clients');
    const page = await runs(
      'ann',
      `${imports} ${LOG} const token = ${JSON.stringify(mint({ room }))}; ${ice}
      heard.push(...config.iceServers[0].urls); ${sample} ${then}`,
      workerd.at.tokens.origin,
    );
    await hears(page, 'stun:stun.cloudflare.com:3478');
    await hears(page, 'admitted');
  });

test('the PeerJS sample gives up when the owner has removed the client', async () => {
  const [, join, reconnect] = samples('PeerJS');
  const ann = await runs(
    'ann',
    `import { Peer } from "peerjs"; ${LOG}
    ${join.replace('{', `{ key: ${JSON.stringify(mint({ room }))},`)} ${reconnect}
    globalThis.peer = peer;
    peer.on("open", () => heard.push("open"));`,
    workerd.at.tokens.origin,
  );
  await hears(ann, 'open');
  const headers = { Authorization: `Bearer ${mint({ room, admin: true })}` };
  const path = `/admin/${room}/remove?dialect=peerjs`;
  const init = { method: 'POST', headers, body: '{"id":"ann"}' };
  assert.equal((await workerd.at.tokens.request(path, init)).text, '{"removed":1}');
  await until(
    ann,
    'the client gives up',
    () => /** @type {any} */ (globalThis).peer.destroyed,
    undefined,
    RECONNECT_PATIENCE,
  );
});
