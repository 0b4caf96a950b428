/** The leader's side of bringing one peer's log in line, and keeping it so. raft.md 5.1, 5.3, 5.4; Raft §5.3. */
import type { LogIndex, Term } from '../model/ids.ts';
import type { Entry } from '../model/log.ts';
import { entrySize } from '../wire/raft/entry.ts';
import type { Leadership } from './leader.ts';
import type { RaftMessage } from './messages.ts';
import type { Progress } from './progress.ts';
import type { RaftState } from './state.ts';

/** Sends what the peer's state and window allow. */
export function replicateTo(state: RaftState, leadership: Leadership, peer: Progress): void {
  switch (peer.state.kind) {
    case 'snapshot':
      return;
    case 'probe':
      if (!peer.state.sent) sendNext(state, leadership, peer);
      return;
    case 'replicate':
      while (peer.state.kind === 'replicate' && peer.next <= state.log.lastIndex && !peer.isFull(state.config)) {
        if (!sendNext(state, leadership, peer)) return;
      }
      // A commit notice does not wait for the next heartbeat (raft.md 5.4, E-20).
      if (peer.sentCommit < state.commitIndex && !peer.isFull(state.config)) sendAppend(state, leadership, peer, []);
      return;
  }
}

export function onAppendOk(
  state: RaftState,
  peer: Progress,
  message: Extract<RaftMessage, { kind: 'appendOk' }>,
): void {
  if (message.match > state.log.lastIndex) return state.drop();
  const isNews = peer.acknowledge(message.match);
  if (peer.state.kind === 'probe' && message.match === peer.match) peer.becomeReplicate();
  // Whichever snapshot did it, or none: the logs meet within what we still hold (E-28, P-28).
  if (peer.state.kind === 'snapshot' && peer.match + 1 >= state.log.firstIndex) peer.becomeReplicate();
  if (isNews) advanceCatchUp(state, peer);
}

function advanceCatchUp(state: RaftState, peer: Progress): void {
  if (!peer.advanceCatchUp(state.log.lastIndex, state.clock.now, state.config.electionMs)) return;
  state.notify({ kind: 'learnerCaughtUp', member: peer.id });
}

export function onAppendRejected(
  state: RaftState,
  peer: Progress,
  message: Extract<RaftMessage, { kind: 'appendRejected' }>,
): void {
  const { state: progress } = peer;
  if (progress.kind === 'replicate') {
    if (message.rejectedPrev > peer.match) peer.becomeProbe();
    return;
  }
  // In probe only the answer to the probe that is out counts; others are stale.
  if (progress.kind !== 'probe' || message.rejectedPrev !== peer.next - 1) return;
  const limit = Math.min(message.hint.index, message.rejectedPrev - 1);
  // Below our base no terms are known, and probing there ends in a snapshot.
  const meeting = limit < state.log.baseIndex ? limit : state.log.lastWithTermAtMost(limit, message.hint.term);
  peer.becomeProbe((meeting + 1) as LogIndex);
}

/** A heartbeat has come through and back: whatever was lost before it may be sent again. */
export function onContact(state: RaftState, leadership: Leadership, peer: Progress): void {
  // A learner that lacks nothing gets no more appends: its round ends with the answer to a heartbeat.
  advanceCatchUp(state, peer);
  switch (peer.state.kind) {
    case 'probe':
      // Also when it lacks nothing; else it would stay in probe until the next write (E-19).
      peer.state.sent = false;
      return;
    case 'replicate':
      // One empty append past a full window, so that a window of lost messages cannot wedge the peer (P-22).
      if (peer.isAwaiting) sendAppend(state, leadership, peer, []);
      return;
    case 'snapshot':
  }
}

/** The next entries, or a snapshot when they are gone; false when nothing could be sent. */
function sendNext(state: RaftState, leadership: Leadership, peer: Progress): boolean {
  const { appendBytesMax, appendEntriesMax } = state.config;
  const entries = peer.next > state.log.lastIndex ? [] : entriesFrom(state, peer, appendBytesMax, appendEntriesMax);
  if (entries === undefined || !sendAppend(state, leadership, peer, entries)) return false;
  const last = entries.at(-1);
  if (peer.state.kind === 'probe') {
    peer.state.sent = true;
  } else if (last !== undefined) {
    peer.sent(
      last.index,
      entries.reduce((bytes, entry) => bytes + entrySize(entry), 0),
    );
  }
  return true;
}

function entriesFrom(state: RaftState, peer: Progress, bytesMax: number, entriesMax: number): Entry[] | undefined {
  if (state.log.termAt(peer.next - 1) !== undefined) return state.log.sliceWithin(peer.next, { bytesMax, entriesMax });
  needSnapshot(state, peer);
  return undefined;
}

/** An append at `next`; false when what precedes it is compacted away and a snapshot is due instead (P-27). */
function sendAppend(state: RaftState, leadership: Leadership, peer: Progress, entries: readonly Entry[]): boolean {
  const index = (peer.next - 1) as LogIndex;
  const term: Term | undefined = state.log.termAt(index);
  if (term === undefined) {
    needSnapshot(state, peer);
    return false;
  }
  peer.sentCommit = state.commitIndex;
  state.send(peer.id, {
    kind: 'appendReq',
    term: state.term,
    prev: { term, index },
    entries,
    commit: state.commitIndex,
    readSeq: leadership.rounds.newest,
    cancelledTransfers: leadership.transfer.cancelledSeq,
  });
  return true;
}

/** A stream to someone who has not answered lately would only hold a place (raft.md 10.4). */
function needSnapshot(state: RaftState, peer: Progress): void {
  if (state.clock.healthyMs - peer.lastHeardAt > state.config.electionMs) return;
  peer.becomeSnapshot(state.log.snapshotIndex, state.clock.now);
  state.effects.push({ kind: 'streamSnapshot', to: peer.id, minIndex: state.log.baseIndex });
}
