/**
 * The write-ahead log, open for writing. raft.md 11.2 to 11.7. Synchronous; long jobs are generators that yield between slices, so that
 * batches can be written meanwhile. Any `DiskFailedError` it throws is final: the owner must never call it again, for after a failed
 * sync nobody knows what is durable, and a second sync would lie.
 */
import { assert } from '../base/assert.ts';
import type { ClusterId, LogIndex, Term } from '../model/ids.ts';
import { NO_INDEX } from '../model/ids.ts';
import type { HardState, PersistBatch, RecoveredLog, SnapshotMeta } from '../model/log.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import type { DiskPort } from '../ports/disk-port.ts';
import { ALIGN_BYTES, batchSize, encodeBatch } from '../wire/raft/batch.ts';
import { encodeRecords, recordsOf } from '../wire/raft/record.ts';
import type { LogRecord, Retention, SnapshotReference } from '../wire/raft/record.ts';
import type { SegmentHeader } from '../wire/raft/segment.ts';
import { snapshotFileName } from '../wire/raft/snapshot-file.ts';
import { StorageFullError, StoreRefusedError } from './disk-errors.ts';
import { removeDrafts } from './disk-files.ts';
import { recoverWal } from './disk-log-recovery.ts';
import type { RecoveredWal, SegmentName, WalPlace } from './disk-log-recovery.ts';
import type { ScannedBatch } from './disk-log-scan.ts';
import { SegmentFiles } from './disk-log-segments.ts';
import { LogShape } from './disk-log-shape.ts';
import { listSnapshots, writeSnapshot } from './disk-snapshots.ts';

export interface WalSettings extends WalPlace {
  /** Of every segment but the first. */
  readonly segmentBytes: number;
  /** Of the very first segment, and the free room after a restart: small, so that starting is quick. */
  readonly firstSegmentBytes: number;
  /** Where files go that nobody refers to; made when needed. */
  readonly quarantineFolder: string;
}

/** A persist batch, encoded where it was asked for; `runs` says which entries are in it. */
export interface EncodedBatch {
  readonly payload: Uint8Array;
  readonly recordCount: number;
  readonly hardState: HardState | undefined;
  readonly truncateFrom: LogIndex | undefined;
  readonly runs: readonly { readonly first: LogIndex; readonly count: number; readonly term: Term }[];
  readonly commitHint: LogIndex | undefined;
}

export function encodePersistBatch(batch: PersistBatch): EncodedBatch {
  const records = recordsOf(batch);
  const runs: { first: LogIndex; count: number; term: Term }[] = [];
  for (const { index, term } of batch.entries ?? []) {
    const run = runs[runs.length - 1];
    if (run !== undefined && run.term === term && run.first + run.count === index) run.count += 1;
    else runs.push({ first: index, count: 1, term });
  }
  return {
    payload: encodeRecords(records),
    recordCount: records.length,
    hardState: batch.hardState,
    truncateFrom: batch.truncateFrom,
    runs,
    commitHint: batch.commitHint,
  };
}

export class Wal {
  readonly recovered: RecoveredLog;
  readonly #disk: DiskPort;
  readonly #settings: WalSettings;
  #clusterId: ClusterId | undefined;
  /** All that are kept, the active one last. */
  #segments: SegmentName[] = [];
  readonly #files: SegmentFiles;
  #sequence: number;
  #chain: number;
  #hardState: HardState;
  #commitHint: LogIndex;
  #retention: Retention;
  #shape: LogShape;
  /** The last batch is proven durable by a later one. */
  #sealed: boolean;
  #scratch: Uint8Array = new Uint8Array(64 * 1024);

  /** Recovers, makes durable what was read, and throws away what nobody needs. The folders must be there. */
  constructor(disk: DiskPort, settings: WalSettings) {
    this.#disk = disk;
    this.#settings = settings;
    this.#clusterId = settings.clusterId;
    const found = recoverWal(disk, settings);
    this.recovered = found.log;
    this.#hardState = found.log.hardState;
    this.#commitHint = found.log.commitHint;
    this.#retention = found.retention;
    this.#shape = found.shape;
    this.#segments = found.segments.map(({ name, segment, firstIndex }) => ({ name, segment, firstIndex }));
    this.#files = new SegmentFiles(disk, settings.walFolder, settings.segmentBytes);
    const last = found.segments[found.segments.length - 1];
    this.#sequence = last?.scan.nextSequence ?? 1;
    this.#chain = last?.scan.chain ?? 0;
    this.#sealed = isSealed(last?.scan.batches);
    if (last !== undefined) this.#files.reopen(last, found.log.tornTail, settings.firstSegmentBytes);
    if (last === undefined || last.scan.ended) {
      this.#files.readySpare(0, settings.firstSegmentBytes);
      this.#publishSpare();
    }
    this.#clean(found);
  }

  get isSealed(): boolean {
    return this.#sealed;
  }

  get wantsSpare(): boolean {
    return this.#files.wantsSpare;
  }

  get needsSpare(): boolean {
    return this.#files.needsSpare;
  }

  get room(): StorageRoom {
    return this.#files.room;
  }

  /** Looks whether there is room again, for the next batch or spare. */
  lookForRoom(): void {
    this.#files.lookForRoom();
  }

  /** Whether `write` of these can be done now. False when there is no room, and then nothing has changed. */
  admits(batches: readonly EncodedBatch[]): boolean {
    const size = batchSize(batches.reduce((sum, { payload }) => sum + payload.length, 0));
    const hasEntries = batches.some(({ runs }) => runs.length > 0);
    return this.#files.admits(size, hasEntries ? 'other' : 'essential');
  }

  /** One slice of making a spare segment. */
  workOnSpare(): void {
    this.#files.workOnSpare();
  }

  /** From now on, new segments name the cluster. */
  identify(clusterId: ClusterId): void {
    this.#clusterId = clusterId;
  }

  /** One write, one sync; all of them are durable when it returns. Returns how many bytes were written. Ask `admits` first. */
  write(batches: readonly EncodedBatch[]): number {
    const payloadSize = batches.reduce((sum, { payload }) => sum + payload.length, 0);
    this.#makeRoom(batchSize(payloadSize)); // Before the state changes: a new header repeats the state of the batches before it.
    let truncatedFrom = 0;
    for (const batch of batches) {
      if (batch.truncateFrom !== undefined)
        truncatedFrom = Math.min(truncatedFrom || batch.truncateFrom, batch.truncateFrom);
      this.#take(batch);
    }
    const recordCount = batches.reduce((sum, batch) => sum + batch.recordCount, 0);
    const payloads = batches.map(({ payload }) => payload);
    const bytes = this.#append(payloads, recordCount, truncatedFrom as LogIndex);
    this.#sealed = false;
    return bytes;
  }

  /** Proves the batch before it durable, so that damage to it can be told from a torn write. Not worth the last room there is. */
  seal(): number {
    if (this.#sealed || !this.#files.admits(ALIGN_BYTES, 'other')) return 0;
    this.#sealed = true;
    return this.#writeRecord({ kind: 'seal' });
  }

  /** Writes a snapshot and, when it is durable, its reference; then forgets what is not needed (raft.md 10.2). */
  *saveSnapshot(meta: SnapshotMeta, bytes: Uint8Array, keepFrom: number): Generator<void> {
    const { index } = meta.lastLog;
    const newest = this.#retention.snapshots[0];
    if (index >= this.#shape.next) throw new StoreRefusedError(`a snapshot at ${index} is beyond the log`);
    if (newest !== undefined && index < newest.lastLog.index) {
      throw new StoreRefusedError(`a snapshot at ${index} is older than the one at ${newest.lastLog.index}`);
    }
    let { snapshots } = this.#retention;
    if (newest?.lastLog.index !== index) {
      const written = yield* writeSnapshot(this.#disk, this.#settings.snapFolder, meta, bytes);
      snapshots = [written, ...snapshots].slice(0, 2);
    }
    // What it lets go makes room: worth the last there is.
    if (!this.#files.admits(ALIGN_BYTES, 'essential')) throw this.#giveUpSnapshot(meta);
    const kept = Math.max(this.#retention.keepFrom, Math.min(keepFrom, index + 1)) as LogIndex;
    const oldestSegment = this.#oldestSegmentFor(kept);
    this.#retention = { snapshots, keepFrom: kept, oldestSegment };
    this.#shape.forgetBefore(kept);
    this.#writeRecord({ kind: 'snapshot', retention: this.#retention });
    this.#sealed = false;
    this.#removeForgotten();
  }

  /** Replaces the log by a snapshot; the header of a new segment is the commit point (raft.md 10.4). Nothing may be written meanwhile. */
  *installSnapshot(meta: SnapshotMeta, bytes: Uint8Array): Generator<void> {
    const { lastLog } = meta;
    const newest = this.#retention.snapshots[0];
    if (newest !== undefined && lastLog.index < newest.lastLog.index) {
      throw new StoreRefusedError(`a snapshot at ${lastLog.index} is older than the one at ${newest.lastLog.index}`);
    }
    let reference: SnapshotReference;
    if (newest !== undefined && newest.lastLog.index === lastLog.index && newest.lastLog.term === lastLog.term)
      reference = newest;
    else reference = yield* writeSnapshot(this.#disk, this.#settings.snapFolder, meta, bytes);
    if (!this.#files.tryReadySpare(0)) throw this.#giveUpSnapshot(meta);
    this.#writeRecord({ kind: 'segmentEnd' });
    const keepFrom = (lastLog.index + 1) as LogIndex;
    this.#shape = new LogShape(keepFrom, lastLog);
    // What others agreed on while this member was out of touch: it never heard of that term, so it has no vote in it.
    if (lastLog.term > this.#hardState.term) this.#hardState = { term: lastLog.term, vote: null };
    this.#commitHint = Math.max(this.#commitHint, lastLog.index) as LogIndex;
    this.#retention = { snapshots: [reference], keepFrom, oldestSegment: this.#files.segment + 1 };
    this.#publishSpare();
    this.#removeForgotten();
  }

  /** Seals the log and lets the files go. */
  close(): void {
    this.seal();
    this.abandon();
  }

  /** Lets the files go as they are. */
  abandon(): void {
    this.#files.close();
  }

  /** Nothing refers to it, and its room is needed. */
  #giveUpSnapshot({ lastLog }: SnapshotMeta): StorageFullError {
    this.#removeUnreferenced();
    return new StorageFullError(`${this.#settings.snapFolder}/${snapshotFileName(lastLog)}`);
  }

  #take(batch: EncodedBatch): void {
    if (batch.hardState !== undefined) {
      const { term, vote } = this.#hardState;
      assert(batch.hardState.term >= term, 'the term never goes back');
      const isSameTerm = batch.hardState.term === term;
      assert(!isSameTerm || vote === null || batch.hardState.vote === vote, 'a vote is given once in a term');
      this.#hardState = batch.hardState;
    }
    if (batch.truncateFrom !== undefined) {
      assert(batch.truncateFrom >= this.#retention.keepFrom, 'the log is never truncated into what was compacted');
      this.#shape.truncate(batch.truncateFrom);
    }
    for (const { first, count, term } of batch.runs) {
      this.#shape.truncate(first);
      for (let i = 0; i < count; i++) this.#shape.append(first + i, term);
    }
    assert(this.#shape.tail.term <= this.#hardState.term, 'no entry is of a later term than the node knows');
    const hint = Math.min(batch.commitHint ?? 0, this.#shape.next - 1);
    this.#commitHint = Math.max(this.#commitHint, hint) as LogIndex;
  }

  #writeRecord(record: LogRecord): number {
    const payload = encodeRecords([record]);
    if (record.kind !== 'segmentEnd') this.#makeRoom(batchSize(payload.length));
    return this.#append([payload], 1, NO_INDEX);
  }

  #append(payloads: readonly Uint8Array[], recordCount: number, truncatedFrom: LogIndex): number {
    const size = batchSize(payloads.reduce((sum, payload) => sum + payload.length, 0));
    if (this.#scratch.length < size) this.#scratch = new Uint8Array(size);
    const bytes = this.#scratch.subarray(0, size);
    const { segment } = this.#files;
    const { tail } = this.#shape;
    const fields = { sequence: this.#sequence, segment, prevChain: this.#chain, tail, truncatedFrom, recordCount };
    const chain = encodeBatch(bytes, fields, payloads);
    this.#files.append(bytes);
    this.#sequence += 1;
    this.#chain = chain;
    return size;
  }

  #makeRoom(size: number): void {
    if (this.#files.hasRoomFor(size)) return;
    this.#files.readySpare(size);
    this.#writeRecord({ kind: 'segmentEnd' });
    this.#publishSpare();
  }

  #publishSpare(): void {
    const header: SegmentHeader = {
      clusterId: this.#clusterId,
      memberHash: this.#settings.memberHash,
      segment: this.#files.segment + 1,
      firstSequence: this.#sequence,
      prevChain: this.#chain,
      firstIndex: this.#shape.next,
      hardState: this.#hardState,
      commitHint: this.#commitHint,
      retention: this.#retention,
      tornTail: undefined,
    };
    this.#segments.push(this.#files.publishSpare(header));
    this.#sealed = true;
  }

  /** A segment may go when the one after it began at or below the first entry that is kept. */
  #oldestSegmentFor(keepFrom: number): number {
    let oldest = this.#segments[0] as SegmentName;
    for (const segment of this.#segments) if (segment.firstIndex <= keepFrom) oldest = segment;
    return oldest.segment;
  }

  #removeForgotten(): void {
    const { oldestSegment } = this.#retention;
    const { walFolder } = this.#settings;
    const gone = this.#segments.filter(({ segment }) => segment < oldestSegment);
    this.#segments = this.#segments.filter(({ segment }) => segment >= oldestSegment);
    for (const { name } of gone) this.#disk.remove(`${walFolder}/${name}`);
    if (gone.length > 0) this.#disk.syncFolder(walFolder);
    this.#removeUnreferenced();
    // Whatever went, there is more room than before.
    this.#files.lookForRoom();
  }

  #removeUnreferenced(): void {
    const { snapFolder } = this.#settings;
    const { snapshots } = this.#retention;
    const referenced = new Set(snapshots.map(({ lastLog }) => snapshotFileName(lastLog)));
    const unwanted = listSnapshots(this.#disk, snapFolder).filter(({ name }) => !referenced.has(name));
    for (const { name } of unwanted) this.#disk.remove(`${snapFolder}/${name}`);
    if (unwanted.length > 0) this.#disk.syncFolder(snapFolder);
  }

  /** After recovery: leftovers of compactions go; snapshots that came too early to be referred to are moved aside. */
  #clean(found: RecoveredWal): void {
    const { walFolder, snapFolder, quarantineFolder } = this.#settings;
    for (const { name } of found.leftovers) this.#disk.remove(`${walFolder}/${name}`);
    removeDrafts(this.#disk, walFolder);
    removeDrafts(this.#disk, snapFolder);
    const referenced = new Set(found.retention.snapshots.map(({ lastLog }) => snapshotFileName(lastLog)));
    const oldest = found.retention.snapshots[found.retention.snapshots.length - 1]?.lastLog.index ?? NO_INDEX;
    for (const { name, lastLog } of listSnapshots(this.#disk, snapFolder)) {
      if (referenced.has(name)) continue;
      if (lastLog.index < oldest) this.#disk.remove(`${snapFolder}/${name}`);
      else {
        this.#disk.makeFolder(quarantineFolder);
        this.#disk.rename(`${snapFolder}/${name}`, `${quarantineFolder}/${name}`);
        this.#disk.syncFolder(quarantineFolder);
      }
    }
    this.#disk.syncFolder(walFolder);
    this.#disk.syncFolder(snapFolder);
  }
}

/** No batch, or one that claims nothing, is last: nothing can be mistaken for a torn write. */
function isSealed(batches: readonly ScannedBatch[] | undefined): boolean {
  const last = batches?.[batches.length - 1]?.records[0]?.kind;
  return last === undefined || last === 'seal' || last === 'segmentEnd';
}
