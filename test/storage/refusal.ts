import assert from 'node:assert/strict';
import type { StorageError } from '../../src/runtime/disk-errors.ts';

/** What the attempt is refused with; fails when it is anything else, or when the attempt succeeds. */
export async function refusal<T extends StorageError>(
  attempt: Promise<unknown>,
  type: abstract new (...args: never[]) => T,
): Promise<T> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof type, `wanted ${type.name}, got ${String(error)}`);
  return error;
}
