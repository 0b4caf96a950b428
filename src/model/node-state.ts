/** The states and roles a node reports, by clusterfunk's names. */

export type NodeState =
  | 'Invalid'
  | 'Starting'
  | 'Joining'
  | 'Voting'
  | 'Resharding'
  | 'Operational'
  | 'Draining'
  | 'Stopping';

export type NodeRole = 'Unknown' | 'Follower' | 'Leader' | 'NonVoter' | 'NonMember';

/** What the operator asked the node to be (`--role`). */
export type NodeKind = 'voter' | 'non-voter' | 'non-member';
