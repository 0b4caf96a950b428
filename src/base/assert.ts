/** Broken invariants. An assertion that fails means a proof was wrong: the process stops. Never assert on what a peer sent. */

export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws {@link InvariantError} unless `condition` holds. `sentence` says what was relied upon. */
export function assert(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new InvariantError(sentence);
}

/** Ends a `switch` over a union: the compiler names a missing case here. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable case: ${JSON.stringify(value)}`);
}

/** The value, asserted to be present. */
export function present<T>(value: T | undefined | null, sentence: string): T {
  if (value === undefined || value === null) throw new InvariantError(sentence);
  return value;
}
