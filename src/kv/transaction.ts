/** What a mutation does to the keys: decided as a whole before anything changes, then done as one write. */
import { unreachable } from '../base/assert.ts';
import { binaryText, compareBytes } from '../base/bytes.ts';
import type { KeyValue, KvCompare, KvMutation, KvOperation, KvRelation, KvResult } from '../model/kv.ts';
import { KV_KEY_BYTES_MAX } from '../wire/kv/limits.ts';
import type { Keyspace } from './keyspace.ts';

export type Refused = { readonly kind: 'refused'; readonly code: 'INVALID' | 'NO_SPACE'; readonly reason: string };

/** Why it cannot be done, whatever the state; undefined when it can. */
function problemOf(mutation: KvMutation): string | undefined {
  if (mutation.kind !== 'txn') return problemOfOperation(mutation);
  const { compares, success, failure } = mutation;
  if (compares.some(({ key }) => key.length === 0)) return 'a key is empty';
  for (const branch of [success, failure]) {
    for (const operation of branch) {
      const problem = problemOfOperation(operation);
      if (problem !== undefined) return problem;
    }
    if (writesTwice(branch)) return 'a transaction writes one key twice';
  }
  return undefined;
}

/** Nothing has changed when it is refused. */
export function mutate(keys: Keyspace, mutation: KvMutation, bytesMax: number): KvResult | Refused {
  const problem = problemOf(mutation);
  if (problem !== undefined) return { kind: 'refused', code: 'INVALID', reason: problem };
  if (mutation.kind !== 'txn') return write(keys, [mutation], bytesMax, ([result]) => result as KvResult);
  const succeeded = mutation.compares.every((compare) => holds(keys.get(compare.key), compare));
  const branch = succeeded ? mutation.success : mutation.failure;
  return write(keys, branch, bytesMax, (results) => ({ kind: 'txn', succeeded, results }));
}

function write(
  keys: Keyspace,
  operations: readonly KvOperation[],
  bytesMax: number,
  resultOf: (results: readonly KvResult[]) => KvResult,
): KvResult | Refused {
  let growth = 0;
  for (const operation of operations)
    if (operation.kind === 'put') growth += keys.growthBy(operation.key, operation.value);
  if (growth > 0 && keys.bytes + growth > bytesMax)
    return { kind: 'refused', code: 'NO_SPACE', reason: `the store may hold ${bytesMax} bytes` };
  const revision = keys.revision + 1;
  let hasChanged = false;
  const results: KvResult[] = [];
  for (const operation of operations) {
    const result = perform(keys, operation, revision);
    if (result.kind === 'put' || (result.kind === 'delete' && result.deleted > 0)) hasChanged = true;
    results.push(result);
  }
  if (hasChanged) keys.advanceTo(revision);
  return resultOf(results);
}

function perform(keys: Keyspace, operation: KvOperation, revision: number): KvResult {
  switch (operation.kind) {
    case 'put': {
      const prev = keys.put(operation.key, operation.value, revision);
      return { kind: 'put', prev: operation.prevKv ? prev : undefined };
    }
    case 'delete': {
      const removed = keys.delete(operation);
      return { kind: 'delete', deleted: removed.length, prevs: operation.prevKv ? removed : [] };
    }
    case 'range':
      return keys.range(operation);
    default:
      return unreachable(operation);
  }
}

function holds(kv: KeyValue | undefined, compare: KvCompare): boolean {
  if (compare.target === 'value')
    return kv !== undefined && relates(compareBytes(kv.value, compare.operand), compare.relation);
  return relates((kv?.[compare.target] ?? 0) - compare.operand, compare.relation);
}

function relates(difference: number, relation: KvRelation): boolean {
  switch (relation) {
    case 'equal':
      return difference === 0;
    case 'notEqual':
      return difference !== 0;
    case 'less':
      return difference < 0;
    case 'greater':
      return difference > 0;
    default:
      return unreachable(relation);
  }
}

function problemOfOperation({ key }: KvOperation): string | undefined {
  if (key.length === 0) return 'a key is empty';
  return key.length > KV_KEY_BYTES_MAX ? `a key may have ${KV_KEY_BYTES_MAX} bytes` : undefined;
}

/** As etcd: it would not be clear which version and revision the key ends with. */
function writesTwice(operations: readonly KvOperation[]): boolean {
  const puts = new Set<string>();
  for (const operation of operations) {
    if (operation.kind !== 'put') continue;
    const name = binaryText(operation.key);
    if (puts.has(name)) return true;
    puts.add(name);
  }
  return operations.some(
    (operation) => operation.kind === 'delete' && [...puts].some((name) => covers(operation, name)),
  );
}

function covers({ key, rangeEnd }: { readonly key: Uint8Array; readonly rangeEnd: Uint8Array }, name: string): boolean {
  const from = binaryText(key);
  if (rangeEnd.length === 0) return name === from;
  const isWithoutEnd = rangeEnd.length === 1 && rangeEnd[0] === 0;
  return name >= from && (isWithoutEnd || name < binaryText(rangeEnd));
}
