/** When the log is cut, and what is kept of it. raft.md 10.1. */
import type { Random } from '../base/random.ts';
import { randomBelow } from '../base/random.ts';
import { type LogIndex, NO_INDEX } from '../model/ids.ts';

export interface SnapshotPolicy {
  /** Entries between two snapshots; a jitter of a tenth keeps voters from writing theirs together. */
  readonly entries: number;
  /** Bytes of entries that make a snapshot due earlier. */
  readonly bytes: number;
  /** Entries kept below a snapshot, so that a slow peer needs none. */
  readonly trailing: number;
  /** Entries between two digests of the state; `DIGEST_ENTRIES` by default. */
  readonly digests?: number;
}

export const DEFAULT_SNAPSHOT_POLICY: SnapshotPolicy = { entries: 10_000, bytes: 32 * 1024 * 1024, trailing: 5_000 };

export class SnapshotSchedule {
  readonly #policy: SnapshotPolicy;
  readonly #random: Random;
  #index: LogIndex = NO_INDEX;
  #after: number;
  #bytesSince = 0;
  #isPending = false;
  /** Room is short: the next one comes at once, and keeps no more than it must. */
  #isUrgent = false;

  constructor(policy: SnapshotPolicy, random: Random) {
    this.#policy = policy;
    this.#random = random;
    this.#after = this.#draw();
  }

  /** Of the newest snapshot. */
  get index(): LogIndex {
    return this.#index;
  }

  set index(index: LogIndex) {
    this.#index = index;
  }

  onEntry(bytes: number): void {
    this.#bytesSince += bytes;
  }

  /** The log should give back what room it can. */
  hasten(): void {
    this.#isUrgent = true;
  }

  isDue(applied: LogIndex): boolean {
    if (this.#isPending) return false;
    const entries = applied - this.#index;
    return (this.#isUrgent && entries > 0) || entries >= this.#after || this.#bytesSince >= this.#policy.bytes;
  }

  /** One is asked for, at `applied`; from where on the log is kept, unless it is still needed from further below. */
  begin(applied: LogIndex): number {
    const trailing = this.#isUrgent ? 0 : this.#policy.trailing;
    this.#isPending = true;
    this.#isUrgent = false;
    this.#bytesSince = 0;
    this.#after = this.#draw();
    return applied - trailing;
  }

  /** By this node, or where all keep theirs by another. */
  onSaved(index: LogIndex): void {
    if (!this.#isPending) this.#bytesSince = 0;
    this.#isPending = false;
    this.#index = index;
  }

  /** There was no room for it: tried again when the next entries are applied, a tenth of the policy later. */
  onRefused(applied: LogIndex): void {
    this.#isPending = false;
    this.#after = applied - this.#index + Math.ceil(this.#policy.entries / 10);
  }

  #draw(): number {
    return this.#policy.entries + randomBelow(this.#random, Math.ceil(this.#policy.entries / 10));
  }
}
