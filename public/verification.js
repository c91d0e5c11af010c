// @ts-check
/**
 * Words that two people compare to find out whether anybody stands between their browsers. They are
 * made from the certificates of a connection, so that both sides get the same words only if each
 * side is connected to the other's browser. This is a short authentication string (RFC 6189 §7). See
 * "Fingerprints" in docs/security.md.
 */

/**
 * A peer in the middle has a certificate for each side, and may try many until both sides get the
 * same words. If he tries n for each side, about n² pairs can match. Eight words are 64 bits, so he
 * needs about 2 × 2^32 tries, and each try costs as much as ours.
 */
const BITS = 64;
const ITERATIONS = 500_000;
const SALT = 'partyline words';

/** 256 words that are hard to confuse, one for each byte. */
const WORDS = `
  acrobat airport almond amber anchor apple apricot arrow artist attic autumn avocado balloon
  bamboo banana barrel basket beaver bicycle bishop blender blossom bonfire bottle bridge bronze
  buffalo burger cabbage cactus camel candle canyon captain carpet castle celery cheese cheetah
  cherry chicken chimney circus cloud clover coconut comet compass cookie cottage cowboy crab
  crystal cushion denim dentist diamond doctor dolphin domino donkey dragon drum eagle earring
  elbow emerald engine factory falcon farmer feather fence ferret flute forest fork galaxy garden
  garlic geyser giraffe glacier goat gondola gorilla granite guitar hammock hamster harbor helmet
  heron hexagon hippo hotel iceberg iguana indigo island ivory jaguar jasmine jigsaw jukebox
  jungle kayak ketchup king kitten koala ladder lantern laptop lasagna lemon leopard lettuce
  library llama lobster luggage magnet mailbox mammoth mango marble marimba meadow mermaid mirror
  moon muffin museum mustard nebula needle ninja nurse nutmeg oasis ocean octopus olive omelet
  onion opera orange orchid ostrich oval palace palm pancake panda panther parasol pasta peach
  peacock pencil penguin pepper perfume piano pickle picnic pigeon pillow pinball pirate pizza
  planet plumber popcorn prairie pretzel pumpkin puzzle pyramid queen rabbit radish rainbow river
  rooster salad salmon sausage scarlet school scooter shampoo shark sheriff shovel skunk slipper
  snorkel sofa soup spider spiral spoon squid stadium stapler statue subway sunrise surgeon
  sweater sword taco teapot tent thimble thunder ticket tiger tomato tornado toucan towel tractor
  trolley trophy trumpet tugboat tulip tunnel turbine turtle tuxedo unicorn vacuum vanilla village
  violin volcano vulture waffle walrus weasel whistle wigwam window winter wizard wolf wombat
  yacht yogurt zebra zigzag zombie
`
  .trim()
  .split(/\s+/);

/**
 * Returns eight words for the certificates of a connection. The words are the same on both sides, and
 * differ for each connection. Returns null if the connection is not connected, or if a description
 * does not have exactly one fingerprint, of SHA-256. A sender of two fingerprints could use either
 * certificate (RFC 8122 §5).
 *
 * The promise rejects with a `NotSupportedError` on pages that are neither from https nor from
 * localhost, because these pages have no `crypto.subtle`.
 * @param {RTCPeerConnection} connection
 * @returns {Promise<string[] | null>}
 */
export async function verificationWords(connection) {
  const fingerprints = fingerprintsOf(connection);
  if (!fingerprints) return null;
  if (!globalThis.crypto.subtle) {
    const message = 'the words need crypto.subtle: load the page from https, or from localhost';
    throw new DOMException(message, 'NotSupportedError');
  }
  const [secret, salt] = [fingerprints, SALT].map((text) => new TextEncoder().encode(text));
  const key = await crypto.subtle.importKey('raw', secret, 'PBKDF2', false, ['deriveBits']);
  const how = { name: 'PBKDF2', hash: 'SHA-256', salt, iterations: ITERATIONS };
  const bytes = new Uint8Array(await crypto.subtle.deriveBits(how, key, BITS));
  return [...bytes].map((byte) => WORDS[byte]);
}

/** Returns random words. Each word has 8 random bits. @param {number} count */
export function randomWords(count) {
  return [...crypto.getRandomValues(new Uint8Array(count))].map((byte) => WORDS[byte]);
}

/**
 * Returns both fingerprints of a connection as one text, which is the same on both sides. It changes
 * only with the certificates.
 * @param {RTCPeerConnection} connection
 * @returns {string | null} null as for `verificationWords`
 */
export function fingerprintsOf({
  connectionState,
  currentLocalDescription,
  currentRemoteDescription,
}) {
  const both = [currentLocalDescription, currentRemoteDescription].map(onlyFingerprint);
  if (connectionState !== 'connected' || both.includes(null)) return null;
  return both.sort().join();
}

/** @param {RTCSessionDescription | null} description */
function onlyFingerprint(description) {
  const lines = description?.sdp.match(/^a=fingerprint:.*$/gim) ?? [];
  const [line, ...others] = new Set(lines.map((text) => text.trim().toUpperCase()));
  return others.length === 0 && line?.startsWith('A=FINGERPRINT:SHA-256 ') ? line : null;
}
