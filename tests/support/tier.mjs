// @ts-check
/**
 * The two tiers of tests. The default tier tests each feature once. `npm test -- --all` runs the
 * full tier, which adds full matrices and repetitions, and sets `PARTYLINE_TESTS=all`.
 */

/** Whether the full tier is running. */
export const all = process.env.PARTYLINE_TESTS === 'all';

/**
 * Returns all values in the full tier, and the first `count` values in the default tier.
 * @template T
 * @param {T[]} values the values, by descending importance
 * @param {number} [count]
 */
export const some = (values, count = 1) => (all ? values : values.slice(0, count));

/**
 * Returns the number of repetitions of a test.
 * @param {number} full the number in the full tier
 * @param {number} [brief] the number in the default tier
 */
export const times = (full, brief = 1) => (all ? full : brief);
