// @ts-check
/**
 * A live stream. Without a session in the address, the page offers to start one: it creates the
 * session, and sends camera and microphone as its device. With a session in the address, it shows
 * the stream. After a reload, the device continues.
 */
import { Room } from '../room.js';

/**
 * The values that the device stores, to continue after a reload.
 * @typedef {{ id: string, key: string, token?: string, stopKey?: string, link: string }} Device
 */

const DEVICE_TEXT = {
  waiting: 'The stream begins in a moment …',
  live: 'You are live.',
  away: 'The stream is interrupted. It continues in a moment …',
  stopped: 'The stream is over.',
};
const VIEWER_TEXT = {
  waiting: 'The stream has not begun yet. It will appear here.',
  live: 'This is live.',
  away: 'The stream is interrupted. It will continue here.',
  stopped: 'The stream is over.',
};
/** @type {Record<string, string>} */
const ERROR_TEXT = {
  'media-unavailable': 'The media server does not respond. The page tries again by itself.',
  'unsupported-codec': 'Your browser cannot play this stream. Try another browser.',
};
/** @type {Record<number, string>} */
const CLOSE_TEXT = {
  4001: 'The stream continues in another window, in which you opened it.',
  4010: 'This server requires a valid token. Ask for a new link.',
};
/** Time until the page reports that a room has no session, in milliseconds. */
const NO_SESSION_DELAY = 1_000;

const address = new URLSearchParams(location.hash.slice(1));
const video = byId('video', HTMLVideoElement);
const start = byId('start', HTMLButtonElement);

addEventListener('hashchange', () => location.reload());
byId('again', HTMLAnchorElement).onclick = () => history.replaceState(null, '', location.pathname);
byId('sound', HTMLButtonElement).onclick = () => {
  video.muted = false;
  show('sound', false);
};
run();

async function run() {
  const session = address.get('session');
  const id = address.get('device');
  if (session && id) {
    // A back end has created the session, and gave this link to the device.
    const [token, stopKey] = ['token', 'stopKey'].map((name) => address.get(name) ?? undefined);
    store(session, { id, key: random(), token, stopKey, link: linkTo({ session }) });
  }
  const stored = session && sessionStorage.getItem(`live ${session}`);
  if (!session) {
    setStatus('Show your camera to everybody who has the link.');
    offer('Start a live stream', createSession);
  } else if (!stored) {
    watch(session);
  } else {
    const continued = () => Promise.resolve({ session, device: JSON.parse(stored) });
    if (!(await broadcast(continued))) offer('Try again', continued);
  }
}

/** @param {string} text @param {() => Promise<{ session: string, device: Device }>} open */
function offer(text, open) {
  start.textContent = text;
  start.onclick = async () => {
    start.disabled = true;
    if (await broadcast(open)) show('start', false);
    start.disabled = false;
  };
  show('start');
}

/**
 * Creates a session, and stores the secrets of its device.
 * @returns {Promise<{ session: string, device: Device }>}
 */
async function createSession() {
  const id = random();
  const created = await post('/create-session', { deviceId: id });
  const session = created.sessionId;
  const token = created.viewerToken && { token: created.viewerToken };
  const link = linkTo({ session, ...token });
  const device = { id, key: random(), token: created.deviceToken, stopKey: created.stopKey, link };
  store(session, device);
  return { session, device };
}

/** Stores the secrets of the device, and removes them from the address. */
function store(/** @type {string} */ session, /** @type {Device} */ device) {
  sessionStorage.setItem(`live ${session}`, JSON.stringify(device));
  history.replaceState(null, '', device.link);
}

/** Returns the link for viewers. @param {Record<string, string>} params */
function linkTo(params) {
  return new URL(`#${new URLSearchParams(params)}`, location.href).href;
}

function random() {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}

/**
 * Sends camera and microphone. Returns false if the device or the session is not available.
 * @param {() => Promise<{ session: string, device: Device }>} open
 */
async function broadcast(open) {
  setProblem('');
  try {
    const stream = await useCamera();
    const { session, device } = await open();
    const { id, key, token } = device;
    const room = new Room(session, { id, key, token });
    room.live.publish(stream);
    video.srcObject = stream;
    show('video');
    byId('link', HTMLInputElement).value = device.link;
    byId('copy', HTMLButtonElement).onclick = copyLink;
    byId('stop', HTMLButtonElement).onclick = () =>
      post('/live/stop', { sessionId: session, stopKey: device.stopKey }).catch(({ message }) =>
        setProblem(message),
      );
    follow(room, DEVICE_TEXT);
    room.addEventListener('close', () => {
      for (const track of stream.getTracks()) track.stop(); // turns the light of the camera off
      show('video', false);
      show('again');
    });
    for (const id of ['stop', 'invitation']) {
      show(id);
      room.addEventListener('close', () => show(id, false));
    }
    return true;
  } catch (error) {
    setProblem(/** @type {Error} */ (error).message);
    return false;
  }
}

/** @param {string} session */
function watch(session) {
  const room = new Room(session, { token: address.get('token') ?? undefined });
  room.addEventListener('stream', ({ detail: { stream } }) => {
    video.srcObject = stream;
    show('video', stream !== null);
    show('sound', stream !== null && video.muted);
  });
  follow(room, VIEWER_TEXT);
}

/** Shows the state of the session in words. @param {Room} room @param {typeof VIEWER_TEXT} text */
function follow(room, text) {
  setStatus('Connecting …');
  room.addEventListener('live', ({ detail: { state, connected } }) => {
    if (connected || state === 'stopped') setProblem('');
    if (state === 'live' && !connected) setStatus('Connecting …');
    else if (state) setStatus(text[state]);
  });
  room.addEventListener('error', ({ detail: { code, message } }) =>
    setProblem(ERROR_TEXT[code] ?? message),
  );
  room.addEventListener('state', ({ detail: { state } }) => {
    if (state === 'joined') {
      setProblem('');
      setTimeout(() => {
        if (!room.live.state) setStatus('There is no live stream at this address, or it is over.');
      }, NO_SESSION_DELAY);
    } else if (state === 'reconnecting') {
      setProblem('The connection to the server is interrupted. The page tries again by itself.');
    }
  });
  room.addEventListener('close', ({ detail: { code, message } }) => {
    if (room.live.state !== 'stopped') setStatus(CLOSE_TEXT[code] ?? message);
    setProblem('');
  });
}

/** @returns {Promise<MediaStream>} */
async function useCamera() {
  if (!navigator.mediaDevices)
    throw new Error('Browsers allow the camera only on pages with https, and on localhost.');
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    throw new Error(
      name === 'NotAllowedError'
        ? 'Allow this page to use your camera and microphone, and try again.'
        : `Your camera or microphone does not work: ${message}. Close other programs that use it.`,
    );
  }
}

/**
 * Sends a request to the server, and returns the JSON of the response.
 * @param {string} path
 * @param {object} body
 */
async function post(path, body) {
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  const result = await response.json().catch(() => ({}));
  if (response.ok) return result;
  const message = result.error?.message ?? `status ${response.status}`;
  throw new Error(
    // On a public server, only a back end may create a session: everybody can read the code of a page.
    [401, 503].includes(response.status)
      ? `This page works with the command "npm run live" on your computer. On this server, ${message}.`
      : `The server refuses the request: ${message}.`,
  );
}

async function copyLink() {
  const link = byId('link', HTMLInputElement);
  link.select();
  try {
    await navigator.clipboard.writeText(link.value);
    byId('copy').textContent = 'Copied';
  } catch {
    byId('copy').textContent = 'Now copy it'; // the link is selected
  }
}

/** @param {string} text */
function setStatus(text) {
  byId('status').textContent = text;
}

/** @param {string} text an empty text hides the problem */
function setProblem(text) {
  byId('problem').textContent = text;
  show('problem', text !== '');
}

/** @param {string} id */
function show(id, shown = true) {
  byId(id).hidden = !shown;
}

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
function byId(id, type = /** @type {new () => T} */ (HTMLElement)) {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`the page has no ${type.name} with the id ${id}`);
}
