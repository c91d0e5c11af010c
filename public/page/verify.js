// @ts-check
/**
 * The dialog with the words that two people compare to find out whether anybody stands between their
 * browsers. The words are computed when a user asks for them, because this takes up to a second.
 */

import { fingerprintsOf, verificationWords } from '../verification.js';
import { byId, createElement, setText } from './dom.js';
import { connectionOf, nameOf } from './roster.js';

/** @import { Peer } from "../room.js" */

const COMPARE_TEXT =
  'Read them to each other, or compare them over another service. Do not use this chat for it. If ' +
  'both of you see the same words in the same order, nobody is listening in. If not, somebody may be ' +
  'between your browsers: leave the room.';
const UNCLEAR_TEXT =
  'This connection cannot be checked: its description does not name exactly one certificate. ' +
  'Somebody may be listening in.';
const INSECURE_TEXT =
  'This page cannot check the connection, because it was not loaded over https. Open it over https.';
const FAILED_TEXT = 'The words could not be computed. Reload the page and try again.';

const dialog = byId('words', HTMLDialogElement);
const list = byId('words-list');
byId('words-close').onclick = () => dialog.close();
dialog.onclose = () => (shown = null);

/** The peer of the open dialog. @type {Peer | null} */
let shown = null;
/**
 * The last words of each connection, and the fingerprints that they were made from.
 * @type {WeakMap<RTCPeerConnection, { fingerprints: string | null, words: Promise<string[] | null> }>}
 */
const computed = new WeakMap();

/** @param {Peer} peer */
export function openVerification(peer) {
  shown = peer;
  setText(byId('words-title'), `Compare these words with ${nameOf(peer)}`);
  list.replaceChildren();
  dialog.showModal();
  updateVerification(peer);
}

/** Updates the dialog after the connection of a peer has changed. @param {Peer} peer */
export async function updateVerification(peer) {
  if (peer !== shown) return;
  const connection = connectionOf(peer);
  if (connection?.connectionState !== 'connected') return show([], 'You are not connected now.');
  const fingerprints = fingerprintsOf(connection);
  let entry = computed.get(connection);
  if (!entry || entry.fingerprints !== fingerprints) {
    entry = { fingerprints, words: verificationWords(connection) };
    computed.set(connection, entry);
    show([], 'Computing the words…');
  }
  const { words, text } = await entry.words.then(
    (words) => ({ words: words ?? [], text: words ? COMPARE_TEXT : UNCLEAR_TEXT }),
    ({ name }) => ({ words: [], text: name === 'NotSupportedError' ? INSECURE_TEXT : FAILED_TEXT }),
  );
  // Another peer may have been chosen, or the connection may have changed, which updates again.
  if (peer === shown && computed.get(connection) === entry && connectionOf(peer) === connection)
    show(words, text);
}

/** @param {string[]} words @param {string} text */
function show(words, text) {
  list.replaceChildren(...words.map((word) => createElement('li', '', word)));
  setText(byId('words-help'), text);
}
