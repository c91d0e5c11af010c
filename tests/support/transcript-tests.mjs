// @ts-check
/** Defines one test for each transcript in `tests/transcripts`. The tests run concurrently. */
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { parse, play } from './transcript.mjs';
import { startWorkerd } from './workerd.mjs';

const FOLDER = new URL('../transcripts/', import.meta.url);

/** @typedef {import('./transcript.mjs').Transcript} Transcript */

/**
 * Defines a suite with one test for each chosen transcript.
 * @param {string} name the name of the suite
 * @param {(transcript: Transcript) => boolean} isChosen
 */
export function transcriptTests(name, isChosen) {
  const transcripts = readAll().filter(isChosen);
  describe(name, { concurrency: true }, () => {
    /** @type {import('./workerd.mjs').Workerd<string>} */
    let workerd;
    before(async () => {
      workerd = await startWorkerd(
        Object.fromEntries(transcripts.map((each) => [instance(each), each.settings])),
      );
    });
    after(() => workerd?.stop());

    for (const each of transcripts) {
      test(`${each.dialect}/${each.room}: ${each.claim}`, () =>
        play(workerd.at[instance(each)], each));
    }
  });
}

/** @returns {Transcript[]} */
function readAll() {
  return readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name: dialect }) =>
      readdirSync(new URL(`${dialect}/`, FOLDER))
        .filter((file) => file.endsWith('.txt'))
        .map((file) =>
          parse(
            dialect,
            file.slice(0, -'.txt'.length),
            readFileSync(new URL(`${dialect}/${file}`, FOLDER), 'utf8'),
          ),
        ),
    );
}

/**
 * Returns the name of the server instance for a transcript. Each dialect has its own instances,
 * because transcripts of different dialects may use the same room name.
 * @param {Transcript} transcript
 */
const instance = ({ dialect, settings }) =>
  [dialect, ...Object.entries(settings).flat()].join('-').replace(/[^\w-]/g, '_');
