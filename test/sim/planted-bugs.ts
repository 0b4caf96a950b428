/** The bugs that the net must catch, each by a checker of its own kind. Rows of raft.md 17, ownership.md 8 and reliability.md 9. */
import type { SimulationOptions } from './options.ts';
import { ETCD_BUGS } from './planted-etcd-bugs.ts';
import { KV_BUGS } from './planted-kv-bugs.ts';
import { QUIET_BUGS } from './planted-quiet-bugs.ts';
import type { Change } from './planting.ts';

export interface PlantedBug extends Change {
  readonly name: string;
  /**
   * Which simulator hunts it: the Raft cores alone, the same with all harm around leases, one of their directed schedules, whole nodes, one
   * of their stories, or gossip alone.
   */
  readonly by: 'raft' | 'leases' | 'schedule' | 'node' | 'story' | 'gossip';
  /** The schedule, or the beginning of the story's name. */
  readonly play?: string;
  /** What the net says when it has caught the bug. */
  readonly foundBy: RegExp;
  /** Of whole nodes: options that go before what a seed draws. */
  readonly overrides?: Partial<SimulationOptions>;
  /** It must be found within so many seeds. */
  readonly seeds: number;
  /** Too slow to find for every run. */
  readonly isRare?: true;
}

const RAFT_BUGS: readonly PlantedBug[] = [
  {
    name: 'P-1: a promise leaves before it is durable',
    by: 'raft',
    file: 'src/raft/outbox.js',
    rule: 'if (queue === undefined)',
    broken: 'if (item.kind === "send")',
    foundBy: /I-14/,
    seeds: 10,
  },
  {
    name: 'P-7: a short append truncates what it does not mention',
    by: 'raft',
    file: 'src/raft/follower.js',
    rule: 'const commit = Math.min(message.commit, end);',
    broken:
      'const commit = Math.min(message.commit, end); if (end < state.log.lastIndex) truncateFrom(state, end + 1);',
    foundBy: /I-4|I-13|I-14|I-5|I-27|durable here/,
    seeds: 500,
  },
  {
    name: 'P-22: a window full of lost messages is never probed',
    by: 'raft',
    file: 'src/raft/replication.js',
    rule: 'if (peer.isAwaiting)',
    broken: 'if (false)',
    foundBy: /I-27/,
    seeds: 500,
  },
  {
    name: 'P-25: a leader counts itself before its disk does',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: 'member === this.#state.self ? this.#selfMatch',
    broken: 'member === this.#state.self ? this.#state.log.lastIndex',
    foundBy: /I-13/,
    seeds: 50,
  },
  {
    name: 'P-19: an answer confirms whatever round is newest',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: 'Math.max(peer.echoedSeq, message.readSeq)',
    broken: 'this.rounds.newest',
    foundBy: /I-18|I-33/,
    seeds: 1_000,
  },
  {
    name: 'P-48: reads are served without a round',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: 'this.#reads.begin(this.rounds.newest + 1);',
    broken: 'this.#reads.begin(0);',
    foundBy: /I-18/,
    seeds: 500,
  },
  {
    name: 'P-49: a new leader reads before it has committed in its term',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: 'if (this.isReady && this.#reads.wantsRound)',
    broken: 'if (this.#reads.wantsRound)',
    foundBy: /I-18/,
    seeds: 500,
  },
  {
    name: 'P-13: no stickiness to a live leader',
    by: 'raft',
    file: 'src/raft/state.js',
    rule: "return this.role.kind === 'leader' || this.clock",
    broken: "return this.role.kind === 'leader' && this.clock",
    foundBy: /I-33/,
    seeds: 1_000,
  },
  {
    name: 'O-4: the leader lease goes on after the word to campaign has left',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: ' || this.transfer.hasToldTarget',
    broken: '',
    foundBy: /I-33/,
    seeds: 1_000,
  },
  {
    name: '9.2: the outgoing half of a joint configuration is not asked',
    by: 'raft',
    file: 'src/raft/quorum.js',
    rule: 'if (!isJoint(configuration))',
    broken: 'if (true)',
    foundBy: /I-/,
    seeds: 2_000,
  },
  {
    name: '9.2 rule 4: nobody leaves a joint configuration',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: 'if (!isJoint(configuration) || !isCommitted || this.transfer.isUnderWay)',
    broken: 'if (true)',
    foundBy: /I-/,
    seeds: 200,
  },
  {
    name: 'P-72: the lease counts without the margin for clock rates',
    by: 'raft',
    file: 'src/raft/config.js',
    rule: '(config.electionMs * (1 - config.clockDrift)) / (1 + config.clockDrift)',
    broken: 'config.electionMs * 1.2',
    foundBy: /I-33/,
    seeds: 1_000,
  },
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
    seeds: 2_000,
    isRare: true,
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
    seeds: 500,
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
    name: 'P-71: a voter that has just started is not careful',
    by: 'schedule',
    play: 'forgottenLeader',
    file: 'src/raft/state.js',
    rule: 'heardAt = 0;',
    broken: 'heardAt = Number.NEGATIVE_INFINITY;',
    foundBy: /I-33/,
    seeds: 20,
  },
  {
    name: 'P-73: a transfer that was given up can still be obeyed',
    by: 'leases',
    file: 'src/raft/voting.js',
    rule: 'return cancelledTransfer.term !== transfer.term || transfer.seq > cancelledTransfer.seq;',
    broken: 'return true;',
    foundBy: /I-33/,
    seeds: 500,
    isRare: true,
  },
  {
    name: 'P-74: stickiness asked for a newer term alone',
    by: 'schedule',
    play: 'equalTerm',
    file: 'src/raft/voting.js',
    rule: 'if (!isLiveTransfer(state, message) && state.isBoundToLeader)',
    broken: 'if (false)',
    foundBy: /I-33/,
    seeds: 200,
  },
  {
    name: 'P-5: a vote of an older candidacy counts',
    by: 'raft',
    file: 'src/raft/raft.js',
    rule: 'if (message.term < state.term) {',
    broken:
      "if (message.kind === 'voteResp' && message.term < state.term) return true;\n        if (message.term < state.term) {",
    foundBy: /I-/,
    seeds: 500,
  },
  {
    name: '9.2 rule 2: a change of members before the one before it is committed',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: 'if (latest.index > state.commitIndex || this.#change !== undefined)',
    broken: 'if (false)',
    foundBy: /I-|9.2/,
    seeds: 500,
  },
  {
    name: 'P-32: a change of members before the leader has committed in its term',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: "if (!this.isReady)\n            return state.refuse(requestId, 'NOT_READY', 'the leader",
    broken: "if (false)\n            return state.refuse(requestId, 'NOT_READY', 'the leader",
    foundBy: /9.2/,
    seeds: 500,
  },
  {
    name: 'P-19: any round confirms any read',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: 'this.#reads.begin(this.rounds.newest + 1);',
    broken: 'this.#reads.begin(1);',
    foundBy: /I-18/,
    seeds: 500,
  },
  {
    name: 'the leader lease counts from the answers',
    by: 'raft',
    file: 'src/raft/leader.js',
    rule: 'seq === Number.POSITIVE_INFINITY ? this.#state.clock.now',
    broken: 'seq > 1 ? this.#state.clock.now',
    foundBy: /I-33/,
    seeds: 200,
  },
  {
    name: '10.4: a snapshot older than what is committed is installed',
    by: 'raft',
    file: 'src/raft/snapshot.js',
    rule: 'if (meta.lastLog.index <= state.commitIndex)',
    broken: 'if (false)',
    foundBy: /I-/,
    seeds: 1_000,
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
    rule: 'const epochs = new Float64Array(slots).fill(index);',
    broken: 'const epochs = new Float64Array(slots).fill(this.#active === undefined ? index : 1);',
    foundBy: /SO-7|LIN/,
    seeds: 20,
  },
  {
    name: 'O-9: a leader grants without its own lease',
    by: 'story',
    play: 'a leader that slept',
    file: 'src/sharding/rules.js',
    rule: ' && !leader.isTransferring && leader.holdsLease',
    broken: ' && !leader.isTransferring',
    foundBy: /SO-1/,
    seeds: 100,
  },
  {
    name: 'P-52: a store does not look at tokens',
    by: 'node',
    file: 'test/sim/guarded-store.js',
    rule: 'before it was opened`);\n        if (token < cell.token)',
    broken: 'before it was opened`);\n        if (false)',
    // Only a write that is answered after its shard has moved shows it: a slow store, and clients that wait for it.
    overrides: {
      storeLateness: 0.4,
      patienceMs: 8_000,
      clients: 4,
      voters: 3,
      nonVoters: 1,
      faults: ['pause', 'kill', 'isolate', 'drain', 'stepDown'],
      faultEveryMs: 800,
      faultsForMs: 20_000,
    },
    foundBy: /LIN/,
    seeds: 100,
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

export const PLANTED_BUGS: readonly PlantedBug[] = [
  ...RAFT_BUGS,
  ...NODE_BUGS,
  ...KV_BUGS,
  ...ETCD_BUGS,
  ...GOSSIP_BUGS,
  ...QUIET_BUGS,
];
