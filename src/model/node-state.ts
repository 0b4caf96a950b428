/** The states and roles a node reports, by clusterfunk's names. */

export type NodeState =
  /** Not started. */
  | 'Invalid'
  /** Data and sockets are being opened. */
  | 'Starting'
  /** In gossip, of no cluster yet or not in its map. */
  | 'Joining'
  /** No leader is known, or none has confirmed this node's lease lately. */
  | 'Voting'
  /** There is no map yet, or a new one is proposed; shards that do not move are served. */
  | 'Resharding'
  /** There are a leader and an active map, and this node's lease runs if it owns shards. */
  | 'Operational'
  /** Its shards move away. */
  | 'Draining'
  /** On the way out of the cluster. */
  | 'Stopping';

/** A `NonVoter` is a learner or follows without a vote; a `NonMember` gossips only; `Unknown` is of no cluster yet. */
export type NodeRole = 'Unknown' | 'Follower' | 'Leader' | 'NonVoter' | 'NonMember';

/** What the operator asked the node to be (`--role`). */
export type NodeKind = 'voter' | 'non-voter' | 'non-member';
