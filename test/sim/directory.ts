/** What a process keeps its promises in: the interface that the model of a directory and one on a simulated disk have in common. */
import type { ClusterEffect, ClusterInput } from '../../src/cluster/messages.ts';
import type { Dissolution } from '../../src/model/dissolution.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { ClusterId, LogIndex, NodeId, Stamp, Term } from '../../src/model/ids.ts';
import type { Entry, HardState, RecoveredLog, SnapshotMeta } from '../../src/model/log.ts';
import type { StorageRoom } from '../../src/model/storage-room.ts';
import type { Chance } from './chance.ts';

export type DiskEffect = Extract<
  ClusterEffect,
  { kind: 'persist' | 'saveSnapshot' | 'installSnapshot' | 'identify' | 'resetLog' }
>;

/** One of the two images. Entries are contiguous from `firstIndex`. */
export class LogImage {
  stamp: Stamp;
  clusterId: ClusterId | undefined;
  hardState: HardState = { term: 0 as Term, vote: null };
  snapshot: { readonly meta: SnapshotMeta; readonly bytes: Uint8Array } | undefined;
  entries: Entry[] = [];
  commitHint: LogIndex = 0 as LogIndex;
  /** Stays when the data is set aside. */
  dissolutions: readonly Dissolution[] = [];

  constructor(stamp: Stamp) {
    this.stamp = stamp;
  }

  get firstIndex(): number {
    return this.entries[0]?.index ?? (this.snapshot?.meta.lastLog.index ?? 0) + 1;
  }

  get lastIndex(): number {
    return this.firstIndex + this.entries.length - 1;
  }

  entryAt(index: number): Entry | undefined {
    return this.entries[index - this.firstIndex];
  }

  copy(): LogImage {
    const copy = new LogImage(this.stamp);
    copy.clusterId = this.clusterId;
    copy.hardState = this.hardState;
    copy.snapshot = this.snapshot;
    copy.entries = [...this.entries];
    copy.commitHint = this.commitHint;
    copy.dissolutions = this.dissolutions;
    return copy;
  }

  apply(effect: DiskEffect, freshStamp: Stamp): void {
    if (effect.kind === 'identify') {
      if (this.clusterId !== undefined && this.clusterId !== effect.clusterId)
        throw new Error(`a directory of ${this.clusterId} is to be bound to ${effect.clusterId}`);
      this.clusterId = effect.clusterId;
    } else if (effect.kind === 'persist') {
      this.#write(effect.batch);
    } else if (effect.kind === 'saveSnapshot') {
      this.snapshot = { meta: effect.meta, bytes: effect.bytes };
      this.entries = this.entries.filter((entry) => entry.index >= effect.keepFrom);
    } else if (effect.kind === 'installSnapshot') {
      this.snapshot = { meta: effect.meta, bytes: effect.bytes };
      this.entries = [];
      const { term } = effect.meta.lastLog;
      // As in runtime/disk-log-wal.ts: who never heard of a term has no vote in it.
      if (term > this.hardState.term) this.hardState = { term, vote: null };
    } else {
      if (effect.dissolved !== undefined) this.dissolutions = [...this.dissolutions, effect.dissolved];
      this.#reset(freshStamp);
    }
  }

  #write(batch: Extract<DiskEffect, { kind: 'persist' }>['batch']): void {
    if (batch.hardState !== undefined) this.hardState = batch.hardState;
    if (batch.truncateFrom !== undefined) this.entries.length = Math.max(0, batch.truncateFrom - this.firstIndex);
    for (const entry of batch.entries ?? []) {
      if (entry.index !== this.lastIndex + 1)
        throw new Error(`entry ${entry.index} is written after ${this.lastIndex}`);
      this.entries.push(entry);
    }
    if (batch.commitHint !== undefined) this.commitHint = batch.commitHint;
  }

  #reset(stamp: Stamp): void {
    this.stamp = stamp;
    this.clusterId = undefined;
    this.hardState = { term: 0 as Term, vote: null };
    this.snapshot = undefined;
    this.entries = [];
    this.commitHint = 0 as LogIndex;
  }
}

export interface Operation {
  readonly effect: DiskEffect;
  readonly freshStamp: Stamp;
  readonly done: (input: ClusterInput) => void;
}

export interface DirectoryHost {
  readonly nodeId: NodeId;
  after(delayMs: number, act: () => void): void;
  latencyMs(): number;
  readonly chance: Chance;
  /** Nothing outlives the process. */
  readonly isInMemory: boolean;
}

export interface Directory {
  /** As the process sees it, and as it would be found again. */
  written: LogImage;
  readonly durable: LogImage;
  /** It belongs to a cluster, or has followed one. */
  readonly hasCluster: boolean;
  peers: readonly Endpoint[];
  followed: ClusterId | undefined;
  /** A start: what it finds, or why it comes to nothing. */
  open(): RecoveredLog | NotOpened;
  /** What an operator does with data that is refused: the next start is that of a new member. */
  setAside(): void;
  submit(effect: DiskEffect, done: (input: ClusterInput) => void): void;
  /** The process is gone; what was asked for and not done is lost, but for the write under way, which nobody knows of. */
  crash(how: Ending): void;
  /** An empty disk in place of the old one. */
  wipe(): void;

  /** The process that has it open. */
  onRoom: ((room: StorageRoom) => void) | undefined;
  onFailure: ((reason: string) => void) | undefined;
  readonly room: StorageRoom;
  setRoom(room: StorageRoom): void;
  /** Writes hang: neither done nor failed, until it goes on. */
  setStalled(isStalled: boolean): void;
  /** A write has failed since a process opened it. */
  readonly hasFailed: boolean;
  /** The next write comes back with an error: nobody knows how much of it is on the disk (raft.md 11.6). */
  failNext(): void;
  /** Writes succeed again, and there is room; what has failed stays failed. */
  mend(): void;
  /** A sector of what lies there durably goes bad; false when there is none that may. */
  rot(chance: Chance): boolean;
  /** Something has gone bad since it was opened. */
  readonly isRotten: boolean;
}

/** `damaged` stays so; where the disk has `failed`, or was full, it may do better another time. */
export interface NotOpened {
  readonly why: 'damaged' | 'failed';
  readonly text: string;
}

export type Ending = 'killed' | 'poweredOff' | 'stopped';

export function answerTo({ effect, freshStamp }: Operation): ClusterInput {
  switch (effect.kind) {
    case 'persist':
      return { kind: 'persisted', batchSeq: effect.batch.batchSeq };
    case 'saveSnapshot':
      return { kind: 'snapshotSaved', meta: effect.meta, firstIndex: effect.keepFrom };
    case 'installSnapshot':
      return { kind: 'snapshotInstalled', meta: effect.meta };
    case 'identify':
      return { kind: 'identified', clusterId: effect.clusterId };
    case 'resetLog':
      return { kind: 'logReset', stamp: freshStamp };
  }
}
