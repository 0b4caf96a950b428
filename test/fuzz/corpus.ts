/** Where fuzzing starts from: every byte string of the golden vectors, however deep in the file. */
import { fromHex, vectors } from '../vectors.ts';

/** Longer seeds cost time and teach nothing new. */
const SEED_BYTES_MAX = 4_096;
const HEX = /^(?:[0-9a-f]{2})+$/;

/** All different byte strings of these files under keys that end in `hex`, and match `key`. */
export function seedsOf(files: readonly string[], key: RegExp = /hex$/): Uint8Array[] {
  const found = new Set<string>();
  for (const file of files) collect(vectors<unknown>(`${file}.json`), key, found);
  return [...found].map(fromHex);
}

function collect(value: unknown, key: RegExp, into: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, child] of Object.entries(value)) {
    if (typeof child !== 'string') collect(child, key, into);
    else if (key.test(name) && HEX.test(child) && child.length <= 2 * SEED_BYTES_MAX) into.add(child);
  }
}
