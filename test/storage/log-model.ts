/** What a log should hold, as arrays, and a log actor over a simulated disk to compare it with. */
import assert from 'node:assert/strict';
import { EMPTY_BYTES } from '../../src/base/bytes.ts';
import type { ClusterId, LogIndex, MemberId, Term } from '../../src/model/ids.ts';
import type { Configuration, Entry, HardState, PersistBatch, RecoveredLog, SnapshotMeta } from '../../src/model/log.ts';
import type { DiskPort } from '../../src/ports/disk-port.ts';
import { LogActor } from '../../src/runtime/disk-log-actor.ts';
import type { LogOpening, LogReply } from '../../src/runtime/disk-log-messages.ts';
import { errorOf } from '../../src/runtime/disk-log-messages.ts';
import { encodePersistBatch } from '../../src/runtime/disk-log-wal.ts';
import { PowerCut, SimulatedDisk } from './simulated-disk.ts';

export const CLUSTER = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;
export const MEMBER = 'n1@0123456789abcdef' as MemberId;
export const CONFIGURATION: Configuration = {
  voters: [MEMBER],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};
export const FOLDER = '/data';
/** A header and three slots: rotation comes soon. */
const SMALL_SEGMENT: number = 16 * 1024;

export type Operation =
  | { readonly kind: 'persist'; readonly batch: Omit<PersistBatch, 'batchSeq' | 'underTerm'> }
  | { readonly kind: 'save'; readonly meta: SnapshotMeta; readonly bytes: Uint8Array; readonly keepFrom: number }
  | { readonly kind: 'install'; readonly meta: SnapshotMeta; readonly bytes: Uint8Array }
  /** Five quiet milliseconds. */
  | { readonly kind: 'quiet' };

export interface LogState {
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
  readonly snapshot: RecoveredLog['snapshot'];
  readonly commitHint: number;
  readonly next: number;
  readonly keepFrom: number;
}

export const EMPTY_STATE: LogState = {
  hardState: { term: 0 as Term, vote: null },
  entries: [],
  snapshot: undefined,
  commitHint: 0,
  next: 1,
  keepFrom: 1,
};

export function entry(index: number, term: number, size = 20): Entry {
  const data = new Uint8Array(size).map((_, i) => (index * 31 + term * 7 + i) & 0xff);
  return { index: index as LogIndex, term: term as Term, kind: size === 0 ? 'noop' : 'command', data };
}

export function entries(first: number, count: number, term: number, size = 20): Entry[] {
  return Array.from({ length: count }, (_, i) => entry(first + i, term, size));
}

export function hardState(term: number, vote: MemberId | null = null): HardState {
  return { term: term as Term, vote };
}

export function snapshotMeta(index: number, term: number): SnapshotMeta {
  const lastLog = { term: term as Term, index: index as LogIndex };
  return { clusterId: CLUSTER, lastLog, configuration: CONFIGURATION, configurationIndex: 1 as LogIndex };
}

/** What an operation makes of the log. */
export function after(state: LogState, operation: Operation): LogState {
  switch (operation.kind) {
    case 'quiet':
      return state;
    case 'persist': {
      const { batch } = operation;
      const from = Math.min(batch.truncateFrom ?? state.next, batch.entries?.[0]?.index ?? state.next);
      const kept = [...state.entries.filter(({ index }) => index < from), ...(batch.entries ?? [])];
      const next = Math.min(from, state.next) + (batch.entries?.length ?? 0);
      const commitHint = Math.max(state.commitHint, Math.min(batch.commitHint ?? 0, next - 1));
      return { ...state, hardState: batch.hardState ?? state.hardState, entries: kept, next, commitHint };
    }
    case 'save': {
      const keepFrom = Math.max(state.keepFrom, Math.min(operation.keepFrom, operation.meta.lastLog.index + 1));
      const kept = state.entries.filter(({ index }) => index >= keepFrom);
      return { ...state, entries: kept, keepFrom, snapshot: { meta: operation.meta, bytes: operation.bytes } };
    }
    case 'install': {
      const { index } = operation.meta.lastLog;
      const snapshot = { meta: operation.meta, bytes: operation.bytes };
      const commitHint = Math.max(state.commitHint, index);
      return { ...state, entries: [], next: index + 1, keepFrom: index + 1, snapshot, commitHint };
    }
  }
}

export function sameState(recovered: RecoveredLog, state: LogState): boolean {
  try {
    assertState(recovered, state);
    return true;
  } catch (error) {
    if (error instanceof assert.AssertionError) return false;
    throw error;
  }
}

export function assertState(recovered: RecoveredLog, state: LogState): void {
  const { hardState: held, entries: list, snapshot, commitHint } = recovered;
  assert.deepEqual(
    { hardState: held, entries: list.map(plain), snapshot: plainSnapshot(snapshot), commitHint },
    {
      hardState: state.hardState,
      entries: state.entries.map(plain),
      snapshot: plainSnapshot(state.snapshot),
      commitHint: state.commitHint,
    },
  );
}

/** A log over a disk, driven by hand. */
export class DrivenLog<Disk extends DiskPort = SimulatedDisk> {
  readonly disk: Disk;
  readonly actor: LogActor;
  readonly replies: LogReply[] = [];
  /** How many operations were acknowledged, in order. */
  acknowledged = 0;
  #nextId = 1;

  constructor(disk: Disk, options: Partial<LogOpening> = {}) {
    this.disk = disk;
    const opening: LogOpening = {
      folder: FOLDER,
      clusterId: CLUSTER,
      memberHash: new Uint8Array(8).fill(7),
      segmentBytes: SMALL_SEGMENT,
      firstSegmentBytes: SMALL_SEGMENT,
      quarantineName: 'then',
      ...options,
    };
    this.actor = new LogActor(disk, opening, { reply: (reply) => this.replies.push(reply), now: () => 0 });
  }

  get recovered(): RecoveredLog {
    const [first] = this.replies;
    assert.equal(first?.kind, 'opened');
    return (first as Extract<LogReply, { kind: 'opened' }>).recovered;
  }

  /** Everything that is asked for at once is merged as a busy node's batches are. */
  submit(operations: readonly Operation[]): void {
    for (const operation of operations) {
      const id = this.#nextId++;
      switch (operation.kind) {
        case 'persist': {
          const batch = { ...operation.batch, batchSeq: id, underTerm: 1 as Term };
          this.actor.submit({ kind: 'persist', id, batch: encodePersistBatch(batch) });
          break;
        }
        case 'save':
          this.actor.submit({ ...operation, kind: 'saveSnapshot', id });
          break;
        case 'install':
          this.actor.submit({ ...operation, kind: 'installSnapshot', id });
          break;
        case 'quiet':
          this.actor.seal();
          while (this.actor.stepSpare());
          this.#nextId -= 1;
          break;
      }
    }
    while (this.actor.step());
  }

  /** One by one; false when the power failed or the disk did. */
  run(operations: readonly Operation[]): boolean {
    for (const operation of operations) {
      this.submit([operation]);
      if (this.failure !== undefined) return false;
      this.acknowledged += 1;
    }
    return true;
  }

  get failure(): Error | undefined {
    const failed = this.replies.find((reply) => reply.kind === 'failed');
    return failed?.kind === 'failed' ? errorOf(failed.failure) : undefined;
  }

  /** Ids that were answered as durable. */
  get done(): number[] {
    return this.replies.flatMap((reply) => (reply.kind === 'done' ? reply.ids : []));
  }

  close(): void {
    this.actor.submit({ kind: 'close', id: this.#nextId++ });
    while (this.actor.step());
  }
}

export function newDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  for (const folder of ['', '/wal', '/snap', '/quarantine']) disk.makeFolder(`${FOLDER}${folder}`);
  for (const parent of ['', FOLDER]) disk.syncFolder(parent);
  return disk;
}

/** Opens a log that may lose power while it recovers; undefined when it did. */
export function tryOpen(disk: SimulatedDisk): DrivenLog | undefined {
  try {
    return new DrivenLog(disk);
  } catch (error) {
    if (error instanceof PowerCut) return undefined;
    throw error;
  }
}

function plain({ index, term, kind, data }: Entry): unknown {
  return { index, term, kind, data: Buffer.from(data).toString('hex') };
}

function plainSnapshot(snapshot: RecoveredLog['snapshot']): unknown {
  return { meta: snapshot?.meta, bytes: Buffer.from(snapshot?.bytes ?? EMPTY_BYTES).toString('hex') };
}
