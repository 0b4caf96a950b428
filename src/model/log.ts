/** Values of the agreed log, shared by the Raft core, its storage and its codecs. Raft (Ongaro, Ousterhout 2014). */
import type { ClusterId, LogIndex, MemberId, Term } from './ids.ts';

export interface LogId {
  readonly term: Term;
  readonly index: LogIndex;
}

export type EntryKind = 'noop' | 'command' | 'config';

export interface Entry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  /** Never written to once it is here. */
  readonly data: Uint8Array;
}

/** Must be durable before it is acted upon. Term and vote are one record, always. */
export interface HardState {
  readonly term: Term;
  readonly vote: MemberId | null;
}

/** All lists are sorted and free of duplicates. `votersOutgoing` is empty unless the configuration is joint. */
export interface Configuration {
  readonly voters: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
  readonly learners: readonly MemberId[];
  readonly learnersNext: readonly MemberId[];
  readonly autoLeave: boolean;
}

export const EMPTY_CONFIGURATION: Configuration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

export interface SnapshotMeta {
  readonly clusterId: ClusterId;
  readonly lastLog: LogId;
  readonly configuration: Configuration;
  readonly configurationIndex: LogIndex;
}

/** One write to the log, made durable as a whole by one `fdatasync`, or absent as a whole after a crash. */
export interface PersistBatch {
  /** Rises by one with every batch of a process. */
  readonly batchSeq: number;
  /** The term in which the core asked for it. */
  readonly underTerm: Term;
  readonly hardState?: HardState;
  /** Drop this index and all after it before appending. */
  readonly truncateFrom?: LogIndex;
  readonly entries?: readonly Entry[];
  /** A commit index known by now; a hint for offline tools, never relied upon. */
  readonly commitHint?: LogIndex;
}

/** What a data directory held when it was opened. */
export interface RecoveredLog {
  readonly hardState: HardState;
  readonly snapshot: { readonly meta: SnapshotMeta; readonly bytes: Uint8Array } | undefined;
  /** Contiguous; the first one is at most one above the snapshot's index. */
  readonly entries: readonly Entry[];
  readonly commitHint: LogIndex;
  /** The last write before the stop was torn: what it claimed to hold. See raft.md 11.4, soft caution. */
  readonly tornTail: LogId | undefined;
}

export const EMPTY_RECOVERED_LOG: RecoveredLog = {
  hardState: { term: 0 as Term, vote: null },
  snapshot: undefined,
  entries: [],
  commitHint: 0 as LogIndex,
  tornTail: undefined,
};
