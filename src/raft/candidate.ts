/** Campaigning: first the question whether it would succeed (pre-vote), then the real one. raft.md 4.4; dissertation 9.6. */
import { randomBetween } from '../base/random.ts';
import type { MemberId, Term } from '../model/ids.ts';
import { becomeFollower } from './follower.ts';
import { becomeLeader } from './leader.ts';
import type { RaftMessage } from './messages.ts';
import { voteOutcome, votersOf } from './quorum.ts';
import type { RaftState } from './state.ts';

/**
 * After an undecided election the next try comes sooner than a follower's timeout, so that it still falls inside the node leases.
 * The voters' stickiness is not touched by this. raft.md 4.1.
 */
const RETRY_FROM = 0.4;

/** The election timer is due. Nobody's term changes until a quorum has said that it would vote for us. */
export function startPreVote(state: RaftState): void {
  drawRetry(state);
  state.counters.electionsStarted += 1;
  // Forgets its leader as well: with one in mind, pre-vote and stickiness could lock each other (P-12).
  const votes = new Map<MemberId, boolean>([[state.self, true]]);
  state.setRole({ kind: 'preCandidate', votes });
  const nextTerm = (state.term + 1) as Term;
  for (const voter of othersOf(state)) {
    state.send(voter, { kind: 'preVoteReq', term: state.term, nextTerm, lastLog: state.log.lastLog });
  }
  settle(state);
}

/** `transferSeq` is 0 unless a leader hands over; then there was no pre-vote. */
export function startCampaign(state: RaftState, transferSeq: number): void {
  drawRetry(state);
  if (transferSeq > 0) state.counters.electionsStarted += 1;
  state.adoptTerm((state.term + 1) as Term, state.self);
  state.setRole({ kind: 'candidate', votes: new Map() });
  // Held until term and log are durable: a vote must not be won for a tail that a crash can take back (P-4).
  for (const voter of othersOf(state)) {
    state.sendDurably(voter, { kind: 'voteReq', term: state.term, lastLog: state.log.lastLog, transferSeq });
  }
  state.outbox.hold({ kind: 'selfVote', term: state.term });
}

export function onPreVoteResp(
  state: RaftState,
  from: MemberId,
  message: Extract<RaftMessage, { kind: 'preVoteResp' }>,
): void {
  if (state.role.kind !== 'preCandidate' || message.nextTerm !== state.term + 1) return state.drop();
  state.role.votes.set(from, message.granted);
  settle(state);
}

/** The caller has matched the terms: an answer to an older candidacy never counts (P-5). */
export function onVote(state: RaftState, from: MemberId, granted: boolean): void {
  if (state.role.kind !== 'candidate') return state.drop();
  state.role.votes.set(from, granted);
  settle(state);
}

function settle(state: RaftState): void {
  const { role } = state;
  if (role.kind !== 'preCandidate' && role.kind !== 'candidate') return;
  switch (voteOutcome(state.configuration, role.votes)) {
    case 'won':
      if (role.kind === 'preCandidate') startCampaign(state, 0);
      else becomeLeader(state);
      return;
    case 'lost':
      becomeFollower(state, { term: state.term, leader: undefined, reason: 'lost the election' });
      return;
    case 'pending':
  }
}

function drawRetry(state: RaftState): void {
  const { electionMs } = state.config;
  state.timeoutMs = randomBetween(state.random, RETRY_FROM * electionMs, electionMs);
  state.restartTimer();
}

function othersOf(state: RaftState): MemberId[] {
  return votersOf(state.configuration).filter((voter) => voter !== state.self);
}
