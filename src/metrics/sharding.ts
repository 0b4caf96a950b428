/** The shard map, the leases under it, and what it costs to change it. */
import type { Families } from './families.ts';

export function registerSharding(families: Families): void {
  families.gauge('funknode_sharding_shards', 'Shards of the cluster.', ({ stats }) => stats.sharding.shardCount);
  families.gauge(
    'funknode_sharding_shards_owned',
    'Shards that the active map gives to this node.',
    ({ stats }) => stats.sharding.shardsOwned,
  );
  families.gauge(
    'funknode_sharding_shards_loading',
    'Shards that the active map gives to this node and its application is not ready for.',
    ({ stats }) => stats.sharding.shardsLoading,
  );
  families.gauge('funknode_sharding_owners', 'Nodes that own shards in the active map.', ({ view }) =>
    view.shardMap === undefined ? 0 : view.shardMap.owners.length,
  );
  families.gauge(
    'funknode_sharding_map_version',
    'Log index of the proposal that the active map came from.',
    ({ stats }) => stats.sharding.mapVersion,
  );
  families.gauge(
    'funknode_sharding_map_committed_index',
    'Log index at which the active map was committed.',
    ({ stats }) => stats.sharding.mapCommittedAt,
  );
  families.gauge(
    'funknode_sharding_map_pending',
    'Whether a proposed map waits to become active: 1 or 0.',
    ({ view }) => Number(view.pendingVersion !== undefined),
  );
  families.histogram(
    'funknode_sharding_reshard_duration_seconds',
    'From the first proposal of a change to the map that became active, as seen here.',
    ({ tally }) => tally.reshardSeconds,
  );
  registerCoordination(families);
  registerHandOver(families);
}

function registerHandOver(families: Families): void {
  families.counter(
    'funknode_sharding_states_sent_total',
    'Shards whose state this node handed to their next owner.',
    ({ stats }) => stats.sharding.statesSent,
  );
  families.counter(
    'funknode_sharding_states_arrived_total',
    'Shards whose state came here from their last owner.',
    ({ stats }) => stats.sharding.statesArrived,
  );
  families.counter(
    'funknode_sharding_states_delivered_total',
    'Shards that the application was given with the state of their last owner.',
    ({ stats }) => stats.sharding.statesDelivered,
  );
  families.counter(
    'funknode_sharding_states_dropped_total',
    'States of shards that were late, too large, or not of the map that moved the shard.',
    ({ stats }) => stats.sharding.statesDropped,
  );
}

function registerCoordination(families: Families): void {
  families.counter(
    'funknode_sharding_proposals_total',
    'Maps proposed by this node as leader.',
    ({ stats }) => stats.sharding.proposals,
  );
  families.counter(
    'funknode_sharding_commits_total',
    'Maps committed by this node as leader.',
    ({ stats }) => stats.sharding.commits,
  );
  families.counter(
    'funknode_sharding_proposals_voided_total',
    'Proposed maps given up for a newer one.',
    ({ stats }) => stats.sharding.proposalsVoided,
  );
  families.counter(
    'funknode_sharding_shards_moved_total',
    'Shards that changed their owner.',
    ({ stats }) => stats.sharding.shardsMoved,
  );
  families.counter(
    'funknode_sharding_grants_given_total',
    'Lease renewals granted to holders.',
    ({ stats }) => stats.sharding.grantsGiven,
  );
  families.counter(
    'funknode_sharding_grants_refused_total',
    'Lease renewals refused.',
    ({ stats }) => stats.sharding.grantsRefused,
  );
  families.counter(
    'funknode_sharding_renewals_sent_total',
    'Renewals of its own lease that this node asked for.',
    ({ stats }) => stats.sharding.renewalsSent,
  );
  families.counter(
    'funknode_sharding_lease_losses_total',
    'Times the lease of this node ran out.',
    ({ stats }) => stats.sharding.leaseLosses,
  );
  families.counter(
    'funknode_sharding_holders_gone_total',
    'Holders whose lease ran out without a word.',
    ({ stats }) => stats.sharding.holdersGone,
  );
  families.counter(
    'funknode_sharding_acknowledgements_overdue_total',
    'Holders that did not acknowledge a map in time.',
    ({ stats }) => stats.sharding.acknowledgementsOverdue,
  );
}
