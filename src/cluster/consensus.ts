/** What the replica needs of whatever agrees on the log: the Raft core, or a standalone etcd. */
import type { MonotonicMs } from '../base/machine.ts';
import type { EtcdLogEffect } from '../etcd/messages.ts';
import type { RaftStats } from '../model/node-stats.ts';
import type { RaftInput, RaftReadings } from '../raft/messages.ts';

export interface Consensus extends RaftReadings {
  readonly isConfigurationDurable: boolean;
  readonly unsyncedSince: MonotonicMs | undefined;
  readonly compactFloor: number;
  readonly stats: RaftStats;
  step(input: RaftInput, now: MonotonicMs, effects: EtcdLogEffect[]): void;
  tick(now: MonotonicMs, effects: EtcdLogEffect[]): void;
  nextDeadline(): MonotonicMs;
  check(): void;
}
