// @ts-check
/// <reference path="./jsonwebtoken.d.ts" />
/** Signs room tokens, as a back end does. */
import { createHmac } from 'node:crypto';

/** The value of `ROOM_SECRET` in tests. */
export const ROOM_SECRET = 'a secret of more than thirty-two bytes, for the tests';

/**
 * Returns a JWT with these claims. By default, it is signed with HS256 and `ROOM_SECRET`.
 * @param {object} claims
 * @param {{ secret?: string, alg?: string, hash?: string }} [how]
 */
export function sign(claims, { secret = ROOM_SECRET, alg = 'HS256', hash = 'sha256' } = {}) {
  const encode = (/** @type {object} */ part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = `${encode({ alg, typ: 'JWT' })}.${encode(claims)}`;
  const signature = createHmac(hash, secret).update(signed).digest('base64url');
  return `${signed}.${alg === 'none' ? '' : signature}`;
}
