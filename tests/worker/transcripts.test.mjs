// @ts-check
/**
 * Every transcript, over real sockets against workerd. `tests/core/transcripts.rs` plays the same files
 * on the core.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { parse, play } from '../support/transcript.mjs';
import { startWorkerd } from '../support/workerd.mjs';

const FOLDER = new URL('../transcripts/', import.meta.url);

const transcripts = readdirSync(FOLDER, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .flatMap(({ name: dialect }) =>
    readdirSync(new URL(`${dialect}/`, FOLDER))
      .filter((file) => file.endsWith('.txt'))
      .map((file) =>
        parse(
          dialect,
          file.slice(0, -4),
          readFileSync(new URL(`${dialect}/${file}`, FOLDER), 'utf8'),
        ),
      ),
  );

/**
 * Two dialects may tell the same story, and so name the same room: they get a server each.
 * @param {typeof transcripts[0]} of
 */
const instance = ({ dialect, settings }) =>
  [dialect, ...Object.entries(settings).flat()].join('-').replace(/[^\w-]/g, '_');

describe('transcripts', { concurrency: true }, () => {
  /** @type {import('../support/workerd.mjs').Workerd<string>} */
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
