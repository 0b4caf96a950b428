/** Consensus. Without samples on a node that has no log. */
import { boundedEntries } from './bounded-entries.ts';
import type { Families } from './families.ts';

/** Voters are seven at most, and one more is a learner at a time; the rest would be a mistake. */
const FOLLOWERS_MAX = 16;

const AILMENT_VALUES = { none: 0, loop: 1, disk: 2 } as const;

export function registerRaft(families: Families): void {
  families.gauge('funknode_raft_term', 'Current term.', ({ stats }) => stats.raft?.term);
  families.gauge('funknode_raft_is_leader', 'Whether this node leads: 1 or 0.', ({ stats }) =>
    stats.raft === undefined ? undefined : Number(stats.raft.isLeader),
  );
  families.gauge(
    'funknode_raft_commit_index',
    'Last log index known to be committed.',
    ({ stats }) => stats.raft?.commitIndex,
  );
  families.gauge('funknode_raft_applied_index', 'Last log index applied.', ({ stats }) => stats.raft?.appliedIndex);
  families.gauge(
    'funknode_raft_last_index',
    'Last log index here, durable or not.',
    ({ stats }) => stats.raft?.lastIndex,
  );
  families.gauge(
    'funknode_raft_durable_index',
    'Last log index that is on disk here.',
    ({ stats }) => stats.raft?.durableIndex,
  );
  families.gauge(
    'funknode_raft_snapshot_index',
    'Last log index inside the newest snapshot.',
    ({ stats }) => stats.raft?.snapshotIndex,
  );
  families.gauge(
    'funknode_raft_log_bytes',
    'Size of the entries after the snapshot.',
    ({ stats }) => stats.raft?.logBytes,
  );
  families.gauge(
    'funknode_raft_voters',
    'Voters of the newest configuration known here.',
    ({ stats }) => stats.raft?.voters,
  );
  families.gauge(
    'funknode_raft_learners',
    'Learners of the newest configuration known here.',
    ({ stats }) => stats.raft?.learners,
  );
  families.gauge(
    'funknode_raft_ailment',
    'Why this node should not lead: 0 nothing, 1 its event loop is late, 2 a write of its log is not durable for 5 s.',
    ({ stats, view }) => (stats.raft === undefined ? undefined : AILMENT_VALUES[view.ailment ?? 'none']),
  );
  registerElectionsAndTraffic(families);
}

function registerElectionsAndTraffic(families: Families): void {
  families.counter(
    'funknode_raft_elections_started_total',
    'Elections this node stood in.',
    ({ stats }) => stats.raft?.electionsStarted,
  );
  families.counter(
    'funknode_raft_elections_won_total',
    'Elections this node won.',
    ({ stats }) => stats.raft?.electionsWon,
  );
  families.counter(
    'funknode_raft_step_downs_total',
    'Times this node stopped leading.',
    ({ stats }) => stats.raft?.stepDowns,
  );
  families.counter('funknode_raft_messages_sent_total', 'Raft messages sent.', ({ stats }) => stats.raft?.messagesSent);
  families.counter(
    'funknode_raft_messages_received_total',
    'Raft messages received.',
    ({ stats }) => stats.raft?.messagesReceived,
  );
  families.counter(
    'funknode_raft_messages_dropped_total',
    'Raft messages refused before they were acted upon.',
    ({ stats }) => stats.raft?.messagesDropped,
  );
  families.counter('funknode_raft_proposals_total', 'Entries proposed here.', ({ stats }) => stats.raft?.proposals);
  families.counter(
    'funknode_raft_proposals_refused_total',
    'Proposals refused: not leading, or too many under way.',
    ({ stats }) => stats.raft?.proposalsRefused,
  );
  families.gauges(
    'funknode_raft_follower_lag_entries',
    'Entries that a voter or learner lacks; told by the leader only.',
    ['peer'],
    ({ stats }) => boundedEntries(stats.raft?.lag ?? {}, FOLLOWERS_MAX),
  );
}
