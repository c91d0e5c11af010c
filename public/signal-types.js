// @ts-check
/** The signal types that applications cannot use, because the library or the server uses them. */

export const LEAVING_SERVER = 'leaving'; // the sender leaves the server, but keeps its connections
const RELATION_TYPES = ['request', 'accept', 'decline', 'cancel'];
const LIBRARY_TYPES = ['offer', 'answer', 'candidate', ...RELATION_TYPES, LEAVING_SERVER];
const SERVER_TYPES = ['welcome', 'peer-joined', 'peer-left', 'error'];

/** Whether the library handles the signals of this type. @param {string} type */
export function isLibraryType(type) {
  return LIBRARY_TYPES.includes(type);
}

/** Throws if an application cannot send a signal of this type. @param {string} type */
export function checkSignalType(type) {
  if (!LIBRARY_TYPES.includes(type) && !SERVER_TYPES.includes(type)) return;
  const owner = SERVER_TYPES.includes(type) ? 'the server' : 'the library';
  throw new TypeError(`signal type "${type}" is reserved for ${owner}: choose another type`);
}
