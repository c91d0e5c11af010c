// @ts-check
/**
 * The event stream of one HTTP peer. A WebSocket connects the stream to the room. The stream
 * forwards the frames of the WebSocket to the client, and adds pings.
 *
 * The Worker holds the stream, because a stream in a room would prevent the room's hibernation.
 *
 * The stream is written in JavaScript for two reasons. It must end after a trap. And when a client
 * disconnects, the platform cancels the stream outside of every request, where most calls to the
 * platform throw. Such an exception must not cross Rust code.
 *
 * The platform reads from the stream only when the client reads. Only a write can reveal that the
 * client has disconnected. After the client closes its connection cleanly, the first write
 * succeeds and the second fails. The stream therefore writes twice in each ping interval. After a
 * failed write, the platform cancels the stream, which closes the WebSocket.
 *
 * If a client disconnects before the first bytes, the platform neither reads nor cancels the stream
 * (workerd, 2026-04). A stream that is not read therefore ends at the second heartbeat.
 */

import { endAfterTrap } from './trap.js';

/**
 * The maximum number of characters that are buffered for a slow client: four times the limit of a
 * peer's outbox. Above this limit the stream ends, and the client must resume the stream.
 */
const MAX_UNREAD = 1024 * 1024;

/** A comment, which clients ignore. */
const COMMENT = ':\n\n';

const encoder = new TextEncoder();

/**
 * Returns the body of the response to an `EventSource`.
 * @param {WebSocket} socket
 * @param {number} pingInterval in milliseconds
 * @param {string} ping the text of a ping, with `{time}` in place of the time
 */
export function openStream(socket, pingInterval, ping) {
  /** @type {ReadableStreamDefaultController} */
  let controller;
  let unread = '';
  /** Whether the platform waits for the next chunk. */
  let isAwaited = false;
  /** The number of heartbeats since the platform last asked for a chunk. */
  let idleBeats = 0;
  let isPingNext = true;
  let isOpen = true;
  /** @type {(reason: string) => void} */
  let end = () => {};
  // The platform runs the callback of a promise in the request that created the promise. `end` can
  // therefore be called from anywhere.
  const ended = new Promise((/** @type {(reason: string) => void} */ resolve) => (end = resolve));
  const release = endAfterTrap(end);

  const flush = () => {
    if (unread) controller.enqueue(encoder.encode(unread));
    unread = '';
    isAwaited = false;
  };
  const write = (/** @type {string} */ text) => {
    unread += text;
    if (isAwaited) flush();
    else if (unread.length > MAX_UNREAD) end('the client reads too slowly');
  };
  const timer = setInterval(() => {
    if (!isAwaited && (idleBeats += 1) > 1) return end('the client does not read the stream');
    write(isPingNext ? ping.replace('{time}', new Date().toISOString()) : COMMENT);
    isPingNext = !isPingNext;
  }, pingInterval / 2);
  ended.then((reason) => {
    isOpen = false;
    release();
    clearInterval(timer);
    try {
      flush();
      controller.close();
    } catch {
      // The client has cancelled the stream.
    }
    socket.close(1000, reason);
  });

  socket.addEventListener('message', ({ data }) => {
    // After the stream ends, the room keeps the event. The client receives the event when it
    // resumes the stream.
    if (isOpen && typeof data === 'string') write(data);
  });
  for (const type of /** @type {const} */ (['close', 'error']))
    socket.addEventListener(type, () => end('the room has closed the stream'));
  socket.accept();

  return new ReadableStream(
    {
      start: (own) => void (controller = own),
      pull() {
        isAwaited = true;
        idleBeats = 0;
        if (unread) flush();
      },
      cancel() {
        release();
        end('the stream has ended');
      },
    },
    { highWaterMark: 0 },
  );
}
