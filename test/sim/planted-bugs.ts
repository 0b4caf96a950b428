/** The bugs that the net must catch, each by a checker of its own kind. Rows of raft.md 17, ownership.md 8 and reliability.md 9. */
import type { Change } from './planting.ts';

export interface PlantedBug extends Change {
  readonly name: string;
  /** Which simulator hunts it: the Raft cores alone, whole nodes, or gossip alone. */
  readonly by: 'raft' | 'node' | 'gossip';
  /** What the net says when it has caught the bug. */
  readonly foundBy: RegExp;
  /** It must be found within so many seeds. */
  readonly seeds: number;
  /** Too slow to find for every run. */
  readonly isRare?: true;
}

const RAFT_BUGS: readonly PlantedBug[] = [
  {
    name: 'P-1: a vote is not durable when it is given',
    by: 'raft',
    file: 'src/raft/voting.js',
    rule: "state.sendDurably(from, {\n        kind: 'voteResp',",
    broken: "state.send(from, {\n        kind: 'voteResp',",
    foundBy: /I-14|I-8/,
    seeds: 20,
  },
  {
    name: 'P-4: a vote is asked for before the own log is durable',
    by: 'raft',
    file: 'src/raft/candidate.js',
    rule: "state.sendDurably(voter, { kind: 'voteReq'",
    broken: "state.send(voter, { kind: 'voteReq'",
    foundBy: /I-14/,
    seeds: 20,
  },
  {
    name: 'a second vote in one term',
    by: 'raft',
    file: 'src/raft/voting.js',
    rule: 'if (state.vote !== null && state.vote !== from)',
    broken: 'if (false)',
    foundBy: /I-1\b|I-8/,
    seeds: 500,
  },
  {
    name: 'P-10: logs are compared by their index alone',
    by: 'raft',
    file: 'src/raft/log.js',
    rule: 'return other.term > own.term || (other.term === own.term && other.index >= own.index);',
    broken: 'return other.index >= own.index;',
    foundBy: /I-/,
    seeds: 500,
  },
  {
    name: 'P-8: an entry of an older term is committed by counting',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: ' || state.log.termAt(reached) !== state.term',
    broken: '',
    foundBy: /I-12/,
    seeds: 500,
  },
  {
    name: 'P-6: a follower commits beyond what was verified',
    by: 'raft',
    file: 'src/raft/follower.js',
    rule: 'Math.min(message.commit, end)',
    broken: 'Math.min(message.commit, state.log.lastIndex)',
    foundBy: /I-/,
    seeds: 6_000,
    isRare: true,
  },
  {
    name: 'P-45: learners count for a majority',
    by: 'raft',
    file: 'src/raft/quorum.js',
    rule: 'const incoming = majorityValue(configuration.voters, reached);',
    broken: 'const incoming = majorityValue([...configuration.voters, ...configuration.learners], reached);',
    foundBy: /I-/,
    seeds: 500,
  },
  {
    name: 'P-73: a transfer that was given up can still be obeyed',
    by: 'raft',
    file: 'src/raft/voting.js',
    rule: 'return cancelledTransfer.term !== transfer.term || transfer.seq > cancelledTransfer.seq;',
    broken: 'return true;',
    foundBy: /I-33/,
    seeds: 3_000,
    isRare: true,
  },
  {
    name: 'P-74: stickiness is asked for a newer term alone',
    by: 'raft',
    file: 'src/raft/voting.js',
    rule: 'if (!isLiveTransfer(state, message) && state.isBoundToLeader)',
    broken: 'if (false)',
    foundBy: /I-33/,
    seeds: 3_000,
    isRare: true,
  },
  {
    name: 'P-71: a voter that has just started is not careful',
    by: 'raft',
    file: 'src/raft/state.js',
    rule: 'return this.clock.healthyMs < this.config.electionMs;',
    broken: 'return false;',
    foundBy: /I-33|I-18/,
    seeds: 3_000,
    isRare: true,
  },
  {
    name: 'an overwritten entry is not taken off the disk',
    by: 'raft',
    file: 'src/raft/follower.js',
    rule: 'state.outbox.markTruncated(index);',
    broken: '',
    foundBy: /./,
    seeds: 500,
  },
];

const OWNERSHIP: readonly PlantedBug[] = [
  {
    name: 'O-1: losers go on serving while a map is pending',
    rule: 'byActive && byPending !== false',
    broken: 'byActive',
    foundBy: /SO-1|LIN|O-1/,
    seeds: 50,
  },
  {
    name: 'O-2: a lease counts from the receipt of its grant',
    rule: '(grant) => grant.sentAt',
    broken: '(grant) => grant.receivedAt',
    foundBy: /SO-1|LIN/,
    seeds: 500,
    isRare: true as const,
  },
  {
    name: 'O-7: winners start when a map is proposed',
    rule: 'byActive && byPending !== false',
    broken: 'byPending ?? byActive',
    foundBy: /SO-1|LIN|O-1/,
    seeds: 100,
  },
  {
    name: 'O-9: a leader grants without its own lease',
    rule: ' && leader.holdsLease',
    broken: '',
    foundBy: /SO-1|LIN|I-/,
    seeds: 500,
    isRare: true as const,
  },
  {
    name: 'O-14: a new leader waits for nobody',
    rule: 'Math.max(times.electedAt, times.recordedAt ?? Number.NEGATIVE_INFINITY)',
    broken: '(times.recordedAt ?? Number.NEGATIVE_INFINITY)',
    foundBy: /SO-1|LIN/,
    seeds: 500,
    isRare: true as const,
  },
  {
    name: 'O-17: any acknowledgement of a release will do',
    rule: 'released === version',
    broken: 'released > 0',
    foundBy: /SO-1|LIN/,
    seeds: 60,
  },
  {
    name: 'O-13: a new boot of a name is trusted to be the only one',
    rule: 'oldBoot.newLocked && oldBoot.isVoter && oldBoot.seenAfter',
    broken: 'true',
    foundBy: /SO-1|LIN/,
    seeds: 500,
    isRare: true as const,
  },
].map((bug) => ({ ...bug, by: 'node', file: 'src/sharding/rules.js' }));

const NODE_BUGS: readonly PlantedBug[] = [
  ...OWNERSHIP,
  {
    name: 'a node serves without a lease',
    by: 'node',
    file: 'src/cluster/cluster.js',
    rule: 'return this.#core.holding.leaseUntil;',
    broken: 'return Number.POSITIVE_INFINITY;',
    foundBy: /SO-1|LIN/,
    seeds: 50,
  },
  {
    name: 'a fencing token stays when its shard moves',
    by: 'node',
    file: 'src/sharding/map-state.js',
    rule: 'const epochs = new Float64Array(shardCount).fill(index);',
    broken: 'const epochs = new Float64Array(shardCount).fill(this.#active === undefined ? index : 1);',
    foundBy: /SO-7|LIN/,
    seeds: 20,
  },
  {
    name: 'a resource does not look at the fencing token (P-52)',
    by: 'node',
    file: 'test/sim/guarded-store.js',
    rule: '            return false;',
    broken: '            cell.token = cell.token;',
    foundBy: /LIN/,
    seeds: 500,
    isRare: true,
  },
  {
    name: 'a client takes a write that nobody answered for one that failed',
    by: 'node',
    file: 'test/sim/clients.js',
    rule: "if (operation !== undefined && operation.input.kind !== 'read') {",
    broken: 'if (false) {',
    foundBy: /LIN/,
    seeds: 50,
  },
  {
    name: 'a change may leave voters of whom no majority answers',
    by: 'node',
    file: 'src/raft/leader.js',
    rule: 'if (!this.#hearsQuorum(plan.configuration))',
    broken: 'if (false)',
    foundBy: /./,
    seeds: 2_000,
    isRare: true,
  },
  {
    name: 'who asks for a removed voter again is told that it is one already',
    by: 'node',
    file: 'src/cluster/steward.js',
    rule: 'this.#leadsForSure(now)) {',
    broken: 'true) {',
    foundBy: /healing|again|readmissions/,
    seeds: 2_000,
    isRare: true,
  },
];

const GOSSIP_BUGS: readonly PlantedBug[] = [
  {
    name: 'G-2: an alive claim of the same incarnation is believed',
    by: 'gossip',
    file: 'src/swim/claim.js',
    rule: 'return claim.incarnation > held.incarnation;',
    broken: 'return claim.incarnation >= held.incarnation;',
    foundBy: /refutation|incarnation|joined while/,
    seeds: 20,
  },
  {
    name: 'G-4: nobody refutes',
    by: 'gossip',
    file: 'src/swim/membership.js',
    rule: 'this.#incarnation = Math.max(this.#incarnation, accusedIncarnation) + 1;',
    broken: 'if (accusedIncarnation >= 0) return;',
    foundBy: /./,
    seeds: 20,
  },
];

export const PLANTED_BUGS: readonly PlantedBug[] = [...RAFT_BUGS, ...NODE_BUGS, ...GOSSIP_BUGS];
