// @ts-check
/** Counts the Durable Objects that a test has created. */
import { readdirSync } from 'node:fs';

/**
 * Returns the number of objects that were ever asked. workerd creates a database for each object when it
 * starts.
 * @param {string} folder the option `persist` of `startWorkerd`
 */
export function countObjects(folder) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.sqlite') && !file.includes('metadata')).length;
}
