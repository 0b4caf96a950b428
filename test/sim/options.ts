/** What one run is like: drawn from its seed, so that each run leaves out most faults (swarm testing, reliability.md 6). */
import { Chance } from './chance.ts';

export const FAULT_FAMILIES = [
  'kill',
  'powerOff',
  'powerCut',
  'pause',
  'midTurnPause',
  'suspend',
  'clockStep',
  'slowNode',
  'split',
  'isolate',
  'oneWay',
  'bridge',
  'pairCut',
  'flap',
  'peerPortsOnly',
  'gossipPortsOnly',
  'leave',
  'stepDown',
  'drain',
  'churn',
  'configure',
  'newAddress',
  'freshDisk',
  'rot',
  'slowDisk',
  'failedWrite',
  'fullDisk',
] as const;

export type FaultFamily = (typeof FAULT_FAMILIES)[number];

/** A fault that somebody has decided on before the run (schedule.ts). */
export interface PlannedFault {
  /** Since harm began. */
  readonly at: number;
  readonly family: FaultFamily;
  /** By number; if it does not run then, nothing is done. */
  readonly machine: number;
  /** Names the stream of chance that the fault draws from: how long, which halves, when it comes back. */
  readonly number: number;
}

/** What takes voters away, if only for a while. */
export const SHRINKING: readonly FaultFamily[] = ['leave', 'churn', 'powerCut'];

export interface NetworkOptions {
  readonly delayMinMs: number;
  readonly delayMeanMs: number;
  /** From here on only while harm is done. Datagrams lost, multicast included; a stream retransmits instead and is late. */
  readonly loss: number;
  /** Datagrams only. */
  readonly duplication: number;
  /** A datagram or segment that is late by up to a second and a half. */
  readonly lateness: number;
  /** So many datagrams bring an old one with them, sent again out of the last few hundred, whoever has been restarted since. */
  readonly replay: number;
}

export interface SimulationOptions {
  readonly seed: number;
  readonly voters: number;
  readonly nonVoters: number;
  readonly shards: number;
  readonly votersWanted: number;
  /** How much machines are wanted to lead, in their order; 0 for those that are not named. */
  readonly priorities: readonly number[];
  /** What the machines' options say of the lease at their first start. */
  readonly leaseMs: number;
  readonly restartGraceMs: number;
  /** A standalone etcd keeps the log, and nobody votes. */
  readonly hasEtcd: boolean;
  /** Voters' data lies in files, written by the code that ships, on disks that lose what was not synced (disk-directory.ts). */
  readonly hasFiles: boolean;
  /** Clients of the application on the shards. */
  readonly clients: number;
  readonly network: NetworkOptions;
  /** Of what the application asks of its store, this part takes up to three seconds. */
  readonly storeLateness: number;
  /** Clients wait so long for an answer. */
  readonly patienceMs: number;
  readonly diskMs: number;
  /** Largest error of a clock's rate, either way. */
  readonly clockDrift: number;
  readonly faults: readonly FaultFamily[];
  /** Mean time between two faults; Infinity for none. */
  readonly faultEveryMs: number;
  readonly faultsForMs: number;
  /** Faults begin with the founding rather than after it. */
  readonly isFoundingDisturbed: boolean;
  /** Entries between two snapshots, and kept below them. */
  readonly snapshots: { readonly entries: number; readonly trailing: number } | undefined;
  /** A loop turn comes so late at most. */
  readonly turnDelayMs: number;
  /** Of the faults that the seed draws, by number, those that are left out: how a failing seed is made smaller (shrink.ts). */
  readonly faultsLeftOut: readonly number[];
  /** These faults, and none that the seed would draw. */
  readonly schedule: readonly PlannedFault[] | undefined;
}

export const QUIET_NETWORK: NetworkOptions = {
  delayMinMs: 0.1,
  delayMeanMs: 0.2,
  loss: 0,
  duplication: 0,
  lateness: 0,
  replay: 0,
};

/** No fault at all: what a run starts from. */
export function quietOptions(seed: number, overrides: Partial<SimulationOptions> = {}): SimulationOptions {
  return {
    seed,
    voters: 3,
    nonVoters: 0,
    shards: 48,
    votersWanted: 5,
    priorities: [],
    leaseMs: 900,
    restartGraceMs: 0,
    hasEtcd: false,
    hasFiles: false,
    clients: 0,
    network: QUIET_NETWORK,
    storeLateness: 0.05,
    patienceMs: 1_500,
    diskMs: 1,
    clockDrift: 0.02,
    faults: [],
    faultEveryMs: Number.POSITIVE_INFINITY,
    faultsForMs: 0,
    isFoundingDisturbed: false,
    snapshots: undefined,
    turnDelayMs: 0.3,
    faultsLeftOut: [],
    schedule: undefined,
    ...overrides,
  };
}

/** So many times as much harm as the seed draws. */
export function longerHarm(seed: number, factor: number): Partial<SimulationOptions> {
  return factor === 1 ? {} : { faultsForMs: Math.round(drawOptions(seed).faultsForMs * factor) };
}

export function drawOptions(seed: number): SimulationOptions {
  const chance = new Chance(seed, 'options');
  const isFoundingDisturbed = chance.isHit(0.25);
  // Both together were left out once: a stream of its own lets all other draws be what they were.
  const families = FAULT_FAMILIES.filter(
    (family) => family !== 'rot' && family !== 'configure' && !(isFoundingDisturbed && family === 'powerCut'),
  );
  const faults: FaultFamily[] = families.filter(() => chance.isHit(0.35));
  if (isFoundingDisturbed && new Chance(seed, 'powerCut').isHit(0.35)) faults.push('powerCut');
  // Streams of their own, too.
  const hasEtcd = new Chance(seed, 'who keeps the log').isHit(0.08);
  const disks = new Chance(seed, 'disks');
  const hasFiles = disks.isHit(0.8);
  if (hasFiles && disks.isHit(0.35)) {
    // Rot waits for clusters that do not shrink by themselves (nemesis.ts), which would be rare.
    const isSteady = disks.isHit(0.7);
    const kept = faults.filter((family) => !(isSteady && SHRINKING.includes(family)));
    faults.splice(0, faults.length, ...kept, 'rot');
  }
  const wishes = new Chance(seed, 'wishes of operators');
  const priorities = wishes.isHit(0.2) ? Array.from({ length: 7 }, () => wishes.below(4)) : [];
  if (wishes.isHit(0.25)) faults.push('configure');
  const restartGraceMs = wishes.isHit(0.2) ? wishes.between(500, 4_000) : 0;
  const isLan = chance.isHit(0.6);
  return quietOptions(seed, {
    voters: votersOf(seed, 1 + chance.below(7)),
    nonVoters: chance.isHit(0.5) ? chance.below(4) : 0,
    votersWanted: chance.pick([1, 3, 5, 5, 5, 7]) ?? 5,
    clients: chance.below(5),
    network: {
      delayMinMs: isLan ? 0.1 : chance.between(0.1, 5),
      delayMeanMs: isLan ? 0.3 : chance.between(0.3, 8),
      loss: chance.isHit(0.4) ? chance.between(0, 0.15) : 0,
      duplication: chance.isHit(0.3) ? chance.between(0, 0.2) : 0,
      lateness: chance.isHit(0.3) ? chance.between(0, 0.01) : 0,
      replay: chance.isHit(0.3) ? chance.between(0, 0.2) : 0,
    },
    diskMs: chance.isHit(0.7) ? chance.between(0.2, 2) : chance.between(2, 15),
    clockDrift: chance.isHit(0.7) ? 0.02 : 0,
    priorities,
    restartGraceMs,
    hasEtcd,
    hasFiles,
    faults: faults.length > 0 ? faults : ['kill'],
    faultEveryMs: chance.isHit(0.5) ? chance.between(300, 1_500) : chance.between(1_500, 6_000),
    faultsForMs: chance.between(10_000, 25_000),
    isFoundingDisturbed,
    snapshots: chance.isHit(0.4) ? { entries: 3 + chance.below(20), trailing: chance.below(8) } : undefined,
    turnDelayMs: chance.isHit(0.8) ? 0.3 : chance.between(0.3, 15),
  });
}

/** Every 25th seed has a single voter, so that no hundred of them has too few (strata.test.ts). */
function votersOf(seed: number, drawn: number): number {
  return seed % 25 === 1 ? 1 : drawn;
}
