// @ts-check
/**
 * A bad network between browsers and the server, and between the browsers: delay, loss, and changes of
 * the address of a device.
 *
 * Each page connects through its own `Access`, which forwards its WebSocket. It replaces the address in
 * each candidate of the page by the address of a UDP relay, so that all packets between two browsers pass
 * through relays.
 */
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';

/**
 * The steps of a connection setup at which a test can disturb the network. A description or a candidate
 * counts when its sender has sent it, `ice` and `dtls` at the first packet of their kind.
 * @typedef {'welcome' | 'offer' | 'answer' | 'candidate' | 'ice' | 'dtls'} Step
 *
 * `delay`: in one direction, in milliseconds. `loss`: the fraction of packets.
 * @typedef {{ delay?: number, loss?: number }} Quality
 */

/** The time after which TCP repeats a lost segment, in milliseconds (RFC 6298 §2.4: at least 1 s). */
const RETRANSMISSION = 1_000;

export class BadNetwork {
  #accesses = /** @type {Access[]} */ ([]);

  /** @param {Quality} [quality] */
  constructor({ delay = 0, loss = 0 } = {}) {
    this.delay = delay;
    this.loss = loss;
  }

  /** Whether the next packet is lost. */
  isLost() {
    return Math.random() < this.loss;
  }

  /** Whether the address belongs to a device that has left it. @param {string} address */
  isOld(address) {
    return this.#accesses.some((access) => access.old.has(address));
  }

  /** Returns the access of a new page. @param {{ port: number }} server */
  async connect(server) {
    const access = new Access(this, server.port);
    this.#accesses.push(access);
    await access.start();
    return access;
  }

  stop() {
    for (const access of this.#accesses) access.stop();
  }
}

/** The network access of one page. */
export class Access extends EventEmitter {
  /** The addresses (`ip:port`) that the device had before it changed its network. */
  old = new Set();
  #network;
  #port;
  #server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    // The library offers `partyline` first.
    handleProtocols: (protocols) => [...protocols][0],
  });
  /** @type {Set<WebSocket>} */
  #sockets = new Set();
  /** The relay of each address of this page. @type {Map<string, Relay>} */
  #relays = new Map();
  /** The ICE user name fragments of candidates that were gathered before the last change. */
  #oldFragments = new Set();
  #fragments = new Set();

  /** @param {BadNetwork} network @param {number} port the port of the server */
  constructor(network, port) {
    super();
    this.#network = network;
    this.#port = port;
    this.#server.on('connection', (near, { url, headers }) => {
      const protocols = String(headers['sec-websocket-protocol']).split(/, ?/);
      const far = new WebSocket(`ws://127.0.0.1:${this.#port}${url}`, protocols);
      this.#forward(near, far, (text) => this.#rewriteFrame(text));
      this.#forward(far, near, (text) => this.#observe(text));
    });
  }

  async start() {
    if (!this.#server.address()) await once(this.#server, 'listening');
  }

  /** The option `host` of the room. */
  get host() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    return `127.0.0.1:${port}`;
  }

  /**
   * Moves the device to another network: its WebSocket breaks, its old addresses get no packet and send
   * none, and new addresses work.
   */
  change() {
    for (const address of this.#relays.keys()) this.old.add(address);
    for (const fragment of this.#fragments) this.#oldFragments.add(fragment);
    for (const socket of this.#sockets) socket.terminate();
  }

  /** Calls `change` at a step, once. @param {Step} step */
  changeAt(step) {
    this.once(step, () => this.change());
  }

  stop() {
    for (const socket of this.#sockets) socket.terminate();
    for (const relay of this.#relays.values()) relay.stop();
    this.#server.close();
  }

  /**
   * @param {WebSocket} from
   * @param {WebSocket} to
   * @param {(text: string) => string | Promise<string>} rewrite
   */
  #forward(from, to, rewrite) {
    const { delay } = this.#network;
    /** @type {Promise<unknown>} */
    let order = to.readyState === WebSocket.OPEN ? Promise.resolve() : once(to, 'open');
    // Both sides of a broken connection break.
    const fail = () => [from, to].forEach((socket) => socket.terminate());
    this.#sockets.add(from);
    from.on('error', fail);
    const later = (/** @type {() => unknown} */ action) => {
      const lag = wait(delay + (this.#network.isLost() ? RETRANSMISSION : 0));
      order = order.then(() => lag).then(action, () => {});
    };
    from.on('message', (data, isBinary) =>
      later(async () => {
        const text = String(data);
        to.send(isBinary ? data : await rewrite(text));
      }),
    );
    from.on('close', (code, reason) => {
      this.#sockets.delete(from);
      later(() => (code === 1006 || code === 1005 ? to.terminate() : to.close(code, reason)));
    });
  }

  /** Returns a frame of the page with the addresses of relays. @param {string} text */
  async #rewriteFrame(text) {
    const frame = parse(text);
    if (!frame) return text;
    for (const { type, payload } of [frame].flat()) {
      if (typeof payload?.candidate === 'string')
        payload.candidate = await this.#rewriteLine(payload.candidate, payload.usernameFragment);
      if (typeof payload?.sdp === 'string') payload.sdp = await this.#rewriteSdp(payload.sdp);
      // The frame of this step still arrives.
      setImmediate(() => this.emit(type));
    }
    return JSON.stringify(frame);
  }

  /** @param {string} text */
  #observe(text) {
    if (parse(text)?.type === 'welcome') setImmediate(() => this.emit('welcome'));
    return text;
  }

  /** @param {string} sdp */
  async #rewriteSdp(sdp) {
    const [, fragment] = /^a=ice-ufrag:(\S+)/m.exec(sdp) ?? [];
    const lines = sdp.split('\r\n').map(async (line) => {
      if (!line.startsWith('a=candidate:')) return line;
      const candidate = await this.#rewriteLine(line.slice(2), fragment);
      return candidate && `a=${candidate}`;
    });
    return (await Promise.all(lines)).filter((line) => line !== '').join('\r\n') + '\r\n';
  }

  /**
   * Returns the candidate with the address of its relay, or '' for a TCP candidate (RFC 8839 §5.1).
   * @param {string} line
   * @param {string | undefined} fragment
   */
  async #rewriteLine(line, fragment = /ufrag (\S+)/.exec(line)?.[1]) {
    const fields = line.split(' ');
    if (fields.length < 8) return line;
    if (fields[2].toLowerCase() !== 'udp') return '';
    const [ip, port] = fields.slice(4, 6);
    assert(!ip.endsWith('.local'), 'the browser hides its addresses');
    const address = addressOf(ip, Number(port));
    if (this.#oldFragments.has(fragment)) this.old.add(address);
    else this.#fragments.add(fragment);
    const known = this.#relays.get(address);
    const relay = known ?? new Relay(this.#network, this, ip, Number(port));
    this.#relays.set(address, relay);
    fields[5] = String(await relay.port());
    return fields.join(' ');
  }
}

/** Forwards the packets to one address of a page. */
class Relay {
  #network;
  #access;
  #ip;
  #port;
  /** The socket to which the other browsers send. */
  #front;
  /** The sockets that stand for the other browsers. @type {Map<string, dgram.Socket>} */
  #back = new Map();
  #ready;

  /** @param {BadNetwork} network @param {Access} access @param {string} ip @param {number} port */
  constructor(network, access, ip, port) {
    this.#network = network;
    this.#access = access;
    this.#ip = ip;
    this.#port = port;
    this.#front = this.#open((packet, sender) => this.#handle(packet, sender));
    this.#ready = once(this.#front, 'listening');
  }

  async port() {
    await this.#ready;
    return this.#front.address().port;
  }

  stop() {
    for (const socket of [this.#front, ...this.#back.values()]) socket.close();
  }

  /** @param {(packet: Buffer, sender: dgram.RemoteInfo) => void} handle */
  #open(handle) {
    const socket = dgram.createSocket(this.#ip.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', handle).on('error', () => {});
    return socket.bind(0, this.#ip);
  }

  /** @param {Buffer} packet @param {dgram.RemoteInfo} sender */
  #handle(packet, { address, port }) {
    const remote = addressOf(address, port);
    let back = this.#back.get(remote);
    if (!back) {
      back = this.#open((answer) =>
        this.#pass(answer, remote, () => this.#front.send(answer, port, address)),
      );
      this.#back.set(remote, back);
    }
    const socket = back;
    this.#pass(packet, remote, () => socket.send(packet, this.#port, this.#ip));
  }

  /**
   * @param {Buffer} packet
   * @param {string} remote the address of the other browser
   * @param {() => void} send
   */
  #pass(packet, remote, send) {
    const { delay } = this.#network;
    const isOld = () =>
      this.#network.isOld(remote) || this.#access.old.has(addressOf(this.#ip, this.#port));
    if (this.#network.isLost() || isOld()) return;
    setTimeout(() => {
      if (isOld()) return;
      try {
        send();
      } catch {
        // The relay was stopped.
      }
      this.#access.emit(packet[0] < 4 ? 'ice' : 'dtls'); // RFC 7983 §7
    }, delay);
  }
}

/** @param {string} ip @param {number} port */
const addressOf = (ip, port) => `${ip}:${port}`;

/** @param {string} text @returns {any} */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {number} time */
const wait = (time) => new Promise((resolve) => setTimeout(() => resolve(undefined), time));
