/** Members that come and go, and snapshots for those who lack too much. Step tests, one core each; raft.md 9 and 10. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, MemberId, RequestId, Term } from '../../src/model/ids.ts';
import { EMPTY_RECOVERED_LOG } from '../../src/model/log.ts';
import type { SnapshotMeta } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG, STEADY_RAFT_CONFIG, leaderLeaseMs, validateRaftConfig } from '../../src/raft/config.ts';
import type { MemberStep } from '../../src/raft/messages.ts';
import {
  at,
  codeOf,
  entry,
  granted,
  leadingCore,
  logOf,
  N1,
  N2,
  N3,
  N4,
  N5,
  SingleCore,
  THREE,
} from './single-core.ts';
import { WORLD_CLUSTER, configurationOf, foundingEntry, member } from './world.ts';

const LEASE_MS: number = leaderLeaseMs(DEFAULT_RAFT_CONFIG);

function leading(voters: readonly string[] = THREE, terms: readonly number[] = []): SingleCore {
  return leadingCore({ voters, terms });
}

function echo(core: SingleCore, from: MemberId, readSeq: number): void {
  core.receive(from, { kind: 'heartbeatResp', term: core.raft.term, readSeq, durableLast: core.raft.lastIndex });
}

function change(core: SingleCore, kind: MemberStep, id: MemberId): RequestId {
  return core.ask((requestId) => ({ kind: 'changeMembers', requestId, change: { kind, member: id } }));
}

function exchange(core: SingleCore, promote: readonly MemberId[], remove: readonly MemberId[]): RequestId {
  return core.ask((requestId) => ({ kind: 'changeMembers', requestId, change: { kind: 'exchange', promote, remove } }));
}

/** It was a follower when the joint configuration came; nobody has told it that it is committed. */
function jointLog(incoming: readonly string[], outgoing: readonly string[]): SingleCore {
  const { entries } = logOf(outgoing, []);
  const joint = {
    ...configurationOf(incoming),
    votersOutgoing: configurationOf(outgoing).voters,
    autoLeave: true,
  };
  const entered = { ...foundingEntry(joint), ...at(2, 2) };
  const hardState = { term: 2 as Term, vote: null };
  return new SingleCore({ ...EMPTY_RECOVERED_LOG, hardState, entries: [...entries, entered] });
}

describe('members', () => {
  it('P-32: no change before an entry of the own term is committed, and one at a time', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.elect([N2]);
    assert.equal(codeOf(core, change(core, 'addLearner', N4)), 'NOT_READY');
    core.acknowledge(N2);
    const added = change(core, 'addLearner', N4);
    assert.deepEqual(core.raft.configuration.learners, [N4], 'it counts from when it is appended');
    assert.equal(codeOf(core, change(core, 'remove', N3)), 'CONFIG_PENDING', 'E-6');
    core.acknowledge(N2);
    assert.deepEqual(core.outcome(added), { kind: 'changed', configuration: configurationOf(THREE, ['n4']) });
  });

  it('no change leaves voters of whom no majority answers: the group would stand still until one came back', () => {
    const core = leading();
    for (let i = 0; i < 12; i++) {
      core.pass(DEFAULT_RAFT_CONFIG.electionMs / 10);
      core.acknowledge(N2);
    }
    assert.equal(core.raft.role, 'leader', 'two of three are enough');
    assert.equal(codeOf(core, change(core, 'remove', N2)), 'NOT_READY');
    assert.deepEqual(core.raft.configuration, configurationOf(THREE));
    change(core, 'remove', N3);
    assert.deepEqual(core.raft.configuration, configurationOf(['n1', 'n2']), 'who is silent can be spared');
  });

  it('9.3: a learner is promoted when it has caught up, and counts from then on', () => {
    const core = leading();
    change(core, 'addLearner', N4);
    core.acknowledge(N2);
    core.acknowledge(N3);
    assert.equal(codeOf(core, change(core, 'promote', N4)), 'NOT_READY');
    core.acknowledge(N4);
    assert.ok(core.events.some((event) => event.kind === 'learnerCaughtUp' && event.member === N4));
    change(core, 'promote', N4);
    assert.equal(core.raft.configuration.voters.length, 4);
    const { commitIndex } = core.raft;
    core.acknowledge(N4);
    assert.equal(core.raft.commitIndex, commitIndex, 'two of four are no quorum');
    core.acknowledge(N2);
    assert.equal(core.raft.commitIndex, core.raft.lastIndex);
  });

  it('a member that was dropped is told so, and then left alone', () => {
    const core = leading();
    change(core, 'remove', N3);
    assert.deepEqual(
      core.takeKind('appendReq').map(({ to }) => to),
      [N2, N3],
    );
    core.acknowledge(N2);
    core.acknowledge(N3);
    core.pass(60);
    core.take();
    core.pass(60);
    assert.deepEqual([...new Set(core.takeKind('heartbeat').map(({ to }) => to))], [N2]);
  });

  it('9.2 rules 3, 4: several voters change by a joint step that needs both halves, and is left by itself', () => {
    const core = leading();
    change(core, 'addLearner', N4);
    for (const id of [N2, N3, N4]) core.acknowledge(id);
    change(core, 'addLearner', N5);
    for (const id of [N2, N3, N4, N5]) core.acknowledge(id);
    const asked = exchange(core, [N4, N5], [N2]);
    const joint = core.raft.configuration;
    assert.deepEqual(
      [joint.voters, joint.votersOutgoing],
      [
        [N1, N3, N4, N5],
        [N1, N2, N3],
      ],
    );
    const entered = core.raft.lastIndex;
    core.acknowledge(N4);
    core.acknowledge(N5);
    assert.ok(core.raft.commitIndex < entered, 'three of the incoming half, one of the outgoing: not committed');
    assert.equal(codeOf(core, exchange(core, [], [N3])), 'CONFIG_PENDING');
    core.acknowledge(N2);
    assert.equal(core.raft.commitIndex, entered);
    assert.deepEqual(core.raft.configuration, configurationOf(['n1', 'n3', 'n4', 'n5']), 'it is being left');
    assert.equal(codeOf(core, asked), 'waits', 'the change is not done before it is left');
    core.acknowledge(N4);
    core.acknowledge(N5);
    assert.deepEqual(core.outcome(asked), {
      kind: 'changed',
      configuration: configurationOf(['n1', 'n3', 'n4', 'n5']),
    });
  });

  it('9.2 rule 4: a new leader leaves what its predecessor entered, and not before an entry of its own term is committed', () => {
    const core = jointLog(['n1', 'n4', 'n5'], THREE);
    core.elect([N2, N4]);
    assert.equal(core.raft.role, 'leader', 'two of each half');
    core.pass(120);
    assert.equal(core.raft.configuration.votersOutgoing.length, 3, 'nothing of its term is committed');
    core.acknowledge(N2);
    assert.equal(core.raft.commitIndex, 0);
    core.acknowledge(N4);
    assert.deepEqual(core.raft.configuration, configurationOf(['n1', 'n4', 'n5']));
    assert.equal(core.raft.commitIndex, 3);
  });

  it('9.2 rule 3: no majority of one half elects, and no majority of one half keeps a leader', () => {
    const core = jointLog(['n1', 'n4', 'n5'], THREE);
    core.elect([N4, N5]);
    assert.notEqual(core.raft.role, 'leader');
    const led = jointLog(['n1', 'n4', 'n5'], THREE);
    led.elect([N2, N4]);
    for (let i = 0; i < 20 && led.raft.role === 'leader'; i++) {
      led.pass(50);
      for (const { to, message } of led.takeKind('heartbeat'))
        if (to !== N2 && to !== N3) echo(led, to, message.readSeq);
    }
    assert.equal(led.raft.role, 'follower', 'CheckQuorum: the outgoing half was not heard');
  });

  it('9.2 rule 6: a leader of the outgoing half alone leaves the joint step, does not count itself, and goes', () => {
    const core = jointLog(['n3', 'n4', 'n5'], THREE);
    core.elect([N2, N3, N4]);
    assert.equal(core.raft.role, 'leader');
    for (const id of [N2, N3, N4]) core.acknowledge(id);
    assert.deepEqual(core.raft.configuration, configurationOf(['n3', 'n4', 'n5']));
    assert.equal(core.raft.role, 'leader', 'until that is committed');
    core.acknowledge(N3);
    assert.equal(core.raft.role, 'leader', 'one of three, itself not counted');
    core.acknowledge(N4);
    assert.equal(core.raft.role, 'follower');
    core.pass(2_000);
    assert.equal(core.raft.role, 'follower');
  });

  it('9.2 rule 8: a voter campaigns until its removal is committed, then neither campaigns nor votes', () => {
    const removal = (commit: number): SingleCore => {
      const core = new SingleCore(logOf(['n2', 'n3', 'n4'], [], 2));
      const { entries } = logOf(['n1', 'n2', 'n3', 'n4'], []);
      const before = { ...EMPTY_RECOVERED_LOG, hardState: { term: 2 as Term, vote: null }, entries };
      const voter = new SingleCore(before);
      const config = core.raft.configuration;
      assert.equal(config.voters.length, 3);
      const removed = { ...(logOf(['n2', 'n3', 'n4'], []).entries[0] ?? assert.fail()), ...at(2, 2) };
      voter.append(N2, 2, at(1, 1), [removed], commit);
      return voter;
    };
    const uncommitted = removal(1);
    uncommitted.pass(600);
    assert.equal(uncommitted.raft.role, 'preCandidate');
    assert.equal(granted(uncommitted.preVoteReq(N3, 9, at(9, 9))), true);
    const gone = removal(2);
    gone.pass(2_000);
    assert.equal(gone.raft.role, 'follower');
    assert.equal(granted(gone.preVoteReq(N3, 9, at(9, 9))), false);
  });

  it('E-9: a leader that is outside the configuration steps down when that is committed', () => {
    const { entries } = logOf(['n1', 'n2', 'n3', 'n4'], []);
    const removed = { ...(logOf(['n2', 'n3', 'n4'], []).entries[0] ?? assert.fail()), ...at(2, 2) };
    const core = new SingleCore({
      ...EMPTY_RECOVERED_LOG,
      hardState: { term: 2 as Term, vote: null },
      entries: [...entries, removed],
    });
    core.elect([N2, N3]);
    assert.equal(core.raft.role, 'leader');
    core.acknowledge(N2);
    assert.equal(core.raft.commitIndex, 0, 'it does not count itself');
    core.acknowledge(N3);
    assert.deepEqual([core.raft.role, core.raft.commitIndex], ['follower', 3]);
    core.pass(2_000);
    assert.equal(core.raft.role, 'follower');
  });

  it('9.2 rule 7: truncating a configuration gives back the one before', () => {
    const core = new SingleCore(logOf(THREE, []));
    const added = { ...(logOf(['n1', 'n2', 'n3', 'n4'], []).entries[0] ?? assert.fail()), ...at(2, 2) };
    core.append(N2, 2, at(1, 1), [added]);
    assert.equal(core.raft.configuration.voters.length, 4);
    core.append(N3, 3, at(1, 1), [entry(3, 2)]);
    assert.equal(core.raft.configuration.voters.length, 3);
    const seen = core.events.flatMap((event) =>
      event.kind === 'configurationChanged' ? [event.configuration.voters.length] : [],
    );
    assert.deepEqual(seen, [4, 3]);
  });

  it('E-4, P-44: whoever is asked votes, though it does not know yet that it may', () => {
    const learner = new SingleCore({ ...logOf(['n2', 'n3'], [1]) });
    learner.pass(300);
    assert.equal(granted(learner.voteReq(N2, 2, at(1, 2))), true);
  });
});

describe('snapshots', () => {
  const meta = (term: number, index: number, voters: readonly string[] = THREE): SnapshotMeta => ({
    clusterId: WORLD_CLUSTER,
    lastLog: at(term, index),
    configuration: configurationOf(voters),
    configurationIndex: 1 as LogIndex,
  });

  it('P-27, E-26: who lacks what is compacted away gets a snapshot, and leaves that state by any answer that meets the log', () => {
    const core = leading(THREE, [1, 1, 1]);
    core.propose('a', 'b');
    core.acknowledge(N2);
    core.input({ kind: 'compacted', meta: meta(2, 7), firstIndex: 6 as LogIndex });
    core.input({ kind: 'peerUnreachable', peer: N3 });
    core.take();
    core.receive(N3, {
      kind: 'appendRejected',
      term: 2 as Term,
      rejectedPrev: 5 as LogIndex,
      hint: at(1, 2),
      readSeq: 0,
    });
    assert.deepEqual(core.others, [], 'its acknowledgements tell that it has more');

    const fresh = leading(THREE, [1, 1, 1]);
    change(fresh, 'addLearner', N4);
    fresh.acknowledge(N2);
    fresh.input({ kind: 'compacted', meta: meta(2, 6), firstIndex: 6 as LogIndex });
    fresh.receive(N4, {
      kind: 'appendRejected',
      term: 2 as Term,
      rejectedPrev: 6 as LogIndex,
      hint: at(0, 0),
      readSeq: 0,
    });
    assert.deepEqual(fresh.others, [{ kind: 'streamSnapshot', to: N4, minIndex: 5 }]);
    assert.equal(fresh.raft.compactFloor, 7);
    fresh.propose('x');
    assert.deepEqual(
      fresh.takeKind('appendReq').filter(({ to, message }) => to === N4 && message.entries.length > 0),
      [],
    );
    fresh.acknowledge(N4, 5 as LogIndex);
    const { message } = fresh.takeKind('appendReq').find(({ to }) => to === N4) ?? assert.fail('replication goes on');
    assert.deepEqual(
      message.entries.map(({ index }) => index),
      [6, 7],
      'E-28: whichever snapshot it was',
    );
  });

  it('a failed stream goes back to probing, and to a new one', () => {
    const core = leading(THREE, [1, 1, 1]);
    change(core, 'addLearner', N4);
    core.acknowledge(N2);
    core.input({ kind: 'compacted', meta: meta(2, 6), firstIndex: 6 as LogIndex });
    core.receive(N4, {
      kind: 'appendRejected',
      term: 2 as Term,
      rejectedPrev: 6 as LogIndex,
      hint: at(0, 0),
      readSeq: 0,
    });
    core.input({ kind: 'snapshotStatus', peer: N4, ok: false });
    echo(core, N4, 1);
    assert.equal(core.others.filter(({ kind }) => kind === 'streamSnapshot').length, 2);
  });

  it('P-18: an install replaces the log, waits for writes under way, and leaves the term alone', () => {
    const core = new SingleCore(logOf(THREE, [1, 1]));
    core.hasFastDisk = false;
    core.append(N2, 5, at(1, 3), [entry(5, 4)]);
    core.input({ kind: 'snapshotReceived', from: N2, term: 5 as Term, meta: meta(4, 20) });
    assert.deepEqual(
      core.others.map(({ kind }) => kind),
      ['installSnapshot'],
    );
    core.append(N2, 5, at(5, 4), [entry(5, 5)]);
    core.sync();
    assert.equal(core.raft.lastIndex, 4, 'nothing is taken in meanwhile');
    core.pass(1_000);
    assert.equal(core.raft.role, 'follower', 'nor is there a campaign');
    core.take();
    core.input({ kind: 'snapshotInstalled', meta: meta(4, 20) });
    assert.deepEqual([core.raft.term, core.raft.commitIndex, core.raft.lastIndex], [5, 20, 20]);
    core.append(N2, 5, at(4, 20), [entry(5, 21)], 21);
    core.sync();
    assert.equal(core.committed.at(-1)?.index, 21);
  });

  it('10.4: a snapshot of what the log holds moves only the commit index; an old one nothing', () => {
    const core = new SingleCore(logOf(THREE, [1, 1]));
    core.heartbeat(N2, 2);
    core.input({ kind: 'snapshotReceived', from: N2, term: 2 as Term, meta: meta(1, 2) });
    assert.deepEqual([core.raft.commitIndex, core.raft.lastIndex, core.others], [2, 3, []]);
    assert.deepEqual(
      core.takeKind('appendOk').map(({ message }) => message.match),
      [2],
      'E-27: an ordinary answer',
    );
    core.input({ kind: 'snapshotReceived', from: N2, term: 2 as Term, meta: meta(1, 1) });
    core.input({ kind: 'snapshotReceived', from: N2, term: 1 as Term, meta: meta(1, 9) });
    assert.deepEqual([core.raft.commitIndex, core.others], [2, []]);
  });

  it('H-32: a restart from snapshot and the entries that trail it', () => {
    const entries = [...logOf(THREE, [1, 1, 1, 2, 2]).entries].slice(2);
    const recovered = {
      ...EMPTY_RECOVERED_LOG,
      hardState: { term: 3 as Term, vote: null },
      snapshot: { meta: meta(1, 4), bytes: new Uint8Array(0) },
    };
    const core = new SingleCore({ ...recovered, entries });
    assert.deepEqual([core.raft.commitIndex, core.raft.lastIndex, core.raft.configuration.voters.length], [4, 6, 3]);
    assert.equal(core.raft.termAt(3 as LogIndex), 1, 'the first kept entry has become the base');
    core.append(N2, 3, at(2, 6), [], 6);
    assert.deepEqual(
      core.committed.map(({ index }) => index),
      [5, 6],
    );
    const bare = new SingleCore({ ...recovered, entries: [] });
    assert.deepEqual([bare.raft.lastIndex, bare.raft.termAt(4 as LogIndex)], [4, 1]);
  });
});

describe('settings', () => {
  it('P-11: every problem is told at once', () => {
    assert.deepEqual(validateRaftConfig(DEFAULT_RAFT_CONFIG), []);
    assert.deepEqual(validateRaftConfig(STEADY_RAFT_CONFIG), []);
    const bad = {
      ...DEFAULT_RAFT_CONFIG,
      heartbeatMs: 10,
      electionMs: 40,
      clockDrift: 0.7,
      inflightMessagesMax: 0,
      snapshotTimeoutMs: 0,
    };
    assert.equal(validateRaftConfig(bad).length, 6);
  });

  it('the least lease is what the ownership rules count with', () => {
    assert.equal(Math.round(LEASE_MS), 240);
    assert.equal(member('n1'), N1);
  });
});
