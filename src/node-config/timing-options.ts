/** Who leads, and the times that a cluster goes by, as options: docs/ownership.md section 1, raft.md 4.1. */
import type { z } from 'zod';
import type { RaftProfile } from '../raft/config.ts';
import type { OptionMeta } from './option-table.ts';
import { choice, duration, ratio, toggle, whole } from './option-values.ts';

export interface TimingValues {
  readonly leaderPriority: number;
  readonly raftProfile: RaftProfile;
  /** Milliseconds; undefined: what goes with the profile. */
  readonly lease: number | undefined;
  readonly clockDrift: number;
  readonly ackTimeout: number;
  readonly flapHold: number;
  readonly restartGrace: number;
  readonly leaseReads: boolean;
  readonly hostsNeverSuspend: boolean;
}

type TimingOptions = {
  readonly [Key in keyof TimingValues]: { readonly schema: z.ZodType<TimingValues[Key]>; readonly meta: OptionMeta };
};

/** A lease outlives an ordinary election (docs/ownership.md section 6). */
export const LEASE_MS: Readonly<Record<RaftProfile, number>> = { fast: 900, steady: 3_300 };

export function timingOptions(): TimingOptions {
  return {
    leaderPriority: {
      schema: whole(-100, 100).default(0),
      meta: {
        group: 'Cluster',
        text: 'how much this node is wanted to lead: a healthy leader hands over to a voter of higher priority',
        expected: 'a whole number from -100 to 100',
        valueName: 'number',
        fallback: '0',
      },
    },
    raftProfile: {
      schema: choice(['fast', 'steady']).default('fast'),
      meta: {
        group: 'Cluster',
        text: 'fast: a new leader in half a second; steady: for busy or shared hosts and several sites; the founder decides, for ever',
        expected: 'fast or steady',
        valueName: 'profile',
        fallback: 'fast',
      },
    },
    lease: {
      schema: duration(300, 60_000).optional(),
      meta: {
        group: 'Shards',
        text: 'how long a node may serve its shards without hearing from the leader; the founder decides, for ever',
        expected: 'a duration from 300ms to 1m',
        valueName: 'duration',
        fallback: '900ms, with --raft-profile steady 3300ms',
      },
    },
    clockDrift: {
      schema: ratio(0, 0.2).default(0.02),
      meta: {
        group: 'Shards',
        text: 'by how much two clocks may differ in speed; the founder decides, for ever',
        expected: 'a part from 0 to 20%',
        valueName: 'part',
        fallback: '2%',
      },
    },
    ackTimeout: {
      schema: duration(50, 60_000).default(500),
      meta: {
        group: 'Shards',
        text: 'how long a node may take to let go of shards before its lease must run out',
        expected: 'a duration from 50ms to 1m',
        valueName: 'duration',
        fallback: '500ms',
      },
    },
    flapHold: {
      schema: duration(0, 600_000).default(5_000),
      meta: {
        group: 'Shards',
        text: 'a node that dies for the second time in five minutes gets no shards for so long, then twice as long, up to eight times; 0ms: never',
        expected: 'a duration from 0ms to 10m',
        valueName: 'duration',
        fallback: '5s',
      },
    },
    restartGrace: {
      schema: duration(0, 600_000).default(0),
      meta: {
        group: 'Shards',
        text: 'a node that stops in order keeps its shards for so long, and nobody serves them: for restarts that are shorter than moving shards; 0ms: others take them before it stops',
        expected: 'a duration from 0ms to 10m',
        valueName: 'duration',
        fallback: '0ms',
      },
    },
    leaseReads: {
      schema: toggle().default(false),
      meta: {
        group: 'Cluster',
        text: 'a leader answers reads of keys without asking the others, while its lease runs; needs --hosts-never-suspend',
        expected: 'true or false',
        valueName: undefined,
        fallback: 'false',
      },
    },
    hostsNeverSuspend: {
      schema: toggle().default(false),
      meta: {
        group: 'Cluster',
        text: 'you state that no machine of the cluster is ever suspended, as a virtual one may be: its clock would not count that time',
        expected: 'true or false',
        valueName: undefined,
        fallback: 'false',
      },
    },
  };
}
