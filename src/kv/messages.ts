/** The vocabulary of the key-value state machine: what the log brings it is in wire/kv/batch.ts, what it answers in model/kv.ts. */
export type { KvReply, KvResult } from '../model/kv.ts';
export type { KvBatch, KvItem } from '../wire/kv/batch.ts';
