/**
 * What the leader does about membership by itself: a pure function from what it knows to the one next step (raft.md 9.4,
 * product.md "Three kinds of node"). Voters rest at an odd number, grow through learners, and shrink in order.
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { MemberId, NodeId } from '../model/ids.ts';
import { nodeIdOf } from '../model/ids.ts';
import type { Configuration } from '../model/log.ts';
import type { MembershipChange } from '../raft/messages.ts';

/** A voter that gossip calls failed for so long is replaced, when somebody can take its place. One that left counts at once. */
const REPLACE_AFTER_MS = 120_000;
/** A learner that gossip calls failed for so long is dropped: it comes back by itself. */
const LEARNER_FORGOTTEN_MS = 30_000;
/** Past the founding minute a learner proves itself this long, and changes keep this distance. */
const PROVEN_MS = 10_000;
const BETWEEN_CHANGES_MS = 30_000;
/** An even number of voters that nobody can make odd by joining is made odd by a demotion after this long. */
const EVEN_PATIENCE_MS = 2_000;
const LEARNERS_MAX = 4;

export interface VoterCandidate {
  readonly member: MemberId;
  /** Monotonic ms since when gossip knows it alive. */
  readonly aliveSince: MonotonicMs;
}

export interface AutopilotFacts {
  readonly self: MemberId;
  readonly now: MonotonicMs;
  readonly configuration: Configuration;
  readonly votersWanted: number;
  readonly isAutoJoin: boolean;
  /** Alive, voter-capable, of this cluster or of none, not excluded; ourselves included. Longest-lived first. */
  readonly candidates: readonly VoterCandidate[];
  readonly isCaughtUp: (member: MemberId) => boolean;
  /** How long gossip has called it failed, left or unknown; 0 when it is alive. */
  readonly absentForMs: (member: MemberId) => number;
  /** The member gave a stop notice: its vote goes, its data stays good. */
  readonly retiring: ReadonlySet<MemberId>;
  /** An operator asked for it. */
  readonly wanted: ReadonlySet<NodeId>;
  /** Within the first minute of the cluster. */
  readonly isFounding: boolean;
  readonly lastChangeAt: MonotonicMs;
  /** Since when the number of voters is even; undefined while it is odd. */
  readonly evenSince: MonotonicMs | undefined;
}

export function nextChange(facts: AutopilotFacts): MembershipChange | undefined {
  // The leader leaves it by itself, whoever entered it.
  if (facts.configuration.votersOutgoing.length > 0) return undefined;
  return (
    retire(facts) ??
    admitWanted(facts) ??
    (facts.isAutoJoin
      ? (dropStale(facts) ?? grow(facts) ?? makeOdd(facts) ?? replaceDead(facts) ?? dropLearners(facts))
      : undefined)
  );
}

/** Whether `voters` could go on: a majority of them is healthy as far as gossip knows. */
export function isViable(facts: AutopilotFacts, voters: readonly MemberId[]): boolean {
  if (voters.length === 0) return false;
  const healthy = voters.filter((voter) => isHealthy(facts, voter)).length;
  return healthy > voters.length / 2;
}

/** A learner that may take a vote now, for a leader that wants to go and leaves nobody behind. */
export function heir(facts: AutopilotFacts): MemberId | undefined {
  return ready(facts).find((member) => member !== facts.self);
}

function isHealthy(facts: AutopilotFacts, member: MemberId): boolean {
  return member === facts.self || (facts.absentForMs(member) === 0 && !facts.retiring.has(member));
}

function retire(facts: AutopilotFacts): MembershipChange | undefined {
  const { voters, learners } = facts.configuration;
  for (const member of facts.retiring) {
    if (member === facts.self) continue;
    if (learners.includes(member)) return { kind: 'remove', member };
    if (!voters.includes(member)) continue;
    const rest = voters.filter((voter) => voter !== member);
    if (isViable(facts, rest)) return { kind: 'remove', member };
  }
  return undefined;
}

function admitWanted(facts: AutopilotFacts): MembershipChange | undefined {
  const { voters, learners } = facts.configuration;
  for (const { member } of facts.candidates) {
    if (!facts.wanted.has(nodeIdOf(member)) || voters.includes(member)) continue;
    const isLearner = learners.includes(member);
    // Where there is no room, those that stand by take their votes first.
    if (!isLearner && learners.length < LEARNERS_MAX) return { kind: 'addLearner', member };
    if (isLearner && facts.isCaughtUp(member)) return { kind: 'promote', member };
  }
  return undefined;
}

/** A name that is alive under a new stamp has lost its old data: the old member can never come back (product.md, Names). */
function dropStale(facts: AutopilotFacts): MembershipChange | undefined {
  const { voters, learners } = facts.configuration;
  for (const { member } of facts.candidates) {
    const node = nodeIdOf(member);
    const staleLearner = learners.find((other) => other !== member && nodeIdOf(other) === node);
    if (staleLearner !== undefined) return { kind: 'remove', member: staleLearner };
    const stale = voters.find((other) => other !== member && nodeIdOf(other) === node);
    if (stale === undefined) continue;
    if (voters.includes(member)) return { kind: 'remove', member: stale };
    if (!learners.includes(member)) return { kind: 'addLearner', member };
    if (facts.isCaughtUp(member)) return { kind: 'exchange', promote: [member], remove: [stale] };
    return undefined;
  }
  return undefined;
}

/** The odd number of voters to rest at, from what is healthy now. */
function target(facts: AutopilotFacts): number {
  const { voters } = facts.configuration;
  const fresh = facts.candidates.filter(({ member }) => !voters.includes(member) && !facts.retiring.has(member));
  const reachable = Math.min(facts.votersWanted, voters.length + fresh.length);
  return reachable % 2 === 1 ? reachable : reachable - 1;
}

function ready(facts: AutopilotFacts): MemberId[] {
  const { learners } = facts.configuration;
  return facts.candidates
    .filter(({ member }) => learners.includes(member) && facts.isCaughtUp(member) && !facts.retiring.has(member))
    .map(({ member }) => member);
}

function grow(facts: AutopilotFacts): MembershipChange | undefined {
  const { voters, learners } = facts.configuration;
  const wantedCount = target(facts);
  const isHurried = facts.isFounding || voters.length < 3;
  const mayChange = isHurried || facts.now - facts.lastChangeAt >= BETWEEN_CHANGES_MS;
  const promotable = ready(facts).filter((member) => isHurried || aliveFor(facts, member) >= PROVEN_MS);
  const missing = wantedCount - voters.length;
  if (missing > 0 && mayChange) {
    // From odd to odd in one step: at no instant is there a number of voters that survives less than it could.
    const able = Math.min(missing, promotable.length);
    const count = (voters.length + able) % 2 === 1 ? able : able - 1;
    if (count > 0) return { kind: 'exchange', promote: promotable.slice(0, count), remove: [] };
  }
  // One learner more than is needed stands by, while there is room for voters at all, or an only voter seeks its heir.
  const isHeirSought = voters.length === 1 && facts.retiring.has(facts.self);
  const hasRoom = voters.length < facts.votersWanted || isHeirSought;
  const learnersWanted = Math.min(LEARNERS_MAX, hasRoom ? Math.max(1, missing) : 0);
  if (learners.length >= learnersWanted) return undefined;
  const fresh = facts.candidates.find(
    ({ member }) => !voters.includes(member) && !learners.includes(member) && !facts.retiring.has(member),
  );
  return fresh === undefined ? undefined : { kind: 'addLearner', member: fresh.member };
}

function makeOdd(facts: AutopilotFacts): MembershipChange | undefined {
  const { voters } = facts.configuration;
  if (voters.length % 2 === 1 || facts.evenSince === undefined) return undefined;
  if (facts.now - facts.evenSince < EVEN_PATIENCE_MS || target(facts) > voters.length) return undefined;
  if (!voters.every((voter) => isHealthy(facts, voter))) return undefined;
  // The youngest goes; a leader never demotes itself.
  const order = facts.candidates.map(({ member }) => member).filter((member) => member !== facts.self);
  const youngest = order.reverse().find((member) => voters.includes(member));
  return youngest === undefined ? undefined : { kind: 'demote', member: youngest };
}

function replaceDead(facts: AutopilotFacts): MembershipChange | undefined {
  const { voters } = facts.configuration;
  const dead = voters.find((voter) => facts.absentForMs(voter) >= REPLACE_AFTER_MS);
  if (dead === undefined || facts.now - facts.lastChangeAt < BETWEEN_CHANGES_MS) return undefined;
  // Even means that the substitute has its vote already; then the dead one may go.
  if (voters.length % 2 === 0) {
    const rest = voters.filter((voter) => voter !== dead);
    return isViable(facts, rest) ? { kind: 'remove', member: dead } : undefined;
  }
  const substitute = ready(facts).find((member) => aliveFor(facts, member) >= PROVEN_MS);
  if (substitute !== undefined) return { kind: 'exchange', promote: [substitute], remove: [dead] };
  const fresh = facts.candidates.find(
    ({ member }) => !voters.includes(member) && !facts.configuration.learners.includes(member),
  );
  return fresh === undefined ? undefined : { kind: 'addLearner', member: fresh.member };
}

function dropLearners(facts: AutopilotFacts): MembershipChange | undefined {
  const gone = facts.configuration.learners.find((learner) => facts.absentForMs(learner) >= LEARNER_FORGOTTEN_MS);
  return gone === undefined ? undefined : { kind: 'remove', member: gone };
}

function aliveFor(facts: AutopilotFacts, member: MemberId): number {
  const known = facts.candidates.find((candidate) => candidate.member === member);
  return known === undefined ? 0 : facts.now - known.aliveSince;
}
