// @ts-check
/**
 * Tests admission: the origins in `ALLOWED_ORIGINS`, tokens signed with `ROOM_SECRET`, and the join
 * limit.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { HttpPeer } from '../support/http-peer.mjs';
import { joinPath, Peer, expectQuiet } from '../support/peer.mjs';
import { all } from '../support/tier.mjs';
import { ROOM_SECRET, sign } from '../support/token.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const LISTED = ['https://game.example', 'http://localhost:8080'];

/** @typedef {'open' | 'origins' | 'tokens' | 'both' | 'limited'} Name */
/** @type {import('../support/workerd.mjs').Workerd<Name>} */
let workerd;
before(async () => {
  workerd = await startWorkerd({
    open: {},
    origins: { ALLOWED_ORIGINS: LISTED.join(',') },
    tokens: { ROOM_SECRET },
    both: { ALLOWED_ORIGINS: LISTED.join(','), ROOM_SECRET },
    limited: {},
  });
});
after(() => workerd?.stop());

describe('origins', () => {
  const ELSEWHERE = [
    'https://evil.example',
    'https://game.example.evil.example',
    'https://evilgame.example',
    'https://sub.game.example',
    'https://game.example:8443',
    'http://game.example',
    'http://localhost',
    'http://localhost:80',
    'http://localhost:80801',
    'https://localhost:8080',
    'https://game.example:443',
    'https://game.example/',
    'https://Game.example',
    'HTTPS://GAME.EXAMPLE',
    'null',
    '*',
    'https://game.example,http://localhost:8080',
  ];

  for (const Origin of ELSEWHERE) {
    test(`every request of a page of ${Origin} is refused`, async () => {
      const server = workerd.at.origins;
      const answers = [
        await server.upgrade(joinPath('guarded', { id: 'eve' }), { Origin }),
        await server.request('/parties/main/guarded', { headers: { Origin } }),
        await server.request('/parties/main/guarded', { headers: { Origin, Accept: 'text/html' } }),
        await server.request('/parties/main/guarded', { headers: { Origin }, method: 'OPTIONS' }),
        await server.request('/health', { headers: { Origin } }),
        await server.request('/register/guarded/eve', { headers: { Origin }, method: 'POST' }),
        await server.request('/message/guarded/eve', {
          headers: { Origin },
          method: 'POST',
          body: '{"type":"x"}',
        }),
        await server.request('/events/guarded/eve', { headers: { Origin } }),
        await server.request('/nothing', { headers: { Origin } }),
      ];
      for (const { status, headers, text } of answers) {
        assert.equal(status, 403);
        assert.equal(headers['content-type'], 'application/json');
        const { code, message, ...rest } = JSON.parse(text).error;
        assert.ok(code && message && Object.keys(rest).length === 0, text);
        assert.equal(
          headers['access-control-allow-origin'],
          undefined,
          'the page must not read the error',
        );
      }
      assert.equal((await server.status('guarded')).peers, 0);
    });
  }

  for (const Origin of LISTED) {
    test(`every request of a page of ${Origin} is accepted`, async () => {
      const server = workerd.at.origins;
      const ann = await Peer.join(server, `listed ${Origin}`, 'ann', { headers: { Origin } });
      const { status, headers } = await server.request('/parties/main/listed', {
        headers: { Origin },
      });
      assert.equal(status, 200);
      assert.equal(headers['access-control-allow-origin'], Origin);
      assert.match(headers.vary ?? '', /\bOrigin\b/i);
      const refused = await server.request('/parties/main/listed?_pk=ann', {
        headers: { Origin, Upgrade: 'h2c' },
      });
      assert.equal(
        refused.headers['access-control-allow-origin'],
        Origin,
        'the page may read the error',
      );
      const asked = await server.request('/parties/main/listed', {
        headers: { Origin },
        method: 'OPTIONS',
      });
      assert.equal(asked.status, 204);
      assert.equal(asked.headers['access-control-allow-origin'], Origin);
      await ann.close(1000);
    });
  }

  test('a client that sends no Origin header is accepted', async () => {
    const ann = await Peer.join(workerd.at.origins, 'no-origin', 'ann');
    await expectQuiet(ann);
  });

  test('a page of any origin is accepted when ALLOWED_ORIGINS is not set', async () => {
    const headers = { Origin: 'https://anything.example' };
    const ann = await Peer.join(workerd.at.open, 'any-origin', 'ann', { headers });
    const answer = await workerd.at.open.request('/parties/main/any-origin', { headers });
    assert.equal(answer.status, 200);
    assert.ok(['*', headers.Origin].includes(answer.headers['access-control-allow-origin'] ?? ''));
    await expectQuiet(ann);
  });
});

describe('tokens', () => {
  const soon = () => Math.floor(Date.now() / 1000) + 600;
  /** Returns a valid token. @param {string} room */
  const pass = (room) => sign({ exp: soon(), room });

  /**
   * Asserts that a join as ann is refused with `unauthorized`.
   * @param {string} room
   * @param {import('../support/peer.mjs').Join} join
   */
  async function isUnauthorized(room, join) {
    const ann = await Peer.connect(workerd.at.tokens, room, { id: 'ann', ...join });
    await ann.receivesError('unauthorized');
    await ann.isClosed(4010, 'unauthorized');
  }

  /**
   * Returns one join request for each place in which a client can pass a token.
   * @param {string} token
   * @returns {import('../support/peer.mjs').Join[]}
   */
  const places = (token) => [
    { token },
    { headers: { Authorization: `Bearer ${token}` } },
    { headers: { Authorization: `bearer ${token}` } },
    { protocols: ['partyline', `token.${token}`] },
    { protocols: [`token.${token}`, 'partyline'] },
  ];

  /** @type {Record<string, (room: string) => object>} */
  const valid = {
    'for this room': (room) => ({ exp: soon(), room }),
    'for any room': () => ({ exp: soon(), room: '*' }),
    'for this room and peer': (room) => ({ exp: soon(), room, sub: 'ann' }),
    'with nbf in the past': (room) => ({ exp: soon() + 0.5, nbf: soon() - 601.5, room }),
    'of a clock that is 30 s ahead': (room) => ({ exp: soon(), nbf: soon() - 570, room }),
    'with unknown claims': (room) => ({
      exp: soon(),
      room,
      iss: 'shop',
      aud: 'call',
      iat: 1,
      role: { host: true },
    }),
  };
  for (const [name, claims] of Object.entries(valid)) {
    test(`a token ${name} is accepted in every place`, async () => {
      const room = `valid ${name}`;
      const token = sign(claims(room));
      for (const place of places(token)) {
        const ann = await Peer.join(workerd.at.tokens, room, 'ann', place);
        assert.equal(
          ann.socket.protocol,
          place.protocols ? 'partyline' : '',
          'the response does not repeat the token',
        );
        await ann.close(1000);
      }
    });
  }

  /** @type {Record<string, (room: string) => string>} */
  const invalid = {
    'that is empty': () => '',
    'that is no JWT': () => 'open-sesame',
    'of two dots': () => '..',
    'that has expired': (room) => sign({ exp: soon() - 1200, room }),
    'without an expiry': (room) => sign({ room }),
    'whose expiry is text': (room) => sign({ exp: `${soon()}`, room }),
    'for another room': () => sign({ exp: soon(), room: 'another' }),
    'for a longer room name': (room) => sign({ exp: soon(), room: `${room}s` }),
    'for a shorter room name': (room) => sign({ exp: soon(), room: room.slice(0, -1) }),
    'for no room': () => sign({ exp: soon() }),
    'for an array of rooms': (room) => sign({ exp: soon(), room: [room] }),
    'for another id': (room) => sign({ exp: soon(), room, sub: 'bob' }),
    'that is not valid yet': (room) => sign({ exp: soon(), nbf: soon() - 60, room }),
    'signed with another secret': (room) =>
      sign({ exp: soon(), room }, { secret: `${ROOM_SECRET}.` }),
    'that is not signed': (room) => sign({ exp: soon(), room }, { alg: 'none' }),
    'signed with HS512': (room) => sign({ exp: soon(), room }, { alg: 'HS512', hash: 'sha512' }),
    'with the algorithm RS256 in its header': (room) =>
      sign({ exp: soon(), room }, { alg: 'RS256' }),
    'with one bit of its signature changed': (room) => {
      const [head, claims, signature] = sign({ exp: soon(), room }).split('.');
      const bytes = Buffer.from(signature, 'base64url');
      bytes[0] ^= 1;
      return [head, claims, bytes.toString('base64url')].join('.');
    },
    'with half of its signature': (room) => sign({ exp: soon(), room }).slice(0, -22),
    'whose claims were changed': (room) => {
      const [head, , signature] = sign({ exp: soon(), room: 'another' }).split('.');
      return [head, sign({ exp: soon(), room }).split('.')[1], signature].join('.');
    },
  };
  test('a join without a token is refused with an error frame', async () => {
    await isUnauthorized('no token', {});
    await isUnauthorized('no token', { protocols: ['partyline'] });
    await isUnauthorized('no token', { headers: { Authorization: 'Basic YW5uOmJvYg==' } });
  });

  for (const [index, [name, token]] of Object.entries(invalid).entries()) {
    test(`a token ${name} is refused`, async () => {
      const room = `invalid ${name}`;
      const [inQuery, ...others] = places(token(room));
      await isUnauthorized(room, inQuery);
      // Only the query can contain an empty token, because libraries reject an empty subprotocol.
      // The default tier tries one of the other places for each token.
      const tried = all ? others : [others[index % others.length]];
      if (token(room)) for (const place of tried) await isUnauthorized(room, place);
      assert.equal((await workerd.at.tokens.status(room, pass(room))).peers, 0);
    });
  }

  /** Returns an expired token. @param {string} room @param {object} [claims] */
  const expired = (room, claims) => sign({ exp: soon() - 1200, room, ...claims });

  for (const dialect of ['native', 'forum', 'lobby'])
    test(`an expired token and the key of a seat readmit a ${dialect} client to it`, async () => {
      const room = `expired ${dialect}`;
      const key = 'secret of ann';
      const first = await Peer.join(workerd.at.tokens, room, 'ann', {
        token: sign({ exp: soon(), room }),
        key,
      });
      const bob = await Peer.join(workerd.at.tokens, room, 'bob', {
        token: sign({ exp: soon(), room }),
      });
      await first.receives({ type: 'peer-joined', id: 'bob', polite: true });
      const back = await Peer.connect(workerd.at.tokens, room, {
        id: 'ann',
        key,
        dialect,
        token: expired(room, { sub: 'ann' }),
      });
      await first.isClosed(4001, 'replaced');
      bob.send({ type: 'hello', to: 'ann', payload: 1 });
      assert.ok(await back.next(), 'the first frame of the dialect');
      // An absent peer keeps its seat for a while.
      await back.cut();
      const again = await Peer.connect(workerd.at.tokens, room, {
        id: 'ann',
        protocols: ['partyline', `key.${Buffer.from(key).toString('base64url')}`],
        headers: { Authorization: `Bearer ${expired('*')}` },
      });
      const peers = [{ id: 'bob', polite: true }];
      await again.receives({ type: 'welcome', id: 'ann', room, peers });
      await expectQuiet(bob);
    });

  test('an expired token is refused without the key of a seat', async () => {
    const room = 'expired';
    const token = expired(room);
    const key = 'secret of bob';
    const valid = sign({ exp: soon(), room });
    const bob = await Peer.join(workerd.at.tokens, room, 'bob', { token: valid, key });
    const dan = await Peer.join(workerd.at.tokens, room, 'dan', { token: valid });
    await bob.receives({ type: 'peer-joined', id: 'dan', polite: true });
    for (const join of [
      { id: 'bob', token },
      { id: 'bob', token, key: 'guess' },
      { id: undefined, token, key },
      { id: 'ann', token, key },
      { id: 'dan', token },
      { id: 'dan', token, key },
      { id: 'bob', token: expired(room, { sub: 'ann' }), key },
      { id: 'bob', token: expired('another'), key },
      { id: 'bob', token: sign({ exp: soon() - 1200, room }, { secret: 'x'.repeat(32) }), key },
    ])
      await isUnauthorized(room, join);
    const eve = await Peer.connect(workerd.at.tokens, room, { id: 'eve', token, key });
    const message = await eve.receivesError('unauthorized');
    assert.match(message, /^the token has expired: `exp` is \d+, expected more than/);
    await bob.close(1000);
    await dan.receives({ type: 'peer-left', id: 'bob' });
    await isUnauthorized(room, { id: 'bob', token, key });
    await expectQuiet(dan);
  });

  test('a token of 60 KB is refused', () => isUnauthorized('long', { token: 'x'.repeat(60_000) }));

  test('a join with two tokens is refused, even if both are valid', async () => {
    const token = sign({ exp: soon(), room: 'two' });
    const [query, header, , protocol] = places(token);
    await isUnauthorized('two', { ...query, ...header });
    await isUnauthorized('two', { ...query, ...protocol });
    await isUnauthorized('two', { ...header, ...protocol });
    await isUnauthorized('two', { token: 'a wrong one', ...header });
    await isUnauthorized('two', { protocols: ['partyline', `token.${token}`, 'token.x'] });
    await isUnauthorized('two', { token: [token, token] });
    const path = `/register/two/ann?token=${token}`;
    const register = async (/** @type {string} */ path) =>
      (await workerd.at.tokens.request(path, { method: 'POST' })).status;
    assert.equal(await register(`${path}&token=${token}`), 401);
    assert.equal(await register(path), 200);
  });

  test('a token for one id is refused when the join has another id or no id', async () => {
    const token = sign({ exp: soon(), room: 'sub', sub: 'ann' });
    await isUnauthorized('sub', { token, id: 'bob' });
    await isUnauthorized('sub', { token, id: 'Ann' });
    await isUnauthorized('sub', { token, id: undefined });
  });

  test('a refused join gets a subprotocol, because browsers otherwise deliver no error frame', async () => {
    const protocols = ['partyline', 'token.a.b.c'];
    const ann = await Peer.connect(workerd.at.tokens, 'chosen', { id: 'ann', protocols });
    assert.equal(ann.socket.protocol, 'partyline');
    await ann.receivesError('unauthorized');
    await ann.isClosed(4010, 'unauthorized');
  });

  test('a token for a room of any name is accepted', async () => {
    for (const room of ['a b', 'ä/€', '🎉', '**']) {
      const ann = await Peer.join(workerd.at.tokens, room, 'ann', {
        token: sign({ exp: soon(), room }),
      });
      await ann.close(1000);
    }
  });

  test('a refused join sends no frame to the peers in the room', async () => {
    const room = 'undisturbed';
    const bob = await Peer.join(workerd.at.tokens, room, 'bob', {
      token: sign({ exp: soon(), room }),
    });
    await isUnauthorized(room, {});
    await isUnauthorized(room, { id: 'bob' });
    assert.ok(bob.open);
    await expectQuiet(bob);
  });

  test('a wrong key is refused despite a valid token', async () => {
    const room = 'token and key';
    const token = sign({ exp: soon(), room });
    await Peer.join(workerd.at.tokens, room, 'ann', { token, key: 'secret of ann' });
    const eve = await Peer.connect(workerd.at.tokens, room, { id: 'ann', token, key: 'guess' });
    await eve.receivesError('id-taken');
    await eve.isClosed(4009, 'id-taken');
  });

  test('a key in a subprotocol protects an id, like the same key in the query', async () => {
    const room = 'key as subprotocol';
    const subprotocol = (/** @type {string} */ key) =>
      `key.${Buffer.from(key).toString('base64url')}`;
    const token = sign({ exp: soon(), room });
    const protocols = ['partyline', `token.${token}`, subprotocol('ä secret of ann')];
    const first = await Peer.join(workerd.at.tokens, room, 'ann', { protocols });
    assert.equal(first.socket.protocol, 'partyline', 'the response does not repeat the key');
    for (const guess of [{ key: 'guess' }, { protocols: ['partyline', subprotocol('guess')] }]) {
      const headers = { Authorization: `Bearer ${token}` };
      const eve = await Peer.connect(workerd.at.tokens, room, { id: 'ann', headers, ...guess });
      await eve.receivesError('id-taken');
      await eve.isClosed(4009, 'id-taken');
    }
    await Peer.join(workerd.at.tokens, room, 'ann', { token, key: 'ä secret of ann' });
    await first.isClosed(4001, 'replaced');
  });

  test('a join with two keys is refused, even if both are equal', async () => {
    const twice = {
      'key=k': 'partyline, key.aw',
      'key=k&key=k': 'partyline',
      '': 'partyline, key.aw, key.aw',
    };
    for (const [query, protocols] of Object.entries(twice)) {
      const path = `/parties/main/two-keys?_pk=ann&${query}`;
      const headers = { 'Sec-WebSocket-Protocol': protocols };
      const { status, text } = await workerd.at.open.upgrade(path, headers);
      assert.deepEqual([status, JSON.parse(text).error.code], [400, 'bad-key'], query);
    }
    const register = '/register/two-keys/ann?key=k&key=k';
    assert.equal((await workerd.at.open.request(register, { method: 'POST' })).status, 400);
  });

  test('/health and the status of a room are served without a token', async () => {
    for (const path of ['/health', '/parties/main/asked'])
      for (const Accept of ['*/*', 'text/html'])
        assert.equal(
          (await workerd.at.tokens.request(path, { headers: { Accept } })).status,
          200,
          path,
        );
  });

  test('a join needs a listed origin and a token when both settings are set', async () => {
    const { both } = workerd.at;
    const token = sign({ exp: soon(), room: 'both' });
    const elsewhere = await both.upgrade(joinPath('both', { token }), {
      Origin: 'https://evil.example',
    });
    assert.equal(elsewhere.status, 403);
    const headers = { Origin: LISTED[0] };
    const eve = await Peer.connect(both, 'both', { id: 'eve', headers });
    await eve.receivesError('unauthorized');
    await eve.isClosed(4010, 'unauthorized');
    const ann = await Peer.join(both, 'both', 'ann', { token, headers });
    await ann.close(1000);
  });

  test('a token is ignored when ROOM_SECRET is not set', async () => {
    const ann = await Peer.join(workerd.at.open, 'no-secret', 'ann', { token: 'open sesame' });
    const bob = await Peer.join(workerd.at.open, 'no-secret', 'bob', {
      protocols: ['partyline', 'token.x'],
    });
    assert.equal(bob.socket.protocol, 'partyline');
    await ann.receives({ type: 'peer-joined', id: 'bob', polite: true });
    await expectQuiet(ann, bob);
  });

  describe('over HTTP', () => {
    /** Registers bob with a token, and returns the token and bob's key. @param {string} room */
    async function registered(room) {
      const token = sign({ exp: soon(), room, sub: 'bob' });
      const bob = new HttpPeer(workerd.at.tokens, room, 'bob', {
        headers: { Authorization: `Bearer ${token}` },
      });
      const { status, text } = await bob.register();
      assert.equal(status, 200, text);
      return { token, key: JSON.parse(text).key };
    }

    /** Sends one request of each type. @param {HttpPeer} peer */
    async function requests(peer) {
      const response = await peer.request();
      const body = (await response.toArray()).join('');
      const opened = { status: response.statusCode, headers: response.headers, text: body };
      return [await peer.register(), await peer.post({ type: 'x', target: 'bob' }), opened];
    }

    test('a registered peer is accepted with its token, its key or both', async () => {
      const room = 'http tokens';
      const { token, key } = await registered(room);
      for (const who of [
        { token },
        { key },
        { headers: { Authorization: `Bearer ${token}` }, key },
      ]) {
        const bob = new HttpPeer(workerd.at.tokens, room, 'bob', who);
        await bob.open();
        await bob.sends({ type: 'x', target: 'bob' });
        await bob.receives('{"type":"x","payload":null,"senderId":"bob"}');
        bob.stream?.cut();
      }
    });

    for (const [name, token] of Object.entries(invalid))
      test(`a client cannot register, listen or post with a token ${name}`, async () => {
        const room = `http ${name}`;
        const made = token(room);
        if (!made) return;
        const eve = new HttpPeer(workerd.at.tokens, room, 'ann', { token: made });
        for (const { status, headers, text } of await requests(eve)) {
          assert.equal(status, 401, text);
          assert.equal(JSON.parse(text).error.code, 'unauthorized');
          assert.equal(headers['www-authenticate'], 'Bearer');
        }
        assert.equal((await workerd.at.tokens.status(room, pass(room))).peers, 0);
      });
  });
});

describe('forged frames', () => {
  test('reserved types and forged senders are refused in every dialect', async () => {
    const { open } = workerd.at;
    const room = 'imitations';
    const ann = await Peer.join(open, room, 'ann');
    const eve = await Peer.join(open, room, 'eve');
    await ann.receives({ type: 'peer-joined', id: 'eve', polite: true });
    for (const type of ['welcome', 'peer-joined', 'peer-left', 'error']) {
      eve.send({ type, to: 'ann', payload: { id: 'bob' } });
      await eve.receivesError('reserved-type');
    }
    eve.send({ type: 'offer', to: 'ann', from: 'bob', payload: 1 });
    await eve.receivesError('malformed');
    eve.send({ type: 'offer', to: 'ann', id: 'bob', payload: 1 });
    await eve.receivesError('malformed');

    const lobby = await Peer.connect(open, room, { id: 'lob', dialect: 'lobby' });
    for (let n = 0; n < 3; n += 1) await lobby.next();
    for (const peer of [ann, eve])
      await peer.receives({ type: 'peer-joined', id: 'lob', polite: true });
    lobby.send({ toId: 'ann', fromId: 'eve', offer: 1 });
    assert.equal(JSON.parse(await lobby.next()).code, 'malformed');
    lobby.send({ toId: 'lob', fromId: 'lob', kind: 'disconnected' });
    assert.equal(JSON.parse(await lobby.next()).code, 'reserved-type');

    const forum = await Peer.connect(open, room, { id: 'foz', dialect: 'forum' });
    await forum.next();
    for (const peer of [ann, eve])
      await peer.receives({ type: 'peer-joined', id: 'foz', polite: true });
    await lobby.next();
    forum.send({ action: 'forward-offer', offer: 1, toPeerId: 'ann', fromPeerId: 'eve' });
    assert.equal(JSON.parse(await forum.next()).code, 'malformed');
    forum.send({ action: 'forward-error', error: 1, toPeerId: 'ann' });
    assert.equal(JSON.parse(await forum.next()).code, 'reserved-type');

    const device = await HttpPeer.join(open, room, 'dev');
    for (const peer of [ann, eve])
      await peer.receives({ type: 'peer-joined', id: 'dev', polite: true });
    await lobby.next();
    for (const [body, code] of /** @type {const} */ ([
      [{ type: 'offer', target: 'ann', senderId: 'eve' }, 'malformed'],
      [{ type: 'peer-left', target: 'ann', payload: 1 }, 'reserved-type'],
    ])) {
      const { status, text } = await device.post(body);
      assert.deepEqual([status, JSON.parse(text).error.code], [400, code]);
    }
    // The other peers have received no frame because of these attempts.
    await expectQuiet(ann, eve, lobby, forum);
    assert.deepEqual(device.stream?.unread, []);
  });
});

describe('join limit of an address', () => {
  /** @param {string} address @returns {Record<string, string>} */
  const from = (address) => ({ 'CF-Connecting-IP': address });

  test('joins of an address are refused after 600 in a minute, and joins of other addresses are not', async () => {
    const server = workerd.at.limited;
    const { upgrade } = server;
    // All joins use one room and one id to keep the test fast. The one-minute window of the rate
    // limit may end during the test, so the limit may apply only after more than 600 joins.
    const join = () =>
      upgrade.call(server, joinPath('limited', { id: 'ann' }), from('203.0.113.7'));
    let joins = 0;
    for (let refused = false; !refused && joins < 1_800; joins += 20) {
      await Promise.all(Array.from({ length: 20 }, join));
      const bob = new HttpPeer(server, 'limited too', 'bob', { headers: from('203.0.113.7') });
      refused = (await bob.register()).status === 429;
    }
    assert.ok(joins >= 560, `the limit applied after ${joins} joins`);
    const bob = new HttpPeer(server, 'limited too', 'bob', { headers: from('203.0.113.7') });
    const answer = await bob.register();
    assert.equal(answer.status, 429);
    assert.equal(JSON.parse(answer.text).error.code, 'too-fast');
    assert.ok(Number(answer.headers['retry-after']) > 0);
    assert.equal((await bob.request()).statusCode, 429, 'a stream');
    const ann = await Peer.connect(server, 'limited', { id: 'ann', headers: from('203.0.113.7') });
    await ann.receivesError('too-fast');
    await ann.isClosed(4008, 'too-fast');
    const eve = await Peer.join(server, 'limited too', 'eve', { headers: from('203.0.113.8') });
    await expectQuiet(eve);
  });
});
