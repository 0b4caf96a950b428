/** What an entry of the log says, in a form that a person can read: for the offline tools of raft.md 11.7. */
import { DecodeError } from '../base/errors.ts';
import type { KvOperation, KvTransaction } from '../model/kv.ts';
import type { Entry } from '../model/log.ts';
import { decodeCommand } from '../wire/command/command.ts';
import { decodeKvBatch, type KvItem } from '../wire/kv/batch.ts';
import { decodeConfiguration } from '../wire/raft/entry.ts';
import { decodeShardCommand, type ShardCommand } from '../wire/sharding/map-entry.ts';

/** Of a value, so many bytes are shown. */
const VALUE_SHOWN = 48;
/** The last instant that a Date can name. */
const DATE_MS_MAX = 8.64e15;

/** Plain values alone. Undefined for an entry that says nothing, a text for one that cannot be read. */
export function meaningOf({ kind, data }: Entry): object | string | undefined {
  try {
    if (kind === 'noop') return undefined;
    if (kind === 'config') return decodeConfiguration(data);
    const command = decodeCommand(data);
    if (command.kind === 'kv') return keyMeaning(command.bytes);
    return command.kind === 'shard' ? shardMeaning(decodeShardCommand(command.bytes)) : command;
  } catch (error) {
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
}

function shardMeaning(command: ShardCommand | DecodeError): object | string {
  if (command instanceof DecodeError) return command.message;
  if (command.kind === 'shardStale')
    return { kind: 'shardPropose', term: command.term, as: 'a change of the map before' };
  if (command.kind !== 'shardPropose') return command;
  const { ownerOf, standbys, owners, ...rest } = command;
  const shards = owners.map((_, index) => ownerOf.reduce((count, owner) => count + Number(owner === index), 0));
  return { ...rest, owners: owners.map((owner, index) => ({ ...owner, shards: shards[index] })) };
}

function keyMeaning(bytes: Uint8Array): object {
  const { timeMs, items } = decodeKvBatch(bytes);
  const at = timeMs <= DATE_MS_MAX ? new Date(timeMs).toISOString() : `${timeMs} ms`;
  return { kind: 'kv', at, items: items.map(itemMeaning) };
}

function itemMeaning(item: KvItem): object {
  if (item.kind !== 'mutate') return item;
  const { mutation, session } = item;
  const what = mutation.kind === 'txn' ? transactionMeaning(mutation) : operationMeaning(mutation);
  return session === undefined ? what : { ...what, session };
}

function transactionMeaning({ compares, success, failure }: KvTransaction): object {
  return {
    txn: compares.map((compare) => {
      const operand = compare.target === 'value' ? textOf(compare.operand) : compare.operand;
      return `${compare.target} of ${textOf(compare.key)} ${compare.relation} ${operand}`;
    }),
    success: success.map(operationMeaning),
    failure: failure.map(operationMeaning),
  };
}

function operationMeaning(operation: KvOperation): object {
  const key = textOf(operation.key);
  if (operation.kind === 'put') return { put: key, value: textOf(operation.value) };
  const end = operation.rangeEnd.length === 0 ? {} : { to: textOf(operation.rangeEnd) };
  return operation.kind === 'delete' ? { delete: key, ...end } : { range: key, ...end };
}

/** As text where it is printable, else in hexadecimal. */
function textOf(bytes: Uint8Array): string {
  const head = bytes.subarray(0, VALUE_SHOWN);
  const isText = head.every((byte) => byte >= 0x20 && byte < 0x7f);
  const shown = Buffer.from(head).toString(isText ? 'latin1' : 'hex');
  const all = isText ? shown : `0x${shown}`;
  return head.length === bytes.length ? all : `${all}… (${bytes.length} bytes)`;
}
