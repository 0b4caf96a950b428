/** Keys and values of the coordination state, as callers and the state machine speak of them. The semantics are etcd's. */

/** Of the whole store: rises by one with every write that changed something; 1 before the first. Below 2^53. */
export type Revision = number;

export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Of the write that made the key, since it was last deleted. */
  readonly createRevision: Revision;
  /** Of the newest write. */
  readonly modRevision: Revision;
  /** Writes since it was made: 1 for the first. */
  readonly version: number;
}

/** One key when `rangeEnd` is empty; else all from `key` up to, and without, `rangeEnd`; a single zero byte there means: without end. */
export interface KeyRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

export interface RangeQuery extends KeyRange {
  /** Of the keys that are listed; 0 for as many as there are. */
  readonly limit: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
}

export type KvOperation =
  /** With `prevKv` the answer tells what was there before. */
  | { readonly kind: 'put'; readonly key: Uint8Array; readonly value: Uint8Array; readonly prevKv: boolean }
  | ({ readonly kind: 'delete'; readonly prevKv: boolean } & KeyRange)
  | ({ readonly kind: 'range' } & RangeQuery);

export type KvRelation = 'equal' | 'notEqual' | 'less' | 'greater';

/** Of a key that is not there, revisions and version are 0; its value is compared as false. */
export type KvCompare = { readonly key: Uint8Array; readonly relation: KvRelation } & (
  | { readonly target: 'version' | 'createRevision' | 'modRevision'; readonly operand: number }
  | { readonly target: 'value'; readonly operand: Uint8Array }
);

/** All of `compares` hold: `success` is done, else `failure`; as one write, under one revision. */
export interface KvTransaction {
  readonly kind: 'txn';
  readonly compares: readonly KvCompare[];
  readonly success: readonly KvOperation[];
  readonly failure: readonly KvOperation[];
}

export type KvMutation = Exclude<KvOperation, { kind: 'range' }> | KvTransaction;

/**
 * Which request of a session this is: `seq` is the client's own number for it, the same in every try, and all below `ackedBelow` have
 * been answered to it. Ongaro's dissertation, 6.3.
 */
export interface SessionMark {
  readonly session: number;
  readonly seq: number;
  readonly ackedBelow: number;
}

/** `linearizable`: sees every write that was answered before it was asked. `stale`: what the asked node has, at once. */
export type KvConsistency = 'linearizable' | 'stale';

export type KvRequest =
  | { readonly kind: 'mutate'; readonly mutation: KvMutation; readonly session: SessionMark | undefined }
  | { readonly kind: 'read'; readonly query: RangeQuery; readonly consistency: KvConsistency }
  | { readonly kind: 'openSession' }
  | { readonly kind: 'closeSession'; readonly session: number };

export type KvResult =
  | { readonly kind: 'put'; readonly prev: KeyValue | undefined }
  | { readonly kind: 'delete'; readonly deleted: number; readonly prevs: readonly KeyValue[] }
  /** `count`: of all in the range, whatever the limit. */
  | { readonly kind: 'range'; readonly kvs: readonly KeyValue[]; readonly more: boolean; readonly count: number }
  | { readonly kind: 'txn'; readonly succeeded: boolean; readonly results: readonly KvResult[] }
  | { readonly kind: 'session'; readonly session: number };

/** What the state machine made of a command. */
export type KvReply =
  /** `revision`: of the store after it, or as it was read. */
  | { readonly kind: 'done'; readonly revision: Revision; readonly result: KvResult }
  /** Nothing has changed, except with REPLY_GONE. */
  | { readonly kind: 'refused'; readonly code: KvStateRefusal; readonly reason: string };

export type KvStateRefusal =
  /** The session is not known (any more): nobody knows whether an earlier try took effect. */
  | 'SESSION_EXPIRED'
  /** The client had said that it knows the answer. */
  | 'SESSION_STALE'
  /** More answers are kept for the session than may be: acknowledge some. */
  | 'SESSION_WINDOW'
  | 'SESSIONS_FULL'
  /** An earlier try took effect; its answer was too large to be kept. */
  | 'REPLY_GONE'
  | 'INVALID'
  | 'NO_SPACE';

/** What came of a request. Refusals before the log changed nothing; `unknown` may take effect, or has. */
export type KvAnswer =
  | { readonly kind: 'reply'; readonly reply: KvReply }
  | { readonly kind: 'refused'; readonly code: KvRefusal; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string };

export type KvRefusal = 'NO_LEADER' | 'BUSY' | 'TOO_LARGE' | 'STORAGE_FULL' | 'NOT_A_MEMBER' | 'STOPPED';

export interface KvStats {
  readonly revision: Revision;
  readonly keys: number;
  /** Of keys and values. */
  readonly bytes: number;
  readonly sessions: number;
}
