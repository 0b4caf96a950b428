/** Answering those who want to lead. raft.md 4.4; Raft §5.2, §5.4.1; dissertation 4.2.3 (disruptive servers), 9.6 (pre-vote). */
import type { MemberId, Term } from '../model/ids.ts';
import type { LogId } from '../model/log.ts';
import type { RaftMessage } from './messages.ts';
import { isMember } from './quorum.ts';
import type { RaftState } from './state.ts';

type PreVoteReq = Extract<RaftMessage, { kind: 'preVoteReq' }>;
type VoteReq = Extract<RaftMessage, { kind: 'voteReq' }>;

/** How many election timeouts of soft caution follow a torn tail: three of the longest (raft.md 11.4). */
const CAUTION_TIMEOUTS = 6;

/** After a torn tail the log may lack something that was acknowledged: for a while only longer logs get our vote. */
export interface Caution {
  readonly claimed: LogId;
  readonly untilHealthyMs: number;
}

export function cautionAfter(tornTail: LogId | undefined, electionMs: number): Caution | undefined {
  return tornTail === undefined ? undefined : { claimed: tornTail, untilHealthyMs: CAUTION_TIMEOUTS * electionMs };
}

/** A pre-vote never changes our own state. */
export function onPreVoteReq(
  state: RaftState,
  from: MemberId,
  message: PreVoteReq,
  caution: Caution | undefined,
): void {
  const refusal =
    message.nextTerm <= state.term
      ? 'the term is not new'
      : (logRefusal(state, message.lastLog, caution) ?? bondRefusal(state));
  state.sendDurably(from, {
    kind: 'preVoteResp',
    // A grant names the term that it is for, so that a candidate ahead of the granter does not take it for an old answer.
    term: refusal === undefined ? message.nextTerm : state.term,
    nextTerm: message.nextTerm,
    granted: refusal === undefined,
    reason: refusal ?? '',
  });
}

/** Whether a vote request of a newer term may be looked at at all; a live transfer is the one thing that overrides the bond. */
export function mayAdoptVoteTerm(state: RaftState, message: VoteReq): boolean {
  return !state.isBoundToLeader || isLiveTransfer(state, message);
}

/** The term has been settled before: `message.term` is ours, or older. */
export function onVoteReq(state: RaftState, from: MemberId, message: VoteReq, caution: Caution | undefined): void {
  const refusal = voteRefusal(state, from, message, caution);
  if (refusal === undefined) {
    state.adoptTerm(message.term, from);
    state.timeoutMs = state.drawTimeout();
    state.restartTimer();
  }
  state.sendDurably(from, {
    kind: 'voteResp',
    term: state.term,
    granted: refusal === undefined,
    reason: refusal ?? '',
  });
}

function voteRefusal(
  state: RaftState,
  from: MemberId,
  message: VoteReq,
  caution: Caution | undefined,
): string | undefined {
  if (message.term < state.term) return 'the term is over';
  if (state.vote !== null && state.vote !== from) return 'the vote of this term is given';
  if (state.leader !== undefined) return 'this term has a leader';
  // Asked at equal terms as well: a stray refusal may have raised ours inside a running lease (P-74).
  if (!isLiveTransfer(state, message) && state.isBoundToLeader) return 'a leader was heard lately';
  return logRefusal(state, message.lastLog, caution);
}

function bondRefusal(state: RaftState): string | undefined {
  return state.isBoundToLeader ? 'a leader was heard lately' : undefined;
}

function logRefusal(state: RaftState, lastLog: LogId, caution: Caution | undefined): string | undefined {
  if (isRemoved(state)) return 'the voter was removed';
  if (!state.log.isMatchedBy(lastLog)) return 'the log is behind';
  if (caution === undefined || state.clock.healthyMs >= caution.untilHealthyMs) return undefined;
  const { claimed } = caution;
  const reaches = lastLog.term > claimed.term || (lastLog.term === claimed.term && lastLog.index >= claimed.index);
  return reaches ? undefined : 'the log is behind a torn tail';
}

/**
 * A voter never asks whether it is in its own newest configuration: a learner may have been promoted without knowing (P-44). Only a
 * committed configuration without it, and none after that names it again, ends its vote (raft.md 9.2 rule 8).
 */
function isRemoved(state: RaftState): boolean {
  const committed = state.settledConfiguration;
  if (committed.index === 0) return false;
  return !isMember(committed.configuration, state.self) && !isMember(state.configuration, state.self);
}

/** Transfers are numbered per term of their leader, which is the one before the candidate's. */
function isLiveTransfer(state: RaftState, message: VoteReq): boolean {
  if (message.transferSeq === 0 || state.isFreshlyStarted) return false;
  return isUncancelled(state, { term: (message.term - 1) as Term, seq: message.transferSeq });
}

/** A cancelled transfer stays cancelled, for the voters and for its target (P-73, P-75). */
export function isUncancelled(state: RaftState, transfer: { readonly term: Term; readonly seq: number }): boolean {
  const { cancelledTransfer } = state;
  return cancelledTransfer.term !== transfer.term || transfer.seq > cancelledTransfer.seq;
}
