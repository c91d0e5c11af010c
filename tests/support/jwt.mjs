// @ts-check
/** Signs tokens with two JWT libraries that back ends use. */
import { SignJWT } from 'jose';
// @ts-expect-error the package has no types
import jsonwebtoken from 'jsonwebtoken';
import { ROOM_SECRET } from './token.mjs';

/** Returns the time in ten minutes, in seconds since 1970. */
export const soon = () => Math.floor(Date.now() / 1000) + 600;

/**
 * Signs a token with `jsonwebtoken`. By default, it is valid for ten minutes.
 * @param {object} claims
 * @param {string} [secret]
 * @returns {string}
 */
export const mint = (claims, secret = ROOM_SECRET) =>
  jsonwebtoken.sign({ exp: soon(), ...claims }, secret);

/**
 * Signs a token with `jose`. By default, it is valid for ten minutes.
 * @param {object} claims
 * @returns {Promise<string>}
 */
export const mintWithJose = (claims) =>
  new SignJWT({ exp: soon(), ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(ROOM_SECRET));
