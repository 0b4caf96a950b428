/** Gathers from the parts of a node what its standing depends on. */
import type { MonotonicMs } from '../base/machine.ts';
import type { Affiliation } from './affiliation.ts';
import type { ClusterConfig } from './config.ts';
import type { Core } from './core.ts';
import type { Founding } from './founding.ts';
import type { LeaveTaking } from './leave-taking.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { StandingFacts, StandingTracker } from './standing.ts';

export interface StandingSource {
  readonly now: MonotonicMs;
  readonly isStarted: boolean;
  readonly config: ClusterConfig;
  readonly core: Core;
  readonly standing: StandingTracker;
  readonly leaveTaking: LeaveTaking;
  readonly affiliation: Affiliation;
  readonly founding: Founding;
  readonly neighbourhood: Neighbourhood;
}

export function factsOf(source: StandingSource): StandingFacts {
  const { now, isStarted, config, core, standing, leaveTaking, affiliation, founding, neighbourhood } = source;
  const { self, replica, holding } = core;
  const { sharding } = holding;
  return {
    now,
    self,
    kind: config.kind,
    isStarted,
    departure: leaveTaking.phase,
    isDraining: leaveTaking.isDraining,
    clusterId: replica.clusterId,
    leader: standing.leader,
    isLeader: replica.isLeader,
    isInGroup: replica.isInGroup(self),
    configuration: replica.configuration,
    hasMap: sharding.activeMap() !== undefined,
    isMapPending: sharding.pendingVersion !== undefined,
    isInMap: sharding.ownedCount > 0,
    ownsShards: config.ownsShards,
    holdsLease: now < holding.leaseUntil,
    aliveOthers: () => neighbourhood.alive().filter((peer) => peer.member !== self),
    isExcluded: replica.state.isExcluded(self),
    etcd: config.etcd && {
      where: config.etcd.where,
      isReachable: replica.etcd?.isReachable === true,
      failure: replica.etcd?.failure ?? '',
      refusal: replica.etcd?.refusal,
    },
    conflict: affiliation.conflict,
    leaderLostAt: standing.leaderChangedAt,
    stateSince: standing.stateSince,
    startedAt: config.startedAt,
    expect: founding.expect,
    mayFound: founding.mayFound,
    awaited: affiliation.awaited,
  };
}
