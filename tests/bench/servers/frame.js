// @ts-check
/**
 * Checks and creates native frames for the two JavaScript servers, with the same rules as our
 * Worker.
 */

const RESERVED = ['welcome', 'peer-joined', 'peer-left', 'error'];

/**
 * Parses and checks a frame. Returns the signal, or a message that describes the error.
 * @param {unknown} message
 * @returns {{ signal?: { type: string, to?: string, payload?: unknown }, error: string }}
 */
export function check(message) {
  if (typeof message !== 'string') return { error: 'a binary frame' };
  if (message.length > 65_536) return { error: 'too large' };
  let signal;
  try {
    signal = JSON.parse(message);
  } catch {
    return { error: 'not JSON' };
  }
  if (typeof signal !== 'object' || signal === null || Array.isArray(signal))
    return { error: 'not an object' };
  for (const key in signal) {
    if (key !== 'type' && key !== 'to' && key !== 'payload') return { error: `unknown key ${key}` };
  }
  const { type, to } = signal;
  if (typeof type !== 'string' || type.length < 1 || type.length > 64)
    return { error: 'type is missing or invalid' };
  if (to !== undefined && typeof to !== 'string') return { error: 'to is not a string' };
  if (RESERVED.includes(type)) return { error: `the type "${type}" is reserved for the server` };
  return { signal, error: '' };
}

/** @param {string} code @param {string} message @param {string} [to] */
export function refusal(code, message, to) {
  return JSON.stringify({ type: 'error', code, message, to });
}
