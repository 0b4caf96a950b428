/** Compaction here, and snapshots that come from the leader. The bytes are storage's and the stream's affair. raft.md section 10. */
import { assert } from '../base/assert.ts';
import type { LogIndex, MemberId, Term } from '../model/ids.ts';
import type { SnapshotMeta } from '../model/log.ts';
import { becomeFollower, followLeader } from './follower.ts';
import type { RaftState } from './state.ts';

export interface ReceivedSnapshot {
  readonly from: MemberId;
  readonly term: Term;
  readonly meta: SnapshotMeta;
}

/** A snapshot of applied state is durable here: entries before `firstIndex` may go. */
export function onCompacted(state: RaftState, meta: SnapshotMeta, firstIndex: LogIndex): void {
  assert(meta.lastLog.index <= state.emittedIndex, 'a snapshot holds what was committed and applied');
  // A log that was replaced meanwhile by a newer snapshot has nothing more to give.
  if (meta.lastLog.index < state.log.snapshotIndex) return;
  state.log.compact(meta, firstIndex);
}

/** Complete and verified, from the leader of `term`. It never sets or lowers our own term (P-18). */
export function onSnapshotReceived(state: RaftState, received: ReceivedSnapshot): void {
  const { from, term, meta } = received;
  if (term < state.term) return state.drop();
  if (term > state.term) becomeFollower(state, { term, leader: undefined, reason: 'a newer term' });
  // A second one while an install is under way waits for its stream to be repeated; one not yet asked for gives way.
  if (!followLeader(state, from) || state.install?.isAsked === true) return state.drop();
  if (meta.lastLog.index <= state.commitIndex) return acknowledge(state, from, state.commitIndex);
  if (state.log.has(meta.lastLog)) {
    // Our log holds all of it and perhaps more: only the commit index moves (raft.md 10.4 step 2).
    state.commitTo(meta.lastLog.index);
    return acknowledge(state, from, meta.lastLog.index);
  }
  state.install = { meta, isAsked: false };
}

/** Asks for the install once nothing that we have written is still on its way to the log that it replaces. */
export function askForInstall(state: RaftState): void {
  const { install } = state;
  if (install === undefined || install.isAsked || state.outbox.hasUnwritten) return;
  install.isAsked = true;
  state.effects.push({ kind: 'installSnapshot', meta: install.meta });
}

/** The log is this snapshot now, durably; term and vote are what they were. */
export function onSnapshotInstalled(state: RaftState, meta: SnapshotMeta): void {
  const { index } = meta.lastLog;
  assert(state.install?.meta.lastLog.index === index, 'only the install that was asked for is reported');
  assert(index >= state.commitIndex, 'I-21: an install never lowers the commit index');
  state.install = undefined;
  state.log.resetTo(meta);
  state.outbox.resetTo(index);
  state.commitIndex = index;
  state.emittedIndex = index;
  state.appliedIndex = index;
  state.announceConfiguration();
  if (state.leader !== undefined) acknowledge(state, state.leader, index);
}

/** An ordinary acknowledgement: it alone brings the leader out of its snapshot state (E-27). */
function acknowledge(state: RaftState, leader: MemberId, match: LogIndex): void {
  // It echoes no round: a snapshot proves nothing about when the leader spoke.
  state.sendDurably(leader, { kind: 'appendOk', term: state.term, match, readSeq: 0 });
}
