// @ts-check
/**
 * Runs concurrently all Worker tests that wait for more than 2 s: evictions, grace periods and
 * timeouts. The file takes as long as its longest test, about 35 s.
 */
import { describe } from 'node:test';
import { transcriptTests } from '../support/transcript-tests.mjs';
import { evictionTests } from './waits/eviction.mjs';
import { peerJsTests } from './waits/peerjs.mjs';
import { slowBodyTests } from './waits/slow-bodies.mjs';
import { slowMediaTests } from './waits/slow-media.mjs';
import { socketIoTests } from './waits/socketio.mjs';
import { storedSignalTests } from './waits/stored-signals.mjs';
import { trackerTests } from './waits/tracker.mjs';
import { trysteroTests } from './waits/trystero.mjs';
import { turnFailureTests } from './waits/turn-failures.mjs';
import { yWebrtcTests } from './waits/y-webrtc.mjs';

describe('waits', { concurrency: true }, () => {
  transcriptTests('long transcripts', (transcript) => transcript.isLong);
  evictionTests();
  peerJsTests();
  slowBodyTests();
  slowMediaTests();
  socketIoTests();
  storedSignalTests();
  trackerTests();
  trysteroTests();
  turnFailureTests();
  yWebrtcTests();
});
