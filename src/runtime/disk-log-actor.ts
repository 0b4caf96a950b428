/**
 * Serves the requests of one log in order, merging the batches that wait into one write (group commit). Synchronous: its host calls
 * `step` while it says that there is more to do. In production the host is a worker thread, in tests the test itself.
 *
 * The first failure of the disk is final (raft.md 11.6): that request, all that wait and all that come are told so, and nothing is
 * tried again. A full disk is none: batches for which there is no room wait, in order, and are answered when there is.
 */
import { present } from '../base/assert.ts';
import type { ClusterId } from '../model/ids.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import type { DiskPort } from '../ports/disk-port.ts';
import { encodeClusterFile } from '../wire/raft/identity.ts';
import { StorageFullError, StoreRefusedError } from './disk-errors.ts';
import { writeFileDurably } from './disk-files.ts';
import { failureOf } from './disk-log-messages.ts';
import type { LogFailure, LogOpening, LogReply, LogRequest } from './disk-log-messages.ts';
import { Wal } from './disk-log-wal.ts';

/** What is merged into one write at most: large enough to be cheap, small enough to be quick. */
const MERGED_BYTES_MAX: number = 4 * 1024 * 1024;
/** Snapshots that may wait for their turn; a node takes one at a time. */
const SNAPSHOTS_WAITING_MAX = 4;

export interface LogHost {
  reply(reply: LogReply): void;
  /** Milliseconds, for durations only. */
  now(): number;
}

type SnapshotRequest = Extract<LogRequest, { kind: 'saveSnapshot' | 'installSnapshot' }>;
type PersistRequest = Extract<LogRequest, { kind: 'persist' }>;

interface Job {
  readonly request: SnapshotRequest;
  readonly slices: Generator<void>;
}

export class LogActor {
  readonly #disk: DiskPort;
  readonly #opening: LogOpening;
  readonly #host: LogHost;
  readonly #wal: Wal;
  /** Bounded by what the core lets wait uncommitted (raft.md 15). */
  readonly #queue: LogRequest[] = [];
  readonly #saves: Job[] = [];
  #install: Job | undefined;
  #clusterId: ClusterId | undefined;
  #failure: LogFailure | undefined;
  #closed = false;
  /** There was no room for the batch at the head, at the last look. */
  #isHeld = false;
  #toldRoom: StorageRoom = 'enough';

  /** Recovers; throws what it finds wrong. The folders must be there. */
  constructor(disk: DiskPort, opening: LogOpening, host: LogHost) {
    this.#disk = disk;
    this.#opening = opening;
    this.#host = host;
    this.#clusterId = opening.clusterId;
    this.#wal = new Wal(disk, {
      walFolder: `${opening.folder}/wal`,
      snapFolder: `${opening.folder}/snap`,
      quarantineFolder: `${opening.folder}/quarantine/${opening.quarantineName}`,
      clusterId: opening.clusterId,
      memberHash: opening.memberHash,
      segmentBytes: opening.segmentBytes,
      firstSegmentBytes: opening.firstSegmentBytes,
    });
    host.reply({ kind: 'opened', recovered: this.#wal.recovered });
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** The last batch could still be mistaken for a torn write: after 5 ms of quiet, call `seal`. */
  get wantsSeal(): boolean {
    return !this.#closed && this.#failure === undefined && !this.#wal.isSealed;
  }

  get room(): StorageRoom {
    return this.#toldRoom;
  }

  /** About every second while `room` is not `enough`. */
  lookForRoom(): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#wal.lookForRoom();
    this.#isHeld = false;
  }

  submit(request: LogRequest): void {
    if (this.#failure !== undefined || this.#closed) this.#refuseLate(request);
    else this.#queue.push(request);
  }

  /** Does one piece of work; false when there was none. */
  step(): boolean {
    if (this.#failure !== undefined || this.#closed) return false;
    let hasWorked = false;
    this.#guard(() => {
      hasWorked = this.#work();
    });
    return hasWorked;
  }

  /** One slice of work that nobody waits for; false when there is none. */
  stepSpare(): boolean {
    if (this.#failure !== undefined || this.#closed || !this.#wal.wantsSpare) return false;
    return this.#guard(() => {
      this.#wal.workOnSpare();
      this.#isHeld = false;
    });
  }

  seal(): void {
    if (!this.wantsSeal || this.#queue.length > 0) return;
    this.#guard(() => {
      const start = this.#host.now();
      const bytes = this.#wal.seal();
      if (bytes > 0) this.#host.reply({ kind: 'done', ids: [], bytes, syncMs: this.#host.now() - start });
    });
  }

  #guard(work: () => void): boolean {
    try {
      work();
      this.#tellRoom();
      return true;
    } catch (error) {
      this.#fail(failureOf(error));
      return false;
    }
  }

  #tellRoom(): void {
    const { room } = this.#wal;
    if (room === this.#toldRoom) return;
    this.#toldRoom = room;
    this.#host.reply({ kind: 'room', room });
  }

  #work(): boolean {
    if (this.#install !== undefined) {
      if (this.#advance(this.#install)) this.#install = undefined;
      return true;
    }
    const head = this.#queue[0];
    if (head === undefined) return this.#advanceSaves();
    if (this.#isHeld) return this.#workBesideHeld();
    switch (head.kind) {
      case 'persist':
        if (!this.#persist()) {
          this.#isHeld = true;
          return this.#workBesideHeld();
        }
        // Batches never stop coming on a busy node; what makes room for them must have its turn too.
        if (this.#wal.needsSpare) this.#wal.workOnSpare();
        this.#advanceSaves();
        return true;
      case 'saveSnapshot':
        this.#queue.shift();
        this.#enqueueSave(head);
        return true;
      default:
        return this.#afterSaves(head);
    }
  }

  /** Snapshots may make room for what is held, and the end of the store does not wait for it. */
  #workBesideHeld(): boolean {
    const closing = this.#queue.find(({ kind }) => kind === 'close');
    if (closing !== undefined) {
      this.#isHeld = false;
      for (const request of this.#queue.splice(0)) if (request !== closing) this.#refuseLate(request);
      this.#queue.push(closing);
      return true;
    }
    const at = this.#queue.findIndex(({ kind }) => kind === 'saveSnapshot');
    const save = at < 0 ? undefined : this.#queue.splice(at, 1)[0];
    if (save?.kind !== 'saveSnapshot') return this.#advanceSaves();
    this.#enqueueSave(save);
    return true;
  }

  /** These wait for snapshots in hand. */
  #afterSaves(head: Extract<LogRequest, { kind: 'installSnapshot' | 'identify' | 'close' }>): boolean {
    if (this.#advanceSaves()) return true;
    this.#queue.shift();
    switch (head.kind) {
      case 'installSnapshot':
        this.#install = { request: head, slices: this.#wal.installSnapshot(head.meta, head.bytes) };
        break;
      case 'identify':
        this.#identify(head.id, head.clusterId);
        break;
      case 'close':
        this.#wal.close();
        this.#closed = true;
        this.#host.reply({ kind: 'done', ids: [head.id], bytes: 0, syncMs: undefined });
        while (this.#queue.length > 0) this.#refuseLate(present(this.#queue.shift(), 'the queue is not empty'));
        break;
    }
    return true;
  }

  /** False when there is no room. */
  #persist(): boolean {
    const merged: PersistRequest[] = [];
    let size = 0;
    for (const request of this.#queue) {
      if (request.kind !== 'persist') break;
      size += request.batch.payload.length;
      if (merged.length > 0 && size > MERGED_BYTES_MAX) break;
      merged.push(request);
    }
    if (!this.#admits(merged)) {
      merged.length = 1;
      if (!this.#admits(merged)) return false;
    }
    this.#queue.splice(0, merged.length);
    const ids = merged.map(({ id }) => id);
    const start = this.#host.now();
    const bytes = this.#wal.write(merged.map(({ batch }) => batch));
    this.#host.reply({ kind: 'done', ids, bytes, syncMs: this.#host.now() - start });
    return true;
  }

  #admits(merged: readonly PersistRequest[]): boolean {
    return this.#wal.admits(merged.map(({ batch }) => batch));
  }

  #enqueueSave(request: Extract<LogRequest, { kind: 'saveSnapshot' }>): void {
    if (this.#saves.length >= SNAPSHOTS_WAITING_MAX) {
      this.#refuse(request.id, new StoreRefusedError(`${SNAPSHOTS_WAITING_MAX} snapshots are waiting already`));
      return;
    }
    this.#saves.push({ request, slices: this.#wal.saveSnapshot(request.meta, request.bytes, request.keepFrom) });
  }

  #advanceSaves(): boolean {
    const job = this.#saves[0];
    if (job === undefined || this.#failure !== undefined) return false;
    if (this.#advance(job)) {
      this.#saves.shift();
      this.#isHeld = false;
    }
    return true;
  }

  /** One slice; true when the job is over, one way or the other. */
  #advance({ request, slices }: Job): boolean {
    try {
      if (slices.next().done !== true) return false;
      this.#host.reply({ kind: 'done', ids: [request.id], bytes: request.bytes.length, syncMs: undefined });
      return true;
    } catch (error) {
      if (!(error instanceof StoreRefusedError || error instanceof StorageFullError)) throw error;
      this.#refuse(request.id, error);
      return true;
    }
  }

  #identify(id: number, clusterId: ClusterId): void {
    if (this.#clusterId === undefined) {
      writeFileDurably(this.#disk, this.#opening.folder, 'CLUSTER', encodeClusterFile(clusterId));
      this.#clusterId = clusterId;
      this.#wal.identify(clusterId);
    }
    if (this.#clusterId === clusterId) this.#host.reply({ kind: 'done', ids: [id], bytes: 0, syncMs: undefined });
    else this.#refuse(id, new StoreRefusedError(`the directory belongs to cluster ${this.#clusterId} for good`));
  }

  #refuse(id: number, error: StoreRefusedError | StorageFullError): void {
    this.#host.reply({ kind: 'refused', id, failure: failureOf(error) });
  }

  #refuseLate(request: LogRequest): void {
    if (this.#failure !== undefined) this.#host.reply({ kind: 'failed', failure: this.#failure });
    else this.#refuse(request.id, new StoreRefusedError('the log store is closed'));
  }

  #fail(failure: LogFailure): void {
    this.#failure = failure;
    this.#queue.length = 0;
    this.#host.reply({ kind: 'failed', failure });
  }
}
