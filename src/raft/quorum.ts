/** Majorities, of one set of voters or of both halves of a joint configuration. Pure. raft.md 6.1; dissertation 4.3. */
import { assert } from '../base/assert.ts';
import type { MemberId } from '../model/ids.ts';
import type { Configuration } from '../model/log.ts';

export type VoteOutcome = 'won' | 'lost' | 'pending';

/** How many of `count` voters are a majority. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** The largest value that a majority of each half has reached: the commit rule, and the newest round that a quorum echoed. */
export function quorumValue(configuration: Configuration, reached: (member: MemberId) => number): number {
  assert(configuration.voters.length > 0, 'a configuration has voters');
  const incoming = majorityValue(configuration.voters, reached);
  if (!isJoint(configuration)) return incoming;
  return Math.min(incoming, majorityValue(configuration.votersOutgoing, reached));
}

/** Whether a majority of each half satisfies `has`. */
export function hasQuorum(configuration: Configuration, has: (member: MemberId) => boolean): boolean {
  return quorumValue(configuration, (member) => (has(member) ? 1 : 0)) === 1;
}

/** Who has not answered may still go either way. */
export function voteOutcome(configuration: Configuration, votes: ReadonlyMap<MemberId, boolean>): VoteOutcome {
  if (hasQuorum(configuration, (member) => votes.get(member) === true)) return 'won';
  return hasQuorum(configuration, (member) => votes.get(member) !== false) ? 'pending' : 'lost';
}

/** Two halves hold together: on the way from one set of voters to another. */
export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing.length > 0;
}

export function isVoter(configuration: Configuration, member: MemberId): boolean {
  return configuration.voters.includes(member) || configuration.votersOutgoing.includes(member);
}

/** Whether it is named at all, as voter of either half or as learner. */
export function isMember(configuration: Configuration, member: MemberId): boolean {
  return isVoter(configuration, member) || configuration.learners.includes(member);
}

/** Everyone who gets the log, sorted. */
export function membersOf(configuration: Configuration): MemberId[] {
  return [...new Set([...configuration.voters, ...configuration.votersOutgoing, ...configuration.learners])].sort();
}

/** Voters of both halves, sorted. */
export function votersOf(configuration: Configuration): MemberId[] {
  return [...new Set([...configuration.voters, ...configuration.votersOutgoing])].sort();
}

function majorityValue(voters: readonly MemberId[], reached: (member: MemberId) => number): number {
  // Float64Array sorts by number and leaves no room for a comparator that lies (P-23).
  const values = Float64Array.from(voters, reached).sort();
  return values[voters.length - majorityOf(voters.length)] as number;
}
