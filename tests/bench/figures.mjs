// @ts-check
/** Stores the figures of several rounds, calculates medians and ratios, and formats tables. */

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The figures of all rounds, by row of the report and by server. */
export class Figures {
  /** @type {Map<string, Map<string, number[]>>} */
  #rows = new Map();

  /** @param {string} row @param {string} server @param {number} value */
  add(row, server, value) {
    const servers = this.#rows.get(row) ?? new Map();
    this.#rows.set(row, servers);
    servers.set(server, [...(servers.get(server) ?? []), value]);
  }

  /** @param {string} row @param {string} server */
  median(row, server) {
    const values = this.#rows.get(row)?.get(server);
    return values && median(values);
  }

  /**
   * Returns the median of the per-round ratios of two servers. The ratio is calculated within each
   * round, because the load of the machine changes more between rounds than within a round.
   * @param {string} row
   * @param {string} server
   * @param {string} other
   */
  ratio(row, server, other) {
    const [ours, theirs] = [server, other].map((name) => this.#rows.get(row)?.get(name));
    if (!ours || !theirs) return undefined;
    return median(ours.map((value, round) => value / theirs[round]));
  }

  /** Returns all figures and their medians, for `JSON.stringify`. */
  toJSON() {
    return Object.fromEntries(
      [...this.#rows].map(([row, servers]) => [
        row,
        Object.fromEntries(
          [...servers].map(([name, values]) => [name, { median: median(values), rounds: values }]),
        ),
      ]),
    );
  }
}

/**
 * Formats a number with two decimals below 10, one decimal below 100, and no decimals otherwise.
 * @param {number | undefined} value
 */
export function short(value) {
  if (value === undefined || Number.isNaN(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

/**
 * Formats a table. The first column is aligned left, and all other columns are aligned right.
 * @param {string[]} head
 * @param {string[][]} rows
 */
export function table(head, rows) {
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => row[column].length)),
  );
  const line = (/** @type {string[]} */ row) =>
    row
      .map((cell, column) => (column ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ');
  return [line(head), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join(
    '\n',
  );
}
