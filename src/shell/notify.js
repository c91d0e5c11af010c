// @ts-check
/** Notifies the device of a live session, through the server that the back end chooses. */

/** The time for one attempt, in milliseconds. */
const TIMEOUT = 5_000;
/** The times before the attempts, in milliseconds. */
const DELAYS = [0, 1_000, 3_000];

/**
 * Returns the URL of a notification. Returns `undefined` if the origin of the server is not allowed.
 *
 * The same parser reads the URL here and in `fetch`. Another parser could find another host in a URL such
 * as `https://allowed.example\@other.example`.
 * @param {string} server the base URL of the server
 * @param {string} origins the allowed origins, separated by spaces
 */
export function notificationUrl(server, origins) {
  const url = parse(server);
  if (!url || !origins.split(' ').includes(url.origin)) return undefined;
  // The origin of a `blob:` URL is the origin of the URL within it.
  if (!url.href.startsWith(url.protocol + '//')) return undefined;
  if (url.username || url.password || /[?#]/.test(url.href)) return undefined;
  return `${url.href.replace(/\/+$/, '')}/notification/create`;
}

/** @param {string} text */
function parse(text) {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/**
 * Sends a notification, again after a failure that may be temporary. Resolves with `status` after a
 * success, and otherwise with the cause of the last failure. Never rejects.
 * @param {string} url
 * @param {string} body
 * @param {string} idempotencyKey
 * @param {string | undefined} signature
 * @param {number} status the status that the promise resolves with after a success
 * @returns {Promise<number | string>}
 */
export async function notify(url, body, idempotencyKey, signature, status) {
  const headers = {
    'Content-Type': 'application/json',
    'Idempotency-Key': idempotencyKey,
    ...(signature === undefined ? {} : { 'X-Signature': signature }),
  };
  let cause = '';
  for (const delay of DELAYS) {
    if (delay) await scheduler.wait(delay);
    const got = await post(url, headers, body);
    if (got >= 200 && got < 300) return status;
    cause = got ? `the server responded with status ${got}` : 'there was no response';
    if (got && got < 500 && got !== 429) break;
  }
  return cause;
}

/**
 * Returns the status of the response, or 0 if there is none.
 * @param {string} url
 * @param {Record<string, string>} headers
 * @param {string} body
 */
async function post(url, headers, body) {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body,
      // A redirect could lead to an origin that is not allowed, so redirects are not followed.
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT),
    });
    response.body?.cancel().catch(() => {});
    return response.status;
  } catch {
    return 0;
  }
}
