// @ts-check
/**
 * Starts Firefox with fake media devices. Playwright drives the installed Firefox through WebDriver
 * BiDi, so no patched browser and no geckodriver are needed.
 */
import { firefox } from 'playwright-core';
import { firefoxPath } from '../../scripts/firefox.mjs';

/** @typedef {import('playwright-core').Browser} Browser */

/** The preferences (about:config) for the tests. */
const PREFERENCES = {
  'media.navigator.permission.disabled': true, // Firefox grants media permissions without a prompt
  'media.navigator.streams.fake': true,
  // Candidates contain IP addresses instead of mDNS names, because containers have no multicast.
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.peerconnection.ice.loopback': true, // the TURN server of a test has a loopback address
  'intl.locale.requested': 'en-US', // `isOwnReport` reads English texts
  // The browser itself requests nothing from the network.
  'app.update.disabledForTesting': true,
  'browser.region.network.url': '',
  'datareporting.policy.dataSubmissionEnabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,',
  'toolkit.telemetry.enabled': false,
};

/** Starts Firefox with a new profile. Playwright removes the profile when the browser exits. */
export async function launchFirefox() {
  const browser = await firefox.launch({
    channel: 'moz-firefox',
    executablePath: firefoxPath(),
    firefoxUserPrefs: PREFERENCES,
  });
  ignoreMediaFeatures(browser);
  return browser;
}

/**
 * Whether Firefox logged this text itself, and no script threw it. Firefox reports a WebSocket or an
 * ICE connection that fails in the same way as an uncaught exception.
 * @param {string} text
 */
export function isOwnReport(text) {
  return /^(The connection to wss?:.* was interrupted|Firefox can’t establish a connection|ICE failed, add a STUN server)/.test(
    text,
  );
}

/**
 * Skips a command that Playwright 1.65 sends for each new page and that Firefox 153 does not know:
 * the emulation of media features, such as the dark color scheme. Without this function, Playwright
 * cannot open a page. All pages therefore have the light color scheme.
 * @param {Browser} browser
 */
function ignoreMediaFeatures(browser) {
  const session = /** @type {any} */ (browser)._connection.toImpl(browser)._browserSession;
  // All sessions of pages share the class of the session of the browser.
  const sessions = Object.getPrototypeOf(session);
  const { send } = sessions;
  sessions.send = function (/** @type {string} */ command, /** @type {unknown} */ parameters) {
    if (command === 'emulation.setMediaFeaturesOverride') return Promise.resolve({});
    return send.call(this, command, parameters);
  };
}

/**
 * The pairs of browsers with Firefox, in the order of joining. The first to join is polite.
 * @type {['Chromium' | 'Firefox', 'Chromium' | 'Firefox'][]}
 */
export const PAIRS = [
  ['Firefox', 'Firefox'],
  ['Chromium', 'Firefox'],
  ['Firefox', 'Chromium'],
];
