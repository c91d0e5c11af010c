// @ts-check
/**
 * Plays the transcripts over real WebSockets and event streams against workerd. `waits.test.mjs`
 * plays the transcripts that wait for more than 2 s. `tests/core/transcripts.rs` plays all of them
 * on the core.
 */
import { transcriptTests } from '../support/transcript-tests.mjs';

transcriptTests('transcripts', (transcript) => !transcript.isLong);
