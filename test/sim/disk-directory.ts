/**
 * A data directory on a simulated disk, kept by the code that ships: what prepares, writes, seals, rotates, compacts, recovers and sets aside
 * is runtime/, a step of the log's thread at a time. Beside it runs the model of what was asked for: whatever a crash leaves, a start must
 * find all that was acknowledged, and nothing that was not asked for (reliability.md 5.5, I-25, I-26).
 */
import type { ClusterInput } from '../../src/cluster/messages.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { type ClusterId, type MemberId, memberId, type Stamp, stampOf } from '../../src/model/ids.ts';
import { EMPTY_RECOVERED_LOG, type RecoveredLog } from '../../src/model/log.ts';
import type { StorageRoom } from '../../src/model/storage-room.ts';
import { finishMovingAside } from '../../src/runtime/data-aside.ts';
import {
  beginAside,
  prepareDirectory,
  quarantineName,
  readDirectory,
  readDissolutions,
  setDataAside,
} from '../../src/runtime/data-directory.ts';
import { DamagedLogError, DiskFailedError } from '../../src/runtime/disk-errors.ts';
import { LogActor } from '../../src/runtime/disk-log-actor.ts';
import { failureOf, type LogReply, type LogRequest } from '../../src/runtime/disk-log-messages.ts';
import { encodePersistBatch } from '../../src/runtime/disk-log-wal.ts';
import { type Chooser, KEEP_ALL, LOSE_ALL, PowerCut, SimulatedDisk } from '../storage/simulated-disk.ts';
import type { Chance } from './chance.ts';
import { isOneOf } from './disk-claims.ts';
import {
  answerTo,
  type Directory,
  type DirectoryHost,
  type DiskEffect,
  type Ending,
  LogImage,
  type NotOpened,
  type Operation,
} from './directory.ts';
import { Violation } from './violation.ts';

const FOLDER = '/disks/node';
const MAY_ROT = /^\/disks\/node\/(?:wal\/|snap\/|CLUSTER$|IDENTITY$)/;
/** As in runtime/wal-worker.ts. */
const SEAL_AFTER_MS = 5;
const LOOK_FOR_ROOM_MS = 1_000;
/** So small that runs of seconds fill several. */
const SEGMENT_BYTES: number = 64 * 1024;
/** A crash comes before one of so many operations of the disk. */
const CRASH_WITHIN = 12;
const START_CRASH_WITHIN = 40;
const START_CRASHES = 0.08;

interface Asked extends Operation {
  readonly id: number;
}

interface OpenedLog {
  readonly member: MemberId;
  readonly clusterId: ClusterId | undefined;
  readonly recovered: RecoveredLog;
}

export class DiskDirectory implements Directory {
  readonly #host: DirectoryHost;
  #disk: SimulatedDisk = emptyDisk();
  #actor: LogActor | undefined;
  /** Asked for and not answered, oldest first. */
  #asked: Asked[] = [];
  #lastId = 0;
  #generation = 0;
  #isScheduled = false;
  #isStalled = false;
  #isLooking = false;
  #isMakingSpare = false;
  #lastSubmission = 0;
  #room: StorageRoom = 'enough';
  #hasFailed = false;
  /** A sector has gone bad since a start found all in order. */
  #isRotten = false;
  /** What a start may find, since the last one that came to its end. */
  #claims: { readonly durable: LogImage; readonly asked: readonly Asked[] } | undefined;
  #timesSetAside = 0;
  onRoom: ((room: StorageRoom) => void) | undefined;
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

  open(): RecoveredLog | NotOpened {
    const { chance } = this.#host;
    if (chance.isHit(START_CRASHES)) this.#crashInStart(chance.below(START_CRASH_WITHIN));
    try {
      return this.#open();
    } catch (error) {
      this.#generation += 1;
      this.#actor = undefined;
      if (error instanceof DiskFailedError) return { why: 'failed', text: error.message };
      return { why: 'damaged', text: this.#refusalOf(error) };
    }
  }

  setAside(): void {
    // As runtime/data-directory.ts, setDirectoryAside; peers and the cluster that was followed are files of their own, and stay.
    // Even the note of what is moved needs room: where there is none, the operator makes some first.
    this.setRoom('enough');
    finishMovingAside(this.#disk, FOLDER);
    const stamp = this.#mintStamp();
    setDataAside(this.#disk, FOLDER, this.#asideName(), {
      randomBytes: () => Buffer.from(stamp, 'hex'),
      now: () => 0,
    });
    this.#forgetData();
  }

  submit(effect: DiskEffect, done: (input: ClusterInput) => void): void {
    const operation: Asked = { effect, freshStamp: this.#mintStamp(), done, id: ++this.#lastId };
    this.written.apply(effect, operation.freshStamp);
    this.#asked.push(operation);
    this.#lastSubmission = this.#lastId;
    this.#actor?.submit(requestOf(operation));
    this.#schedule();
  }

  crash(how: Ending): void {
    this.#generation += 1;
    this.onRoom = undefined;
    this.onFailure = undefined;
    if (this.#actor !== undefined && !this.#isStalled && !this.#hasFailed) this.#goOn(how);
    this.#actor = undefined;
    this.#claims ??= { durable: this.durable, asked: this.#asked };
    this.#asked = [];
    this.#isScheduled = false;
    this.#isStalled = false;
    this.#isLooking = false;
    this.#isMakingSpare = false;
    this.#lose(how === 'poweredOff');
  }

  wipe(): void {
    this.#disk = emptyDisk();
    this.peers = [];
    this.followed = undefined;
    this.#forgetData();
  }

  get room(): StorageRoom {
    return this.#room;
  }

  setRoom(room: StorageRoom): void {
    this.#disk.capacityBytes = room === 'enough' ? Number.POSITIVE_INFINITY : this.#disk.usedBytes;
  }

  setStalled(isStalled: boolean): void {
    this.#isStalled = isStalled;
    if (!isStalled) this.#schedule();
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  failNext(): void {
    this.#disk.failOnce(this.#host.chance.pick(['sync', 'write', 'shortWrite'] as const) ?? 'sync', 'EIO', '/wal/');
  }

  mend(): void {
    this.#disk.clearFaults();
    this.setRoom('enough');
  }

  get isRotten(): boolean {
    return this.#isRotten;
  }

  rot(chance: Chance): boolean {
    // The last batch, before the next one has proved it durable, cannot be told from a torn one when it rots within those 5 ms.
    if (this.#isRotten || this.#actor === undefined || this.#actor.wantsSeal || this.#asked.length > 0) return false;
    const found = chance.pick([...this.#disk.files()].filter(([path, { length }]) => length > 0 && MAY_ROT.test(path)));
    if (found === undefined) return false;
    const [path, { length }] = found;
    this.#disk.rot(path, chance.below(length), chance.isHit(0.5) ? 1 << chance.below(8) : undefined);
    this.#isRotten = true;
    return true;
  }

  #open(): RecoveredLog {
    const { member, clusterId, recovered } = this.#openLog(this.#mintStamp());
    const image = imageOf(recovered, stampOf(member), clusterId);
    image.dissolutions = readDissolutions(this.#disk, FOLDER, member);
    this.#judge(image);
    this.durable = image;
    this.written = image.copy();
    this.#claims = undefined;
    this.#isRotten = false;
    this.#hasFailed = false;
    this.#room = 'enough';
    return recovered;
  }

  /** As runtime/data-directory.ts does it; who is new there is called `freshStamp`. */
  #openLog(freshStamp: Stamp): OpenedLog {
    const { identity, opening } = prepareDirectory(this.#disk, FOLDER, {
      nodeId: this.#host.nodeId,
      segmentBytes: SEGMENT_BYTES,
      randomBytes: () => Buffer.from(freshStamp, 'hex'),
      now: () => 0,
    });
    const generation = this.#generation;
    let recovered = EMPTY_RECOVERED_LOG;
    this.#actor = new LogActor(this.#disk, opening, {
      now: () => 0,
      reply: (reply) => {
        if (reply.kind === 'opened') ({ recovered } = reply);
        else if (generation === this.#generation) this.#onReply(reply);
      },
    });
    return { member: memberId(identity.nodeId, identity.stamp), clusterId: opening.clusterId, recovered };
  }

  /** A start that is interrupted, by a kill or a loss of power, and another one. */
  #crashInStart(operations: number): void {
    this.#claims ??= { durable: this.durable, asked: [] };
    this.#disk.cutPowerAfter(operations);
    try {
      this.#open();
    } catch (error) {
      if (![PowerCut, DamagedLogError, DiskFailedError].some((type) => error instanceof type)) throw error;
    }
    this.#generation += 1;
    this.#actor = undefined;
    this.#lose(this.#host.chance.isHit(0.5));
  }

  /** What is left of the disk, and what a start would find there. */
  #lose(isPowerLost: boolean): void {
    const { capacityBytes } = this.#disk;
    this.#disk = isPowerLost ? this.#disk.afterCrash(this.#chooser()) : this.#disk.afterKill();
    this.#disk.capacityBytes = capacityBytes;
    this.#room = 'enough';
    try {
      const { identity, clusterId, log } = readDirectory(FOLDER, this.#disk);
      const image = imageOf(log, identity?.stamp ?? this.durable.stamp, clusterId);
      image.dissolutions = this.durable.dissolutions;
      this.#judge(image);
      this.durable = image;
    } catch (error) {
      // A move that was interrupted is finished before anything is read; and whoever refuses now says so at the start.
      if (!this.#disk.exists(`${FOLDER}/ASIDE`)) this.#refusalOf(error);
    }
    this.written = this.durable.copy();
  }

  #judge(image: LogImage): void {
    if (this.#claims === undefined) return;
    const { durable, asked } = this.#claims;
    if (isOneOf(image, durable, asked, { mayFallBack: this.#isRotten })) return;
    const { nodeId } = this.#host;
    throw new Violation(
      `I-25: ${nodeId} finds ${textOf(image)} where ${textOf(durable)} was durable and ${asked.map(({ effect }) => effect.kind).join(', ') || 'nothing'} under way`,
    );
  }

  #refusalOf(error: unknown): string {
    if (!(error instanceof DamagedLogError)) throw error;
    if (!this.#isRotten)
      throw new Violation(`I-26: ${this.#host.nodeId} refuses what no fault has touched: ${error.message}`);
    return error.message;
  }

  #forgetData(): void {
    this.durable = new LogImage(this.#mintStamp());
    this.written = this.durable.copy();
    this.#claims = undefined;
    this.#isRotten = false;
  }

  /** The thread goes on for a moment: how far, nobody knows. One that is stopped in order finishes its work. */
  #goOn(how: Ending): void {
    const { chance } = this.#host;
    if (how === 'stopped' && chance.isHit(0.7)) this.#actor?.submit({ kind: 'close', id: ++this.#lastId });
    else this.#disk.cutPowerAfter(chance.below(CRASH_WITHIN));
    try {
      while (this.#step());
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
    }
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isStalled || this.#actor === undefined) return;
    this.#isScheduled = true;
    this.#after(this.#host.latencyMs(), () => {
      this.#isScheduled = false;
      if (!this.#isStalled) this.#work();
    });
  }

  #work(): void {
    const hasWorked = this.#step();
    const actor = this.#actor as LogActor;
    if (actor.room !== 'enough') this.#lookForRoom();
    if (this.#asked.length > 0) {
      if (hasWorked) this.#schedule();
    } else if (actor.wantsSeal) {
      const last = this.#lastSubmission;
      this.#after(SEAL_AFTER_MS, () => {
        if (last === this.#lastSubmission && !this.#isStalled) this.#seal();
      });
    }
  }

  /** One piece of work; false when there is none. */
  #step(): boolean {
    const actor = this.#actor as LogActor;
    const head = this.#asked[0];
    if (head?.effect.kind !== 'resetLog' || !actor.isClosed) return actor.step();
    this.#startOver(head, head.effect);
    return !this.#hasFailed;
  }

  /** As runtime/data-directory.ts does it, once the log is closed. */
  #startOver(operation: Asked, { dissolved }: Extract<DiskEffect, { kind: 'resetLog' }>): void {
    const dissolutions = dissolved === undefined ? [] : [...this.durable.dissolutions, dissolved];
    try {
      beginAside(this.#disk, FOLDER, this.#asideName(), dissolutions);
      this.durable.apply(operation.effect, operation.freshStamp);
      const { member } = this.#openLog(operation.freshStamp);
      if (stampOf(member) !== operation.freshStamp) throw new Violation(`${member} was to begin anew`);
    } catch (error) {
      if (!(error instanceof DiskFailedError)) throw error;
      this.#onReply({ kind: 'failed', failure: failureOf(error) });
      return;
    }
    this.#asked.shift();
    this.#isRotten = false;
    operation.done(answerTo(operation));
  }

  #seal(): void {
    this.#actor?.seal();
    if (!this.#isMakingSpare) this.#workOnSpare();
  }

  #workOnSpare(): void {
    this.#isMakingSpare = this.#actor?.stepSpare() === true;
    if (!this.#isMakingSpare) {
      this.#schedule();
      return;
    }
    this.#after(this.#host.latencyMs(), () => this.#workOnSpare());
  }

  #lookForRoom(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#after(LOOK_FOR_ROOM_MS, () => {
      this.#isLooking = false;
      this.#actor?.lookForRoom();
      if (!this.#isMakingSpare && !this.#isStalled) this.#workOnSpare();
      if (this.#actor !== undefined && this.#actor.room !== 'enough') this.#lookForRoom();
    });
  }

  #onReply(reply: Exclude<LogReply, { kind: 'opened' }>): void {
    switch (reply.kind) {
      case 'room':
        this.#room = reply.room;
        this.onRoom?.(reply.room);
        return;
      case 'done':
        for (const id of reply.ids) this.#onDone(id);
        return;
      case 'refused': {
        const { effect, done } = this.#take(reply.id);
        this.written = this.durable.copy();
        for (const { effect: asked, freshStamp } of this.#asked) this.written.apply(asked, freshStamp);
        const isForRoom = reply.failure.kind === 'full';
        const kind = effect.kind === 'saveSnapshot' ? 'snapshotRefused' : 'installRefused';
        done({ kind: isForRoom ? kind : 'persistFailed', reason: JSON.stringify(reply.failure) });
        return;
      }
      case 'failed':
        this.#hasFailed ||= reply.failure.kind === 'disk';
        this.#claims ??= { durable: this.durable.copy(), asked: [...this.#asked] };
        for (const { done } of this.#asked.splice(0))
          done({ kind: 'persistFailed', reason: JSON.stringify(reply.failure) });
        this.onFailure?.(JSON.stringify(reply.failure));
        return;
    }
  }

  #onDone(id: number): void {
    // A reset waits for its log to be closed, and for more.
    if (this.#asked.find((asked) => asked.id === id)?.effect.kind === 'resetLog') return;
    const operation = this.#take(id);
    this.durable.apply(operation.effect, operation.freshStamp);
    operation.done(answerTo(operation));
  }

  #take(id: number): Asked {
    const at = this.#asked.findIndex((asked) => asked.id === id);
    if (at < 0) throw new Violation(`the log of ${this.#host.nodeId} answers request ${id} again`);
    return this.#asked.splice(at, 1)[0] as Asked;
  }

  #after(delayMs: number, act: () => void): void {
    const generation = this.#generation;
    this.#host.after(delayMs, () => {
      if (generation === this.#generation) act();
    });
  }

  #chooser(): Chooser {
    const { chance } = this.#host;
    if (chance.isHit(0.3)) return LOSE_ALL;
    return chance.isHit(0.2) ? KEEP_ALL : { pick: (options) => chance.below(options) };
  }

  #asideName(): string {
    this.#timesSetAside += 1;
    return quarantineName(this.#timesSetAside * 1_000);
  }

  #mintStamp(): Stamp {
    return this.#host.chance.hex(16) as Stamp;
  }
}

function requestOf({ id, effect }: Asked): LogRequest {
  switch (effect.kind) {
    case 'persist':
      return { kind: 'persist', id, batch: encodePersistBatch(effect.batch) };
    case 'saveSnapshot':
      return { kind: 'saveSnapshot', id, meta: effect.meta, bytes: effect.bytes, keepFrom: effect.keepFrom };
    case 'installSnapshot':
      return { kind: 'installSnapshot', id, meta: effect.meta, bytes: effect.bytes };
    case 'identify':
      return { kind: 'identify', id, clusterId: effect.clusterId };
    case 'resetLog':
      return { kind: 'close', id };
  }
}

function imageOf(
  { hardState, snapshot, entries, commitHint }: RecoveredLog,
  stamp: Stamp,
  clusterId: ClusterId | undefined,
): LogImage {
  const image = new LogImage(stamp);
  return Object.assign(image, { hardState, snapshot, entries: [...entries], commitHint, clusterId });
}

function emptyDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  const parent = FOLDER.slice(0, FOLDER.lastIndexOf('/'));
  disk.makeFolder(parent);
  disk.makeFolder(FOLDER);
  disk.syncFolder('');
  disk.syncFolder(parent);
  return disk;
}

function textOf({ clusterId, hardState, snapshot, firstIndex, lastIndex, stamp }: LogImage): string {
  const held = `entries ${firstIndex} to ${lastIndex}, snapshot ${snapshot?.meta.lastLog.index ?? 'none'}`;
  return `${stamp} of ${clusterId ?? 'no cluster'}: term ${hardState.term}, vote ${hardState.vote}, ${held}`;
}
