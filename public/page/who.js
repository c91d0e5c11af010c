// @ts-check
/**
 * Who we are: an id with its key, kept for the tab, so that a reload comes back as the same person.
 *
 * A duplicated tab has a copy. The lock that the first tab holds shows it, and the copy becomes a
 * person of its own instead of throwing the first one out.
 */

/** @typedef {{ id: string, key: string, name: string, token?: string }} Who */

const CONSONANTS = 'bdfghjklmnprstvz';
const LOCK_WITHIN = 1_000; // a page that is reloaded lets go of its lock a moment late

/** Random, and can be read out. A syllable has 6 bits. @param {number} words @param {number} syllables */
export function readable(words, syllables) {
  const word = () =>
    Array.from(
      crypto.getRandomValues(new Uint8Array(syllables)),
      (byte) => CONSONANTS[byte & 15] + 'aiou'[(byte >> 4) & 3],
    ).join('');
  return Array.from({ length: words }, word).join('-');
}

/**
 * Takes `id`, `name` and `token` out of the address, which people copy and send to others.
 * @param {string} place the room, as it tells this one from others
 * @param {URLSearchParams} query
 * @returns {Promise<Who>}
 */
export async function whoWeAre(place, query) {
  const slot = `partyline ${place}`;
  const kept = read(slot);
  const given = Object.fromEntries(['id', 'name', 'token'].map((key) => [key, query.get(key)]));
  const known = kept !== null && (!given.id || given.id === kept.id);
  const same = known && (await claim(`${slot} ${kept.id}`));
  const who = {
    id: given.id || (same ? kept.id : readable(2, 2)),
    key: same ? kept.key : readable(1, 22),
    name: tidy(given.name ?? kept?.name ?? ''),
    token: given.token ?? kept?.token,
  };
  if (!same) claim(`${slot} ${who.id}`);
  write(slot, who);
  for (const key of Object.keys(given)) query.delete(key);
  history.replaceState(null, '', `?${query}${location.hash}`);
  return who;
}

/** Lets go of an id that somebody else has. @param {string} place */
export function forgetWho(place) {
  write(`partyline ${place}`, null);
}

/** A name as it can be shown. @param {unknown} name */
export function tidy(name) {
  return (typeof name === 'string' ? name : '')
    .replace(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, 40);
}

/** Whether no other tab is this one. @param {string} lock */
function claim(lock) {
  return new Promise((resolve) => {
    // They are for secure contexts only. Elsewhere the newest tab takes over, and the other says so.
    if (!navigator.locks) return resolve(true);
    const hold = () => {
      resolve(true);
      return new Promise(() => {}); // for as long as this page lives
    };
    const signal = AbortSignal.timeout(LOCK_WITHIN);
    navigator.locks.request(lock, { signal }, hold).catch(() => resolve(false));
  });
}

/** @param {string} slot @returns {Who | null} */
function read(slot) {
  try {
    return JSON.parse(sessionStorage.getItem(slot) ?? 'null');
  } catch {
    return null;
  }
}

/** @param {string} slot @param {Who | null} who */
function write(slot, who) {
  try {
    sessionStorage.setItem(slot, JSON.stringify(who));
  } catch {
    // Storage is blocked, or full: a reload is somebody new.
  }
}
