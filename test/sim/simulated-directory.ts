/**
 * A data directory: what the process has written and what would survive, one batch at a time, each durable as a whole or absent as
 * a whole (ports/log-store.ts). A crash keeps or loses the batch under way, and may leave its torn beginning behind.
 */
import type { ClusterInput } from '../../src/cluster/messages.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { ClusterId, Stamp } from '../../src/model/ids.ts';
import type { LogId, RecoveredLog } from '../../src/model/log.ts';
import type { StorageRoom } from '../../src/model/storage-room.ts';
import {
  answerTo,
  type Directory,
  type DirectoryHost,
  type DiskEffect,
  LogImage,
  type Operation,
} from './directory.ts';

/** What is on its way when a node is told that its disk is full. */
const SLACK_BATCHES = 4;

export class SimulatedDirectory implements Directory {
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
  onRoom: ((room: StorageRoom) => void) | undefined;
  /** Only writes that somebody waits for fail here. */
  onFailure: ((reason: string) => void) | undefined;
  written: LogImage;
  durable: LogImage;
  peers: readonly Endpoint[] = [];
  followed: ClusterId | undefined;

  constructor(host: DirectoryHost) {
    this.#host = host;
    this.durable = new LogImage(this.#mintStamp());
    this.written = this.durable.copy();
  }

  get hasCluster(): boolean {
    return this.written.clusterId !== undefined || this.followed !== undefined;
  }

  open(): RecoveredLog {
    const { hardState, snapshot, entries, commitHint } = this.written;
    const tornTail = this.#tornTail;
    this.#tornTail = undefined;
    this.#isFailing = false;
    this.#hasFailed = false;
    return { hardState, snapshot, entries: [...entries], commitHint, tornTail };
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  failNext(): void {
    this.#isFailing = true;
  }

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

  wipe(): void {
    this.durable = new LogImage(this.#mintStamp());
    this.written = this.durable.copy();
    this.peers = [];
    this.followed = undefined;
    this.#tornTail = undefined;
  }

  /** Batches are whole or absent here, and never rot. */
  rot(): boolean {
    return false;
  }

  get isRotten(): boolean {
    return false;
  }

  setAside(): void {
    throw new Error('nothing here is ever refused');
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
