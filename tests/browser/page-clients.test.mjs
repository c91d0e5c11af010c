// @ts-check
/** Tests the page with the samples for other client libraries, and its section on the start page. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Pages } from '../support/chromium.mjs';
import { DESKTOP, fits, inspect } from '../support/page.mjs';
import { useFixtures } from '../support/fixtures.mjs';
import { Deployed } from '../support/workerd.mjs';

const server = new Deployed();
const pages = new Pages(server);
useFixtures(server, pages);

const SMALL = { viewport: { width: 320, height: 568 }, isMobile: true, hasTouch: true };
const DOCUMENT = readFileSync(new URL('../../docs/clients.md', import.meta.url), 'utf8');
/** The sections of docs/clients.md that describe a client: heading, and first lines to paste. */
const SECTIONS = DOCUMENT.split('\n## ')
  .slice(2)
  .map((section) => {
    const blocks = section.split(/\n```(?:js|rust)\n/).map((block) => block.split('\n```')[0]);
    // The lines before the change come first. simple-peer has no lines before, but an import.
    const lines = blocks.slice(2).find((block) => !block.startsWith('import'));
    return { heading: section.split('\n')[0], lines };
  });

/**
 * Returns the sections of a page: heading, id and sample.
 * @param {import('playwright-core').Page} page
 * @param {boolean} [asServed] whether to read the HTML as the server sends it, without scripts
 */
const sections = (page, asServed = false) =>
  page.evaluate(async (asServed) => {
    const html = await (await fetch('/clients.html')).text();
    const shown = asServed ? new DOMParser().parseFromString(html, 'text/html') : document;
    return [...shown.querySelectorAll('h2')].map((heading) => ({
      heading: heading.textContent,
      id: heading.id,
      lines: heading.nextElementSibling?.textContent,
    }));
  }, asServed);

test('the page has a sample for each client of docs/clients.md, with the same lines', async () => {
  const page = await pages.open('ann', '/clients.html');
  const served = await sections(page, true);
  assert.deepEqual(
    served.map(({ heading, lines }) => ({ heading, lines })),
    SECTIONS,
  );
  for (const { heading, id } of served)
    assert.equal(id, heading.toLowerCase().replace('.', ''), 'the same anchor as in the document');
});

test('the samples show the address of the deployment', async () => {
  const page = await pages.open('ann', '/clients.html');
  const { origin, port } = server;
  const shown = new Map((await sections(page)).map(({ heading, lines }) => [heading, lines]));
  assert.equal(
    shown.get('PeerJS'),
    `const peer = new Peer("ann", {\n  host: "127.0.0.1", port: ${port}, secure: false,\n` +
      `  path: "/parties/main/demo",\n});`,
  );
  assert.match(
    String(shown.get('y-webrtc')),
    new RegExp(`\\["ws://127.0.0.1:${port}/parties/main/my-document/y-webrtc"\\]`),
  );
  assert.match(String(shown.get('partysocket')), new RegExp(`host: "127.0.0.1:${port}", room`));
  assert.ok(shown.get('Socket.IO')?.startsWith(`const socket = io("${origin}", {`));
  await page.getByText(`${origin}/ice-servers`, { exact: true }).waitFor();
  assert.doesNotMatch(await page.innerText('main'), /your-worker/);
});

test('the samples of a deployment on HTTPS use its domain and TLS', async () => {
  const page = await pages.open('ann', 'about:blank');
  await page.route('https://signal.example/**', async (route) => {
    const path = new URL(route.request().url()).pathname;
    await route.fulfill({ response: await route.fetch({ url: `${server.origin}${path}` }) });
  });
  await page.goto('https://signal.example/clients.html');
  const shown = await sections(page);
  for (const [index, { lines }] of SECTIONS.entries())
    assert.equal(shown[index].lines, lines?.replaceAll('your-worker.example', 'signal.example'));
});

test('the start page links to the samples, which fit on a small screen', async () => {
  const page = await pages.open('ann', '/', SMALL);
  await page.getByRole('link', { name: /^Use your client/ }).click();
  await page.getByRole('heading', { name: 'PeerJS' }).waitFor();
  await fits(page, 'clients');
  await inspect(page, 'clients-phone');
  await page.setViewportSize(DESKTOP.viewport);
  await inspect(page, 'clients');
});
