/** Following: taking in what a leader of our term says. raft.md 5.2, 5.3; Raft §5.3. */
import { assert } from '../base/assert.ts';
import type { LogIndex, MemberId, Term } from '../model/ids.ts';
import type { LogId } from '../model/log.ts';
import type { AppendReq } from '../wire/raft/rpc.ts';
import type { RaftMessage } from './messages.ts';
import type { RaftState } from './state.ts';

type Heartbeat = Extract<RaftMessage, { kind: 'heartbeat' }>;

export interface Following {
  readonly term: Term;
  readonly leader: MemberId | undefined;
  /** Why a leader steps down, for its event and its clients. */
  readonly reason: string;
}

export function becomeFollower(state: RaftState, following: Following): void {
  const was = state.role;
  if (following.term > state.term) state.adoptTerm(following.term, null);
  if (was.kind !== 'follower' || was.leader !== following.leader)
    state.setRole({ kind: 'follower', leader: following.leader });
  if (was.kind !== 'follower') {
    state.timeoutMs = state.drawTimeout();
    state.restartTimer();
  }
  if (was.kind === 'leader') was.resign(following.reason);
}

/** Takes `from` as the leader of our term; false when that cannot be, and the message is to be dropped. */
export function followLeader(state: RaftState, from: MemberId): boolean {
  const { role } = state;
  // Two leaders of one term are impossible; a peer that claims so is not believed.
  if (role.kind === 'leader') return false;
  if (role.kind !== 'follower' || role.leader === undefined) {
    state.timeoutMs = state.drawTimeout();
    becomeFollower(state, { term: state.term, leader: from, reason: '' });
  } else if (role.leader !== from) {
    return false;
  }
  state.heardAt = state.clock.healthyMs;
  state.restartTimer();
  return true;
}

export function onAppend(state: RaftState, from: MemberId, message: AppendReq): void {
  if (!followLeader(state, from)) return state.drop();
  noteLeaderWord(state, from, message);
  // A log about to be replaced by a snapshot takes nothing in. The leader sends again.
  if (state.install !== undefined) return state.drop();
  // Nor does one that could not be written: the leader sends again, and counts on the others meanwhile (raft.md 11.6).
  if (state.room === 'full' && message.entries.length > 0) return state.drop();
  const ok = (match: LogIndex): void =>
    state.sendDurably(from, { kind: 'appendOk', term: state.term, match, readSeq: message.readSeq });

  const end = (message.prev.index + message.entries.length) as LogIndex;
  // What is committed here is in the leader's log as well, so its terms are not compared again (P-17).
  if (end <= state.commitIndex) return ok(state.commitIndex);
  const skipped = Math.max(0, state.commitIndex - message.prev.index);
  if (skipped === 0 && !state.log.has(message.prev)) return reject(state, from, message);

  for (let i = skipped; i < message.entries.length; i++) {
    const entry = message.entries[i];
    if (entry === undefined || state.log.has(entry)) continue;
    // Only a conflict takes entries away. A shorter append is an old one, not a correction (P-7).
    if (entry.index <= state.log.lastIndex) truncateFrom(state, entry.index);
    const before = state.log.latest;
    state.log.append(entry);
    if (state.log.latest !== before) state.announceConfiguration();
  }
  // No further than this message has verified; our own tail may be another leader's (P-6).
  const commit = Math.min(message.commit, end) as LogIndex;
  if (commit > state.commitIndex) state.commitTo(commit);
  ok(end);
}

export function onHeartbeat(state: RaftState, from: MemberId, message: Heartbeat): void {
  if (!followLeader(state, from)) return state.drop();
  noteLeaderWord(state, from, message);
  if (state.install === undefined) {
    if (message.commit > state.log.lastIndex) return loseData(state, message.commit);
    if (message.commit > state.commitIndex) state.commitTo(message.commit);
  }
  state.send(from, {
    kind: 'heartbeatResp',
    term: state.term,
    readSeq: message.readSeq,
    durableLast: state.outbox.durableIndex,
  });
}

/** The leader, if any, whose node served on its leader lease in `term`: both halves of ownership.md O-15. */
export function leaseRestedOn(state: RaftState, term: Term): MemberId | undefined {
  const heard = state.heardCommit;
  if (heard === undefined || heard.term !== term) return undefined;
  const first = state.log.firstOfTerm(term);
  return first !== undefined && heard.commit >= first ? heard.leader : undefined;
}

function noteLeaderWord(state: RaftState, from: MemberId, message: AppendReq | Heartbeat): void {
  const { term, commit } = message;
  const heard = state.heardCommit;
  if (heard === undefined || heard.term < term || heard.commit < commit)
    state.heardCommit = { term, leader: from, commit };
  const cancelled = state.cancelledTransfer;
  const seq = message.cancelledTransfers;
  if (seq > 0 && (cancelled.term < term || cancelled.seq < seq)) state.cancelledTransfer = { term, seq };
}

/** The hint lets the leader skip a whole term per round trip instead of one entry (raft.md 5.3, P-16). */
function reject(state: RaftState, from: MemberId, message: AppendReq): void {
  const index = state.log.lastWithTermAtMost(message.prev.index, message.prev.term);
  const hint: LogId = { term: state.log.termAt(index) as Term, index };
  state.sendDurably(from, {
    kind: 'appendRejected',
    term: state.term,
    rejectedPrev: message.prev.index,
    hint,
    readSeq: message.readSeq,
  });
}

function truncateFrom(state: RaftState, index: LogIndex): void {
  assert(index > state.commitIndex, 'I-21: committed entries are never truncated');
  const before = state.log.latest;
  state.outbox.markTruncated(index);
  state.log.truncateFrom(index);
  if (state.log.latest !== before) state.announceConfiguration();
}

/** The leader caps a heartbeat's commit at what we acknowledged as durable, so our disk has lost something (P-21, R-2). */
function loseData(state: RaftState, commit: LogIndex): void {
  const reason = `the leader knows entry ${commit} to be durable here, but the log ends at ${state.log.lastIndex}`;
  state.notify({ kind: 'dataLost', reason });
  state.isStopped = true;
  state.effects.push({ kind: 'stop', reason });
}
