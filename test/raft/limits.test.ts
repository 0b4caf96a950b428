/** What a leader refuses for want of room, to the entry and to the byte; and what it does when the way to a peer was lost. raft.md 3.5, 5. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, MemberId, RequestId, Term } from '../../src/model/ids.ts';
import type { SnapshotMeta } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG, leaderLeaseMs, type RaftConfig } from '../../src/raft/config.ts';
import { entrySize } from '../../src/wire/raft/entry.ts';
import { at, codeOf, entry, leadingCore, logOf, N1, N2, N3, N4, N5, SingleCore, THREE } from './single-core.ts';
import { configurationOf, WORLD_CLUSTER } from './world.ts';

const LEASE_MS: number = leaderLeaseMs(DEFAULT_RAFT_CONFIG);

function leading(config: Partial<RaftConfig> = {}, terms: readonly number[] = []): SingleCore {
  const core = leadingCore({ terms, config });
  core.input({ kind: 'applied', index: core.raft.commitIndex });
  core.take();
  return core;
}

function read(core: SingleCore): RequestId {
  return core.ask((requestId) => ({ kind: 'readIndex', requestId }));
}

function learn(core: SingleCore, member: MemberId): RequestId {
  return core.ask((requestId) => ({ kind: 'changeMembers', requestId, change: { kind: 'addLearner', member } }));
}

function echo(core: SingleCore, from: MemberId, readSeq: number): void {
  core.receive(from, { kind: 'heartbeatResp', term: core.raft.term, readSeq, durableLast: core.raft.lastIndex });
}

describe('I-24: room for proposals', () => {
  const codes = (core: SingleCore, texts: readonly string[]): string[] =>
    texts.map((text) => codeOf(core, core.propose(text)));

  it('a command may have so many bytes, and no more', () => {
    assert.deepEqual(codes(leading({ commandBytesMax: 3 }), ['abc', 'abcd']), ['waits', 'TOO_LARGE']);
    const mixed = leading({ commandBytesMax: 3 });
    assert.equal(codeOf(mixed, mixed.propose('a', 'abcd')), 'TOO_LARGE');
  });

  it('so many proposals may wait', () => {
    const core = leading({ waitingRequestsMax: 2 });
    assert.deepEqual(codes(core, ['a', 'b', 'c']), ['waits', 'waits', 'BUSY']);
    core.acknowledge(N2);
    assert.deepEqual(codes(core, ['d']), ['waits']);
  });

  it('so many entries may be uncommitted, those of the proposal included', () => {
    const core = leading({ uncommittedEntriesMax: 3 });
    assert.equal(codeOf(core, core.propose('a', 'b')), 'waits');
    assert.equal(codeOf(core, core.propose('c', 'd')), 'BUSY');
    assert.equal(codeOf(core, core.propose('c')), 'waits');
    assert.equal(codeOf(core, core.propose('d')), 'BUSY');
  });

  it('so many bytes may be uncommitted, and so many committed and not applied', () => {
    const size = entrySize(entry(2, 3, 'a'));
    const uncommitted = leading({ uncommittedBytesMax: size + 2 });
    assert.deepEqual(codes(uncommitted, ['a', 'abc', 'ab', 'a']), ['waits', 'BUSY', 'waits', 'BUSY']);
    const unapplied = leading({ unappliedBytesMax: size });
    assert.deepEqual(codes(unapplied, ['a']), ['waits']);
    unapplied.acknowledge(N2);
    assert.deepEqual(codes(unapplied, ['b']), ['waits'], 'as much as there may be');
    unapplied.acknowledge(N2);
    assert.deepEqual(codes(unapplied, ['c']), ['BUSY']);
    unapplied.input({ kind: 'applied', index: 3 as LogIndex });
    assert.deepEqual(codes(unapplied, ['d']), ['waits']);
  });

  it('so many learners', () => {
    const core = leading({ learnersMax: 1 });
    learn(core, N4);
    core.acknowledge(N2);
    assert.equal(codeOf(core, learn(core, N5)), 'INVALID_CHANGE');
  });

  it('who is no member can be neither promoted nor demoted', () => {
    const core = leading();
    for (const kind of ['promote', 'demote'] as const) {
      const asked = core.ask((requestId) => ({ kind: 'changeMembers', requestId, change: { kind, member: N5 } }));
      assert.equal(codeOf(core, asked), 'INVALID_CHANGE');
    }
  });

  it('11.6: a full disk takes neither commands nor changes of members', () => {
    const core = leading();
    core.input({ kind: 'room', room: 'full' });
    assert.deepEqual(
      [codeOf(core, core.propose('a')), codeOf(core, learn(core, N4))],
      ['STORAGE_FULL', 'STORAGE_FULL'],
    );
  });
});

describe('I-24: room for reads', () => {
  it('so many reads may wait at the leader; a follower is told no as well', () => {
    const core = leading({ waitingRequestsMax: 1 });
    const first = read(core);
    assert.deepEqual([codeOf(core, first), codeOf(core, read(core))], ['waits', 'BUSY']);
    const seq = core.takeKind('heartbeat').at(-1)?.message.readSeq ?? 0;
    core.receive(N2, { kind: 'readIndexReq', term: 2 as Term, id: 40 });
    assert.deepEqual(core.takeKind('readIndexResp'), [
      { to: N2, message: { kind: 'readIndexResp', term: 2, id: 40, index: 0, ok: false } },
    ]);
    echo(core, N2, seq);
    assert.deepEqual([codeOf(core, first), codeOf(core, read(core))], ['readReady', 'waits'], 'there is room again');
    assert.equal(codeOf(core, read(core)), 'BUSY', 'for one');
  });

  it('so many may be on their way to the leader', () => {
    const core = new SingleCore(logOf(THREE, []), { config: { waitingRequestsMax: 1 } });
    core.heartbeat(N2, 2);
    assert.deepEqual([codeOf(core, read(core)), codeOf(core, read(core))], ['waits', 'BUSY']);
  });

  it('a leader that cannot confirm a read of a follower says no, and the follower says so', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.heartbeat(N2, 2);
    core.take();
    const asked = read(core);
    const id = core.takeKind('readIndexReq')[0]?.message.id ?? 0;
    core.receive(N2, { kind: 'readIndexResp', term: 2 as Term, id, index: 0 as LogIndex, ok: false });
    assert.equal(codeOf(core, asked), 'NOT_LEADER');
  });

  it('who does not lead tells a follower so; who leads no more answers what waited', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.heartbeat(N2, 2);
    core.take();
    core.receive(N3, { kind: 'readIndexReq', term: 2 as Term, id: 7 });
    assert.equal(core.takeKind('readIndexResp')[0]?.message.ok, false);
    const leader = leading();
    const [local, waiting] = [read(leader), leader.propose('a')];
    leader.heartbeat(N3, 3);
    assert.deepEqual([codeOf(leader, local), codeOf(leader, waiting)], ['NOT_LEADER', 'unknown']);
  });

  it('the only voter reads and holds its lease without asking anybody (C-15)', () => {
    const core = new SingleCore(logOf(['n1'], []));
    core.pass(30);
    assert.equal(core.raft.leaderLeaseUntil, core.now + LEASE_MS);
    assert.equal(codeOf(core, read(core)), 'readReady');
  });
});

describe('a way to a peer that was lost', () => {
  const meta = (term: number, index: number): SnapshotMeta => ({
    clusterId: WORLD_CLUSTER,
    lastLog: at(term, index),
    configuration: configurationOf(THREE),
    configurationIndex: 1 as LogIndex,
  });
  const lacks = (core: SingleCore, rejectedPrev: number): void =>
    core.receive(N4, {
      kind: 'appendRejected',
      term: 2 as Term,
      rejectedPrev: rejectedPrev as LogIndex,
      hint: at(0, 0),
      readSeq: 0,
    });

  it('what was under way to a peer that cannot be reached is sent again, once, from where the logs meet', () => {
    const core = leading();
    core.propose('a');
    core.propose('b');
    core.take();
    core.input({ kind: 'peerUnreachable', peer: N2 });
    const again = core.takeKind('appendReq').filter(({ to }) => to === N2);
    assert.deepEqual(
      again.map(({ message }) => [message.prev.index, ...message.entries.map(({ index }) => index)]),
      [[2, 3, 4]],
    );
    core.propose('c');
    assert.deepEqual(
      core.takeKind('appendReq').filter(({ to }) => to === N2),
      [],
      'a probe waits for its answer',
    );
  });

  it('a window of bytes is free again when the way was lost', () => {
    const size = entrySize(entry(2, 3, 'a'));
    const core = leading({ inflightBytesMax: 2 * size });
    core.propose('a');
    core.propose('b');
    core.input({ kind: 'peerUnreachable', peer: N2 });
    core.acknowledge(N2);
    core.take();
    core.propose('c');
    core.propose('d');
    assert.equal(
      core.takeKind('appendReq').filter(({ to, message }) => to === N2 && message.entries.length > 0).length,
      2,
    );
  });

  it('an acknowledgement of what was never sent is dropped, a report of a snapshot that nobody waits for as well', () => {
    const core = leading();
    const { messagesDropped } = core.raft.stats;
    core.acknowledge(N2, 99 as LogIndex);
    assert.deepEqual([core.raft.stats.lag['n2'], core.raft.stats.messagesDropped], [0, messagesDropped + 1]);
    core.input({ kind: 'snapshotStatus', peer: N2, ok: true });
    core.propose('a');
    core.propose('b');
    assert.equal(core.takeKind('appendReq').filter(({ to }) => to === N2).length, 2, 'it is still replicated to');
  });

  it('E-28: an acknowledgement below what is still held does not end the wait for a snapshot', () => {
    const core = leading({}, [1, 1, 1]);
    learn(core, N4);
    core.acknowledge(N2);
    core.input({ kind: 'compacted', meta: meta(2, 6), firstIndex: 6 as LogIndex });
    lacks(core, 6);
    core.take();
    core.acknowledge(N4, 4 as LogIndex);
    core.propose('a');
    assert.deepEqual(
      core.takeKind('appendReq').filter(({ to }) => to === N4),
      [],
    );
    core.acknowledge(N4, 5 as LogIndex);
    assert.equal(core.takeKind('appendReq').filter(({ to }) => to === N4).length, 1);
  });

  it('E-20: that an entry is committed is told at once, without a heartbeat', () => {
    const core = leading();
    core.propose('a');
    core.take();
    core.acknowledge(N2);
    const commits = core.takeKind('appendReq').map(({ to, message }) => [to, message.commit]);
    assert.deepEqual(commits, [
      [N2, 3],
      [N3, 3],
    ]);
  });

  it('peers are told in the order of their ids, whenever they came', () => {
    const core = leading();
    for (const id of [N5, N4]) {
      learn(core, id);
      for (const from of [N2, N3, id]) core.acknowledge(from);
    }
    core.take();
    core.propose('a');
    assert.deepEqual(
      core.takeKind('appendReq').map(({ to }) => to),
      [N2, N3, N4, N5],
    );
  });

  it('a snapshot that arrived is gone on from, once the peer is heard', () => {
    const core = leading({}, [1, 1, 1]);
    learn(core, N4);
    core.acknowledge(N2);
    core.input({ kind: 'compacted', meta: meta(2, 6), firstIndex: 6 as LogIndex });
    lacks(core, 6);
    core.propose('x');
    core.take();
    core.input({ kind: 'snapshotStatus', peer: N4, ok: true });
    assert.deepEqual(core.takeKind('appendReq'), [], 'not before it is heard');
    echo(core, N4, 1);
    const probe = core.takeKind('appendReq').find(({ to }) => to === N4)?.message;
    assert.deepEqual([probe?.prev.index, probe?.entries.map(({ index }) => index)], [6, [7]]);
  });

  it('9.2 rule 4: a joint step that was committed during a transfer is left when the transfer is over', () => {
    const core = leading();
    for (const id of [N4, N5]) {
      learn(core, id);
      for (const from of [N2, N3, id]) core.acknowledge(from);
    }
    core.ask((requestId) => ({
      kind: 'changeMembers',
      requestId,
      change: { kind: 'exchange', promote: [N4, N5], remove: [N2] },
    }));
    core.ask((requestId) => ({ kind: 'transferLeader', requestId, target: N3 }));
    for (const id of [N2, N3, N4, N5]) core.acknowledge(id);
    assert.equal(core.raft.commitIndex, core.raft.lastIndex);
    assert.equal(core.raft.configuration.votersOutgoing.length, 3, 'a target that takes over would not know');
    for (let i = 0; i < 12; i++) {
      core.pass(50);
      const seq = core.takeKind('heartbeat').at(-1)?.message.readSeq ?? 0;
      for (const id of [N2, N3, N4, N5]) echo(core, id, seq);
    }
    assert.equal(core.raft.role, 'leader');
    assert.deepEqual(core.raft.configuration, configurationOf(['n1', 'n3', 'n4', 'n5']));
  });

  it('7.4: rounds that a learner has echoed count for the lease as soon as it is a voter', () => {
    const core = new SingleCore(logOf(['n1'], []));
    core.pass(10);
    learn(core, N2);
    core.acknowledge(N2);
    core.pass(51);
    const sentAt = core.now;
    core.pass(49);
    const seq = core.takeKind('heartbeat').at(-1)?.message.readSeq ?? 0;
    core.acknowledge(N2, core.raft.lastIndex, seq);
    core.pass(100);
    core.ask((requestId) => ({ kind: 'changeMembers', requestId, change: { kind: 'promote', member: N2 } }));
    assert.deepEqual(core.raft.configuration.voters, [N1, N2]);
    assert.ok(core.raft.leaderLeaseUntil > sentAt - 51 + LEASE_MS, `${core.raft.leaderLeaseUntil - sentAt}`);
    assert.ok(core.raft.leaderLeaseUntil < core.now + LEASE_MS);
  });
});
