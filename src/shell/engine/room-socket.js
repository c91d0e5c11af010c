// @ts-check
/** The WebSocket between a Socket.IO client's session and its room. */

/** The maximum size of the frames that wait for the room's answer to the join, in UTF-16 units. */
const MAX_WAITING = 256 * 1024;
/** The time for the room's reply to a `ping`, or for its Close frame, in milliseconds. */
const TIMEOUT = 5_000;

export class RoomSocket {
  /** @type {WebSocket | undefined} */
  #socket;
  /** The frames that wait for the WebSocket. @type {(string | ArrayBuffer)[] | undefined} */
  #waiting = [];
  #waitingSize = 0;
  /** The close code, once the WebSocket is to be closed. @type {number | undefined} */
  #closeCode;
  /** The callbacks of the pings that the room has not answered. @type {(() => void)[]} */
  #pings = [];
  #onClosed = () => {};
  /** Settles when the WebSocket is closed or lost. */
  closed = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
    this.#onClosed = resolve;
  });

  /**
   * Connects this object with the WebSocket of the room's answer.
   * @param {WebSocket} socket
   * @param {(frame: string) => void} onFrame receives the frames of the room
   * @param {(code: number) => void} onClose receives the close code
   */
  attach(socket, onFrame, onClose) {
    socket.addEventListener('message', ({ data }) => {
      if (data === 'pong') this.#pings.shift()?.();
      else if (typeof data === 'string') onFrame(data);
    });
    const end = (/** @type {number} */ code) => {
      this.#onClosed();
      onClose(code);
    };
    socket.addEventListener('close', ({ code }) => end(code));
    socket.addEventListener('error', () => end(1006));
    socket.accept();
    this.#socket = socket;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const frame of waiting) socket.send(frame);
    if (this.#closeCode !== undefined) socket.close(this.#closeCode);
  }

  /**
   * Sends a frame to the room, or keeps it until the room has answered the join. Returns whether too
   * much would be kept.
   * @param {string | ArrayBuffer} frame
   */
  send(frame) {
    if (this.#closeCode !== undefined) return true;
    if (this.#waiting) {
      this.#waitingSize += typeof frame === 'string' ? frame.length : frame.byteLength;
      this.#waiting.push(frame);
      return this.#waitingSize <= MAX_WAITING;
    }
    try {
      this.#socket?.send(frame);
    } catch {
      // The WebSocket is closed. Its `close` event follows.
    }
    return true;
  }

  /**
   * Sends a `ping`, which the platform answers without waking the room. Resolves with the answer. For
   * the room, the ping shows that the client has read all earlier frames.
   */
  ping() {
    const answered = new Promise((/** @type {(value?: undefined) => void} */ resolve) =>
      this.#pings.push(resolve),
    );
    this.send('ping');
    return answered;
  }

  /** Waits until the room has handled all frames that were sent to it. */
  flush() {
    return inTime(this.ping(), this.closed);
  }

  /** Waits until the room has closed the WebSocket. */
  whenClosed() {
    return inTime(this.closed);
  }

  /** @param {number} code */
  close(code) {
    if (this.#closeCode !== undefined) return;
    this.#closeCode = code;
    try {
      this.#socket?.close(code);
    } catch {
      // The WebSocket is already closed.
    }
  }
}

/** Waits for one of the promises, or until the time is over. @param {Promise<void>[]} promises */
async function inTime(...promises) {
  /** @type {number | null} */
  let timer = null;
  const timeout = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
    timer = setTimeout(resolve, TIMEOUT);
  });
  await Promise.race([...promises, timeout]);
  clearTimeout(timer);
}
