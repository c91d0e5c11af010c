// A back end that admits its users to rooms, and removes users for the owner of a room. It has two
// requests, both with HTTP Basic authentication and a JSON body:
//   POST /token   {"room":"demo"}             returns {"token":"…"}
//   POST /remove  {"room":"demo","id":"bob"}  returns {"removed":1}
//
// Set these environment variables, run `npm install jsonwebtoken` and `node token-server.mjs`, and put a
// proxy with HTTPS in front of it:
//   ROOM_SECRET      the secret of the Worker
//   WORKER           the URL of the Worker: https://your-worker.example
//   ORIGIN           the origin of your page: https://game.example
//   PORT (optional)  the port on which the server listens. Default: 8080
import { createHash, timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import jwt from 'jsonwebtoken';

const { ROOM_SECRET, WORKER, ORIGIN, PORT = '8080' } = process.env;
if (!ROOM_SECRET || !WORKER || !ORIGIN) throw new Error('Set ROOM_SECRET, WORKER and ORIGIN.');
const MAX_BODY = 1024; // bytes

// Replace this table with your database. Store passwords as salted hashes, for example of scrypt.
const users = new Map([
  ['ann', { password: 'blue lantern', rooms: new Set(['demo']), owns: new Set(['demo']) }],
  ['bob', { password: 'green kettle', rooms: new Set(['demo']), owns: new Set() }],
]);

// Replace this function with your own login, such as the check of a session cookie.
function login({ authorization = '' }) {
  const basic = /^Basic (.*)$/i.exec(authorization)?.[1] ?? '';
  const [id, ...password] = Buffer.from(basic, 'base64').toString().split(':');
  const user = users.get(id);
  // Hashes have the same length, so the comparison takes the same time for every wrong password.
  const hash = (text) => createHash('sha256').update(text).digest();
  const equal = timingSafeEqual(hash(password.join(':')), hash(user?.password ?? ''));
  return user && equal ? { id, ...user } : undefined;
}

const sign = (claims, expiresIn) => jwt.sign(claims, ROOM_SECRET, { expiresIn });

const routes = {
  '/token'(user, { room }) {
    if (!user.rooms.has(room)) return [403, { error: 'you may not enter this room' }];
    return [200, { token: sign({ room, sub: user.id }, '5m') }];
  },
  async '/remove'(user, { room, id }) {
    if (!user.owns.has(room)) return [403, { error: 'you do not own this room' }];
    users.get(id)?.rooms.delete(room); // The user gets no further token.
    const response = await fetch(`${WORKER}/admin/${encodeURIComponent(room)}/remove`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${sign({ room, admin: true }, '1m')}` },
      body: JSON.stringify({ id }),
      signal: AbortSignal.timeout(10_000),
    });
    if (response.ok) return [200, await response.json()];
    console.error(`the Worker answered ${response.status}: ${await response.text()}`);
    // Only the id comes from the user.
    if (response.status === 400) return [400, { error: 'send the id of a peer' }];
    return [502, { error: 'the request failed' }];
  },
};

async function answer(request) {
  const { method, url, headers } = request;
  if (!Object.hasOwn(routes, url)) return [404, { error: 'there is no such path' }];
  if (method === 'OPTIONS') return [204];
  if (method !== 'POST') return [405, { error: 'use POST' }];
  // Browsers send an Origin with every POST. Other programs send none.
  if (headers.origin && headers.origin !== ORIGIN) return [403, { error: 'wrong origin' }];
  const user = login(headers);
  if (!user) return [401, { error: 'log in' }];
  if (!(headers['content-length'] <= MAX_BODY))
    return [413, { error: `send at most ${MAX_BODY} bytes` }];
  const text = Buffer.concat(await request.toArray()).toString();
  let body;
  try {
    body = JSON.parse(text);
  } catch {}
  if (!body || typeof body !== 'object') return [400, { error: 'the body is not a JSON object' }];
  return routes[url](user, body);
}

const server = http.createServer(async (request, response) => {
  const [status, body] = await answer(request).catch((error) => {
    console.error(error);
    return [502, { error: 'the request failed' }];
  });
  response.writeHead(status, {
    'Access-Control-Allow-Origin': ORIGIN,
    'Access-Control-Allow-Headers': 'Authorization, Content-Type',
    Allow: 'OPTIONS, POST',
    'Cache-Control': 'no-store',
    'Content-Type': 'application/json',
    'WWW-Authenticate': 'Basic realm="rooms"',
  });
  response.end(body && JSON.stringify(body));
});
// Only the proxy on this machine can connect.
server.listen(PORT, '127.0.0.1', () => console.log(`listening on port ${server.address().port}`));
