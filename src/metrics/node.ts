/** The node as a whole: what it is, what state it is in, whether it may serve. */
import type { NodeRole, NodeState } from '../model/node-state.ts';
import type { Waiting } from '../model/node-view.ts';
import type { Families } from './families.ts';

const STATES: readonly NodeState[] = [
  'Invalid',
  'Starting',
  'Joining',
  'Voting',
  'Resharding',
  'Operational',
  'Draining',
  'Stopping',
];
const ROLES: readonly NodeRole[] = ['Unknown', 'Follower', 'Leader', 'NonVoter', 'NonMember'];
const WAITING_REASONS: readonly Waiting['reason'][] = ['quorum', 'members', 'leader', 'conflict'];

export function registerNode(families: Families): void {
  families.info('funknode_build_info', 'What runs here; always 1.', ['version', 'node_version'], ({ version }) => [
    version,
    process.version,
  ]);
  families.info(
    'funknode_node_info',
    'Which node of which cluster this is; always 1. The cluster id is empty while the node is undecided.',
    ['node', 'cluster', 'cluster_id', 'kind'],
    ({ view }) => [view.id, view.clusterName, view.clusterId ?? '', view.kind],
  );
  families.gauge(
    'funknode_node_uptime_seconds',
    'Since this node was started.',
    ({ nowMs, tally }) => (nowMs - tally.since) / 1_000,
  );
  families.gauge(
    'funknode_node_cluster_created_timestamp_seconds',
    'When the cluster was founded, Unix time.',
    ({ view }) => (view.clusterCreatedMs === undefined ? undefined : view.clusterCreatedMs / 1_000),
  );
  registerStates(families);
  families.gauges('funknode_node_role', 'The role of this node: 1 for the one it has.', ['role'], ({ view }) =>
    ROLES.map((role) => [role, Number(role === view.role)]),
  );
  families.gauge(
    'funknode_node_lease_held',
    'Whether this node holds a lease to serve its shards: 1 or 0.',
    ({ view }) => Number(view.holdsLease),
  );
  families.gauge('funknode_node_leader_known', 'Whether this node knows who leads: 1 or 0.', ({ view }) =>
    Number(view.leader !== undefined),
  );
  families.gauges(
    'funknode_node_waiting',
    'What the node waits for and cannot bring about by itself: 1 for the reason.',
    ['reason'],
    ({ view }) => WAITING_REASONS.map((reason) => [reason, Number(view.waiting?.reason === reason)]),
  );
  families.gauge(
    'funknode_node_waiting_seconds',
    'For how long it has been waiting; 0 when it is not.',
    ({ view, nowMs }) => (view.waiting === undefined ? 0 : Math.max(0, nowMs - view.waiting.since) / 1_000),
  );
  families.counters('funknode_node_events_total', 'Events of this node by kind.', ['kind'], ({ tally }) =>
    Object.entries(tally.eventCounts),
  );
}

function registerStates(families: Families): void {
  families.gauges('funknode_node_state', 'The state of this node: 1 for the one it is in.', ['state'], ({ view }) =>
    STATES.map((state) => [state, Number(state === view.state)]),
  );
  families.gauge(
    'funknode_node_state_age_seconds',
    'For how long it has been in this state.',
    ({ view, nowMs }) => Math.max(0, nowMs - view.stateSince) / 1_000,
  );
  families.counters('funknode_node_state_entries_total', 'How often each state was entered.', ['state'], ({ tally }) =>
    Object.entries(tally.stateEntries),
  );
  families.counters('funknode_node_state_seconds_total', 'Time spent in each state.', ['state'], ({ tally, nowMs }) =>
    Object.entries(tally.stateMs(nowMs)).map(([state, ms]) => [state, ms / 1_000]),
  );
}
