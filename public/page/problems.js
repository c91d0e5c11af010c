// @ts-check
/** What went wrong, and what to do about it. A problem stays until it is over or put away. */

import { button, html, make, setText } from './dom.js';

/** @type {Map<string, HTMLElement>} */
const shown = new Map();

/** What a close code means for the one who reads it; `again` says when the next try is. */
const CLOSED = /** @type {Record<number, (again: string, message: string) => string>} */ ({
  1000: () => 'You have left the room.',
  1009: () => 'What this page sent was too large for the server.',
  4001: () =>
    'Another tab or window has taken your place. Reload to take it back.',
  4003: (again) => `The room is full. Wait until somebody leaves, or open another one. ${again}`,
  4008: (again) => `This page sent too much at once. ${again}`,
  4009: () => 'This name is taken: somebody else in the room has it. Join with another.',
  4010: (_, message) =>
    `You may not enter this room${message && `: ${message}`}. ` +
    'Ask whoever invited you for a new link.',
});

/** What to do when a device cannot be had; by the name of the error. */
const DEVICE = /** @type {Record<string, (what: string) => string>} */ ({
  NotAllowedError: (what) =>
    `The browser was not allowed to use the ${what}. ` +
    'Allow it with the sign beside the address, then press the button again.',
  NotFoundError: (what) => `No ${what} was found. Plug one in, then press the button again.`,
  NotReadableError: (what) => `The ${what} is in use by another program. Close it there, then try again.`,
});

/**
 * @param {string} key one problem at a time for each
 * @param {string} words
 * @param {...Node} remedies buttons and links
 */
export function showProblem(key, words, ...remedies) {
  let row = shown.get(key);
  if (!row) {
    const away = button('Dismiss', () => clearProblem(key));
    row = make('div', 'problem', make('p'), away);
    shown.set(key, row);
    away.before(...remedies);
    html('problems').append(row);
  }
  setText(/** @type {Element} */ (row.firstElementChild), words);
}

/** @param {string} key */
export function clearProblem(key) {
  shown.get(key)?.remove();
  shown.delete(key);
}

/** @param {string} words @param {string} href */
export function remedy(words, href) {
  const link = make('a', 'button quiet', words);
  link.href = href;
  return link;
}

/** @param {number} code @param {string} message @param {number | null} [retryIn] */
export function closeWords(code, message, retryIn = null) {
  const again =
    retryIn === null ? '' : `Trying again in ${Math.max(1, Math.round(retryIn / 1000))} s.`;
  return CLOSED[code]?.(again, message) ?? `The server does not answer. ${again}`;
}

/** @param {string} what @param {unknown} error */
export function deviceWords(what, error) {
  if (!navigator.mediaDevices) {
    return `The ${what} can be used over https and on localhost only. Open this page there.`;
  }
  const { name, message } = /** @type {Error} */ (error);
  return DEVICE[name]?.(what) ?? `The ${what} cannot be used: ${message}`;
}
