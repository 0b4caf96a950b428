/** The log store on disk, as the node sees it: encodes here, writes in a thread of its own, resolves in order. raft.md 11, 12.2. */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { assert, present } from '../base/assert.ts';
import type { ClusterId } from '../model/ids.ts';
import type { PersistBatch, RecoveredLog, SnapshotMeta } from '../model/log.ts';
import type { StorageStats } from '../model/node-stats.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import type { LogStore } from '../ports/log-store.ts';
import { StoreBrokenError, StoreClosedError } from './disk-errors.ts';
import { errorOf } from './disk-log-messages.ts';
import type { LogOpening, LogReply, LogRequest } from './disk-log-messages.ts';
import { encodePersistBatch } from './disk-log-wal.ts';
import { emptyStorageStats, recordSync } from './storage-stats.ts';
import type { OwnStorageStats } from './storage-stats.ts';

/** The other end of the store: the worker thread, or in tests the actor itself. Requests arrive in order, as do replies. */
export interface LogLink {
  post(request: LogRequest, transfer: readonly ArrayBuffer[]): void;
  /** Called once, before the first request. */
  onReply(listener: (reply: LogReply) => void): void;
  /** The other end is gone and no reply will come. */
  onGone(listener: (error: Error) => void): void;
  end(): Promise<void>;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly since: number;
  readonly kind: LogRequest['kind'];
}

export class DiskLog implements LogStore {
  readonly recovered: RecoveredLog;
  readonly #link: LogLink;
  readonly #stats: OwnStorageStats = emptyStorageStats();
  /** By request id, oldest first. As many as the core lets wait uncommitted. */
  readonly #waiting: Map<number, Waiting> = new Map();
  #clusterId: ClusterId | undefined;
  #nextId = 1;
  #lastBatchSeq = Number.NEGATIVE_INFINITY;
  #room: StorageRoom = 'enough';
  #onRoom: ((room: StorageRoom) => void) | undefined;
  #onFailure: ((error: Error) => void) | undefined;
  #failure: Error | undefined;
  #closing: Promise<void> | undefined;

  /** Starts the thread and recovers. Rejects with {@link DamagedLogError} and the like; then nothing stays open. */
  static async open(opening: LogOpening): Promise<DiskLog> {
    return DiskLog.over(workerLink(opening), opening.clusterId);
  }

  /** Over any link; resolves when the other end has recovered. */
  static async over(link: LogLink, clusterId: ClusterId | undefined): Promise<DiskLog> {
    let store: DiskLog | undefined;
    try {
      return await new Promise<DiskLog>((resolve, reject) => {
        link.onGone((error) => {
          if (store !== undefined) store.#fail(error);
          reject(error);
        });
        link.onReply((reply) => {
          if (store !== undefined) store.#onReply(reply);
          else if (reply.kind === 'opened') {
            store = new DiskLog(link, reply.recovered, clusterId);
            resolve(store);
          } else if (reply.kind === 'failed') reject(errorOf(reply.failure));
        });
      });
    } catch (error) {
      await link.end();
      throw error;
    }
  }

  private constructor(link: LogLink, recovered: RecoveredLog, clusterId: ClusterId | undefined) {
    this.#link = link;
    this.recovered = recovered;
    this.#clusterId = clusterId;
  }

  get clusterId(): ClusterId | undefined {
    return this.#clusterId;
  }

  get stats(): Readonly<StorageStats> {
    return this.#stats;
  }

  /** When the oldest batch that is not durable yet was handed over, as `performance.now()`; undefined when none waits (raft.md 12.4). */
  get waitingSinceMs(): number | undefined {
    for (const { kind, since } of this.#waiting.values()) if (kind === 'persist') return since;
    return undefined;
  }

  get room(): StorageRoom {
    return this.#room;
  }

  onRoom(listener: (room: StorageRoom) => void): void {
    this.#onRoom = listener;
    if (this.#room !== 'enough') listener(this.#room);
  }

  onFailure(listener: (error: Error) => void): void {
    this.#onFailure = listener;
    if (this.#failure !== undefined) listener(this.#failure);
  }

  async identify(clusterId: ClusterId): Promise<void> {
    await this.#ask((id) => ({ kind: 'identify', id, clusterId }), []);
    this.#clusterId = clusterId;
  }

  persist(batch: PersistBatch): Promise<void> {
    assert(batch.batchSeq > this.#lastBatchSeq, 'batches come in order');
    this.#lastBatchSeq = batch.batchSeq;
    const encoded = encodePersistBatch(batch);
    return this.#ask((id) => ({ kind: 'persist', id, batch: encoded }), [encoded.payload]);
  }

  /** `bytes` are copied before the call returns. Rejects with {@link StorageFullError} when only the snapshot failed. */
  async saveSnapshot(meta: SnapshotMeta, bytes: Uint8Array, keepFrom: number): Promise<void> {
    // Not `slice`: that of a Buffer would be a view of memory that is not ours to give away.
    const copy = new Uint8Array(bytes);
    await this.#ask((id) => ({ kind: 'saveSnapshot', id, meta, bytes: copy, keepFrom }), [copy]);
    this.#stats.snapshots += 1;
  }

  /** `bytes` are copied before the call returns. Batches persisted after this call wait for it. */
  async installSnapshot(meta: SnapshotMeta, bytes: Uint8Array): Promise<void> {
    const copy = new Uint8Array(bytes);
    await this.#ask((id) => ({ kind: 'installSnapshot', id, meta, bytes: copy }), [copy]);
    this.#stats.snapshots += 1;
  }

  /** Waits for what was asked for, seals the log and ends the thread. */
  close(): Promise<void> {
    // The request to close is posted before `#closing` is set: it is the last one that passes.
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    try {
      if (this.#failure === undefined) await this.#ask((id) => ({ kind: 'close', id }), []);
    } finally {
      this.#failure ??= new StoreClosedError();
      await this.#link.end();
    }
  }

  #ask(request: (id: number) => LogRequest, owned: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const refusal = this.#failure ?? (this.#closing === undefined ? undefined : new StoreClosedError());
      if (refusal !== undefined) {
        reject(refusal);
        return;
      }
      const message = request(this.#nextId++);
      this.#waiting.set(message.id, { resolve, reject, since: performance.now(), kind: message.kind });
      this.#link.post(
        message,
        owned.map(({ buffer }) => buffer).filter((buffer) => buffer instanceof ArrayBuffer),
      );
    });
  }

  #onReply(reply: LogReply): void {
    switch (reply.kind) {
      case 'opened':
        return;
      case 'done':
        if (reply.syncMs !== undefined) recordSync(this.#stats, { bytes: reply.bytes, syncMs: reply.syncMs });
        for (const id of reply.ids) this.#take(id).resolve();
        return;
      case 'room':
        this.#room = reply.room;
        this.#onRoom?.(reply.room);
        return;
      case 'refused':
        this.#take(reply.id).reject(errorOf(reply.failure));
        return;
      case 'failed':
        this.#fail(errorOf(reply.failure));
        return;
    }
  }

  #take(id: number): Waiting {
    const waiting = present(this.#waiting.get(id), 'a reply answers a request');
    this.#waiting.delete(id);
    return waiting;
  }

  /** The first failure answers everything from now on. */
  #fail(error: Error): void {
    const isFirst = this.#failure === undefined;
    this.#failure ??= error;
    const failed = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of failed) reject(this.#failure);
    if (isFirst) this.#onFailure?.(error);
  }
}

function workerLink(opening: LogOpening): LogLink {
  // Compiled, this file and the worker's end in `.js`; run as source, in `.ts`.
  const extension = extname(fileURLToPath(import.meta.url));
  const worker = new Worker(new URL(`./wal-worker${extension}`, import.meta.url), {
    workerData: opening,
    name: 'funknode-wal',
    // Flags of the program that embeds us, such as --input-type, may forbid what we do here.
    execArgv: [],
  });
  return {
    post: (request, transfer) => worker.postMessage(request, transfer),
    onReply: (listener) => worker.on('message', listener),
    onGone: (listener) => {
      worker.on('error', (cause) =>
        listener(new StoreBrokenError(`the thread that writes the log failed: ${String(cause)}`, { cause })),
      );
      worker.on('exit', () => listener(new StoreClosedError()));
    },
    end: async () => {
      await worker.terminate();
    },
  };
}
