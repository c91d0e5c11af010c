// @ts-check
/**
 * Plays every transcript over real WebSockets and event streams against workerd, except the long ones,
 * which are in `waits.test.mjs`. `tests/core/transcripts.rs` plays the same files on the core.
 */
import { transcriptTests } from '../support/transcript-tests.mjs';

transcriptTests('transcripts', (transcript) => !transcript.isLong);
