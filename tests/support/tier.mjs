// @ts-check
/**
 * The two tiers of tests. The default tier covers each feature once. `npm test -- --all` sets
 * `PARTYLINE_TESTS=all` and adds full matrices and repetitions.
 */

/** Whether the full tier runs. */
export const all = process.env.PARTYLINE_TESTS === 'all';

/**
 * Every value in the full tier, and the first ones in the default tier.
 * @template T
 * @param {T[]} values with the most important ones first
 * @param {number} [count] how many of them the default tier has
 */
export const some = (values, count = 1) => (all ? values : values.slice(0, count));

/**
 * A number of repetitions, which depends on the tier.
 * @param {number} full
 * @param {number} [brief]
 */
export const times = (full, brief = 1) => (all ? full : brief);
