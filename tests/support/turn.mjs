// @ts-check
/** TURN services for tests: a real coturn server, and a fake of Cloudflare's TURN API. */
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { coturnPath } from '../../scripts/coturn.mjs';
import { Deployed } from './workerd.mjs';

/**
 * A coturn process on a free loopback port, with the configuration of docs/turn.md. It uses the same
 * secret as the Worker. Its relay addresses are on 127.0.0.1, so peers may use this address only.
 */
export class Coturn {
  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {number} port
   * @param {string} folder
   */
  constructor(child, port, folder) {
    this.child = child;
    this.folder = folder;
    this.port = port;
    this.url = `turn:127.0.0.1:${port}?transport=udp`;
    this.stun = `stun:127.0.0.1:${port}`;
  }

  /** @param {string} secret */
  static async start(secret) {
    const port = await freePort();
    const program = coturnPath();
    if (!program) throw new Error('turnserver (coturn) is not installed. `npm test` installs it.');
    const folder = await mkdtemp(join(tmpdir(), 'partyline-turn-'));
    const config = join(folder, 'turnserver.conf');
    await writeFile(config, (await documentedConfig()).replace('a-long-random-text', secret));
    const args =
      `-c ${config} -v --allowed-peer-ip=127.0.0.1 ` +
      `--listening-ip=127.0.0.1 --relay-ip=127.0.0.1 --listening-port=${port} ` +
      '--allow-loopback-peers --no-tls --no-dtls --no-cli --no-rfc5780 ' +
      `--log-file=stdout --simple-log --pidfile=${folder}/pid --userdb=${folder}/db`;
    const child = spawn(program, args.split(' '), { stdio: ['ignore', 'pipe', 'pipe'] });
    const killed = () => child.kill('SIGKILL');
    process.once('exit', killed);
    let output = '';
    await new Promise((resolve, reject) => {
      /** @param {Buffer} text */
      const read = (text) => {
        output += text;
        if (output.includes(`UDP listener opened on: 127.0.0.1:${port}`)) resolve(undefined);
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`turnserver exited with ${code}:\n${output}`)));
    });
    child.once('exit', () => process.off('exit', killed));
    return new Coturn(child, port, folder);
  }

  /**
   * Asks the server to relay to an address, with coturn's own client. Returns the output of the
   * client, which ends with the refusal.
   * @param {string} secret
   * @param {string} address
   */
  async refusal(secret, address) {
    const client = join(dirname(coturnPath() ?? ''), 'turnutils_uclient');
    const args = `-c -n 1 -u eve -W ${secret} -p ${this.port} -e ${address} 127.0.0.1`.split(' ');
    // The client of an allowed address waits for an answer of its peer, which does not come.
    const child = spawn(client, args, { timeout: 10_000, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (/** @type {Buffer} */ text) => (output += text));
    await once(child, 'close');
    return output.trim();
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await exited;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Returns the configuration that docs/turn.md recommends. */
async function documentedConfig() {
  const page = await readFile(new URL('../../docs/turn.md', import.meta.url), 'utf8');
  const block = page.split('\n```\n').find((text) => text.startsWith('use-auth-secret\n'));
  if (!block) throw new Error('docs/turn.md has no configuration of coturn');
  return `${block}\n`;
}

/** Returns a UDP port that is currently free. */
async function freePort() {
  const socket = dgram.createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  const closed = once(socket, 'close');
  socket.close();
  await closed;
  return port;
}

/** An entry for `iceServers` with credentials, in the form that Cloudflare's API returns. */
export const RELAY = {
  urls: ['turn:t.example:3478?transport=udp'],
  username: 'u',
  credential: 'c',
};
/** The body of a successful response of Cloudflare's API. */
export const CREDENTIALS = { iceServers: [{ urls: ['stun:theirs.example'] }, RELAY] };

/**
 * A fake of Cloudflare's TURN API. It records each request, and chooses the response by the TURN
 * key id in the path.
 */
export class FakeTurnApi {
  /**
   * @type {{ method?: string, url?: string, headers: http.IncomingHttpHeaders, body: string }[]}
   */
  requests = [];

  /** @param {Record<string, (response: http.ServerResponse) => void>} answers by TURN key id */
  constructor(answers) {
    this.server = http.createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) body += chunk;
      const { method, url, headers } = request;
      this.requests.push({ method, url, headers, body });
      // Tests of timeouts use an unknown key id, for which there is no response.
      answers[(url ?? '').split('/')[4]]?.(response);
    });
  }

  async start() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.server.address());
    return `http://127.0.0.1:${port}/v1`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** The Worker with a coturn server, for which every client gets credentials. */
export class DeployedWithTurn {
  /** @type {Coturn | undefined} */
  #coturn;
  /** @type {Deployed | undefined} */
  #deployed;

  get origin() {
    return this.#deployed?.origin ?? '';
  }

  async start() {
    const secret = 'what-coturn-knows-too';
    this.#coturn = await Coturn.start(secret);
    const { stun, url } = this.#coturn;
    const turn = { TURN_URLS: url, TURN_SECRET: secret, TURN_OPEN: 'true' };
    this.#deployed = new Deployed({ STUN_URLS: stun, ...turn });
    await this.#deployed.start();
  }

  async stop() {
    await Promise.all([this.#coturn?.stop(), this.#deployed?.stop()]);
  }
}
