/**
 * A data directory: what the process has written and what would survive, one batch at a time, each durable as a whole or absent as
 * a whole (ports/log-store.ts). A crash keeps or loses the batch under way, and may leave its torn beginning behind.
 */
import type { ClusterEffect, ClusterInput } from '../../src/cluster/messages.ts';
import type { Dissolution } from '../../src/model/dissolution.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { ClusterId, LogIndex, Stamp, Term } from '../../src/model/ids.ts';
import type { Entry, HardState, LogId, RecoveredLog, SnapshotMeta } from '../../src/model/log.ts';
import type { StorageRoom } from '../../src/model/storage-room.ts';
import type { Chance } from './chance.ts';

/** What is on its way when a node is told that its disk is full. */
const SLACK_BATCHES = 4;

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

interface Operation {
  readonly effect: DiskEffect;
  readonly freshStamp: Stamp;
  readonly done: (input: ClusterInput) => void;
}

export interface DirectoryHost {
  after(delayMs: number, act: () => void): void;
  latencyMs(): number;
  readonly chance: Chance;
  /** Nothing outlives the process. */
  readonly isInMemory: boolean;
}

export class SimulatedDirectory {
  readonly #host: DirectoryHost;
  readonly #queue: Operation[] = [];
  #generation = 0;
  #tornTail: LogId | undefined;
  /** The next write fails, and with it the directory, until a process opens it anew (raft.md 11.6). */
  #isFailing = false;
  #hasFailed = false;
  #room: StorageRoom = 'enough';
  /** Batches with entries that still fit although the node has been told that there is no room. */
  #slack = 0;
  #isStalled = false;
  /** What is first in the queue waits for room, or for the disk to go on. */
  #isHeld = false;
  /** The process that has it open. */
  onRoom: ((room: StorageRoom) => void) | undefined;
  written: LogImage;
  durable: LogImage;
  peers: readonly Endpoint[] = [];
  followed: ClusterId | undefined;

  constructor(host: DirectoryHost) {
    this.#host = host;
    this.durable = new LogImage(this.#mintStamp());
    this.written = this.durable.copy();
  }

  /** It belongs to a cluster, or has followed one. */
  get hasCluster(): boolean {
    return this.written.clusterId !== undefined || this.followed !== undefined;
  }

  /** What a start finds. */
  recovered(): RecoveredLog {
    const { hardState, snapshot, entries, commitHint } = this.written;
    const tornTail = this.#tornTail;
    this.#tornTail = undefined;
    this.#isFailing = false;
    this.#hasFailed = false;
    return { hardState, snapshot, entries: [...entries], commitHint, tornTail };
  }

  /** A write has failed since a process opened it. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** The next write comes back with an error: nobody knows how much of it is on the disk. */
  failNext(): void {
    this.#isFailing = true;
  }

  /** Writes succeed again, and there is room; what has failed stays failed. */
  mend(): void {
    this.#isFailing = false;
    this.setRoom('enough');
  }

  get room(): StorageRoom {
    return this.#room;
  }

  /** `low`: no room for snapshots. `full`: after a few more, entries wait for room, and all that comes after them (raft.md 11.6). */
  setRoom(room: StorageRoom): void {
    if (room === this.#room) return;
    this.#room = room;
    this.#slack = SLACK_BATCHES;
    this.onRoom?.(room);
    if (room === 'full' || !this.#isHeld) return;
    this.#isHeld = false;
    this.#begin();
  }

  /** Writes hang: neither done nor failed, until it goes on. */
  setStalled(isStalled: boolean): void {
    this.#isStalled = isStalled;
    if (isStalled || !this.#isHeld) return;
    this.#isHeld = false;
    this.#begin();
  }

  submit(effect: DiskEffect, done: (input: ClusterInput) => void): void {
    const freshStamp = this.#mintStamp();
    this.written.apply(effect, freshStamp);
    this.#queue.push({ effect, freshStamp, done });
    if (this.#queue.length === 1) this.#begin();
  }

  /** The process is gone; what was asked for and not done is lost, but for the write under way, which nobody knows of. */
  crash(): void {
    this.#generation += 1;
    const underWay = this.#isHeld ? undefined : this.#queue[0];
    this.#queue.length = 0;
    this.#isHeld = false;
    this.#isStalled = false;
    this.onRoom = undefined;
    if (this.#host.isInMemory) {
      this.wipe();
      return;
    }
    if (underWay !== undefined) {
      if (this.#host.chance.isHit(0.5)) this.durable.apply(underWay.effect, underWay.freshStamp);
      else if (underWay.effect.kind === 'persist' && this.#host.chance.isHit(0.4)) this.#tear(underWay.effect);
    }
    this.written = this.durable.copy();
  }

  /** An empty disk in place of the old one. */
  wipe(): void {
    this.durable = new LogImage(this.#mintStamp());
    this.written = this.durable.copy();
    this.peers = [];
    this.followed = undefined;
    this.#tornTail = undefined;
  }

  #tear(effect: Extract<DiskEffect, { kind: 'persist' }>): void {
    const last = effect.batch.entries?.at(-1);
    if (last !== undefined) this.#tornTail = { term: last.term, index: last.index };
  }

  #begin(): void {
    const generation = this.#generation;
    this.#host.after(this.#host.latencyMs(), () => {
      if (generation !== this.#generation) return;
      if (this.#hasFailed) return;
      if (this.#isFailing) {
        this.#hasFailed = true;
        (this.#queue[0] as Operation).done({ kind: 'persistFailed', reason: 'fdatasync failed: EIO' });
        return;
      }
      this.#isHeld = this.#mustWait((this.#queue[0] as Operation).effect);
      if (this.#isHeld) return;
      const operation = this.#queue.shift() as Operation;
      const { kind } = operation.effect;
      if (this.#room !== 'enough' && (kind === 'saveSnapshot' || kind === 'installSnapshot')) {
        this.#takeBack();
        const refusal = kind === 'saveSnapshot' ? 'snapshotRefused' : 'installRefused';
        operation.done({ kind: refusal, reason: 'no room on the device' });
      } else {
        this.durable.apply(operation.effect, operation.freshStamp);
        operation.done(answerTo(operation));
      }
      if (this.#queue.length > 0) this.#begin();
    });
  }

  #mustWait(effect: DiskEffect): boolean {
    if (this.#isStalled) return true;
    if (this.#room !== 'full' || effect.kind !== 'persist' || (effect.batch.entries?.length ?? 0) === 0) return false;
    this.#slack -= 1;
    return this.#slack < 0;
  }

  /** What was asked for is as if it had not been: the images differ by the queue again. */
  #takeBack(): void {
    this.written = this.durable.copy();
    for (const { effect, freshStamp } of this.#queue) this.written.apply(effect, freshStamp);
  }

  #mintStamp(): Stamp {
    return this.#host.chance.hex(16) as Stamp;
  }
}

function answerTo({ effect, freshStamp }: Operation): ClusterInput {
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
