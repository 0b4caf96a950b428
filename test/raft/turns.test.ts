/** From turn to turn: what is owed when a write ends late, a node stops, a learner falls behind, or a word comes too late. One core each. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, MemberId, RequestId, Term } from '../../src/model/ids.ts';
import type { SnapshotMeta } from '../../src/model/log.ts';
import type { RaftConfig } from '../../src/raft/config.ts';
import type { MemberStep } from '../../src/raft/messages.ts';
import { at, codeOf, entry, followingCore, leadingCore, logOf, N2, N3, N4, SingleCore, THREE } from './single-core.ts';
import { configurationOf, WORLD_CLUSTER } from './world.ts';

const ELECTION_MS = 250;

function leading(config: Partial<RaftConfig> = {}): SingleCore {
  return leadingCore({ config });
}

function read(core: SingleCore): RequestId {
  return core.ask((requestId) => ({ kind: 'readIndex', requestId }));
}

function change(core: SingleCore, kind: MemberStep, id: MemberId): RequestId {
  return core.ask((requestId) => ({ kind: 'changeMembers', requestId, change: { kind, member: id } }));
}

/** Time in which these answer every heartbeat, and acknowledge nothing. */
function passHeard(core: SingleCore, ms: number, from: readonly MemberId[]): void {
  for (let passed = 0; passed < ms; passed += 50) {
    core.pass(50);
    const readSeq = core.takeKind('heartbeat').at(-1)?.message.readSeq ?? 0;
    const durableLast = core.raft.lastIndex;
    for (const id of from) core.receive(id, { kind: 'heartbeatResp', term: core.raft.term, readSeq, durableLast });
  }
}

describe('writes that end late', () => {
  it('P-4, P-25: the own vote of a term that is over does not count in the next', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.hasFastDisk = false;
    const campaign = (term: number): void => {
      core.pass(700);
      core.receive(N2, { kind: 'preVoteResp', term: term as Term, nextTerm: term as Term, granted: true, reason: '' });
      assert.deepEqual([core.raft.role, core.raft.term], ['candidate', term]);
    };
    campaign(2);
    campaign(3);
    core.receive(N2, { kind: 'voteResp', term: 3 as Term, granted: true, reason: '' });
    core.syncOne();
    assert.equal(core.raft.role, 'candidate', 'term 3 is not on its disk yet');
    core.sync();
    assert.equal(core.raft.role, 'leader');
  });

  it('of acknowledgements that are merged the newest round is echoed; a refusal is not merged with them', () => {
    const core = new SingleCore(logOf(THREE, [], 2), { config: { batchesInFlightMax: 1 } });
    core.hasFastDisk = false;
    const append = (index: number, readSeq: number): void =>
      core.receive(N2, {
        kind: 'appendReq',
        term: 2 as Term,
        prev: at(index === 2 ? 1 : 2, index - 1),
        entries: [entry(2, index)],
        commit: 0 as LogIndex,
        readSeq,
        cancelledTransfers: 0,
      });
    append(2, 1);
    append(3, 9);
    append(4, 8);
    append(9, 10);
    core.take();
    core.sync();
    assert.deepEqual(
      core.take().flatMap(({ message }) => {
        if (message.kind === 'appendOk') return [['ok', message.match, message.readSeq]];
        return message.kind === 'appendRejected' ? [['rejected', message.rejectedPrev, message.readSeq]] : [];
      }),
      [
        ['ok', 2, 1],
        ['ok', 4, 9],
        ['rejected', 8, 10],
      ],
    );
  });

  it('whether the newest configuration is on the disk is known', () => {
    const core = leading();
    core.hasFastDisk = false;
    change(core, 'addLearner', N4);
    assert.equal(core.raft.isConfigurationDurable, false);
    core.sync();
    assert.equal(core.raft.isConfigurationDurable, true);
  });

  it('after each input a turn is due at once, and after the turn none', () => {
    const core = followingCore();
    core.raft.step({ kind: 'room', room: 'enough' }, core.now, []);
    assert.equal(core.raft.nextDeadline(), core.now);
    core.tick();
    assert.ok(core.raft.nextDeadline() > core.now);
  });

  it('an install for which there was no room leaves the log as it was, and it goes on', () => {
    const configuration = configurationOf(THREE);
    const meta: SnapshotMeta = {
      clusterId: WORLD_CLUSTER,
      lastLog: at(2, 20),
      configuration,
      configurationIndex: 1 as LogIndex,
    };
    const core = followingCore();
    core.input({ kind: 'snapshotReceived', from: N2, term: 2 as Term, meta });
    core.append(N2, 2, at(1, 1), [entry(2, 2)]);
    core.heartbeat(N2, 2, { commit: 1 });
    assert.deepEqual([core.raft.lastIndex, core.raft.commitIndex], [1, 0], 'nothing is taken in meanwhile');
    core.input({ kind: 'installRefused' });
    core.append(N2, 2, at(1, 1), [entry(2, 2)]);
    assert.equal(core.raft.lastIndex, 2);
  });
});

describe('who stops', () => {
  it('I-22: what was committed and waits for the own disk alone is answered so by a leader that steps down', () => {
    const core = leading();
    core.hasFastDisk = false;
    const added = change(core, 'addLearner', N4);
    const proposed = core.propose('a');
    core.acknowledge(N2);
    core.acknowledge(N3);
    const open = core.propose('b');
    assert.deepEqual([codeOf(core, added), codeOf(core, proposed)], ['waits', 'waits']);
    core.heartbeat(N3, 3);
    assert.deepEqual(
      [codeOf(core, added), codeOf(core, proposed), codeOf(core, open)],
      ['changed', 'committed', 'unknown'],
    );
    const exact = leading();
    exact.hasFastDisk = false;
    const last = change(exact, 'addLearner', N4);
    exact.acknowledge(N2);
    exact.acknowledge(N3);
    exact.heartbeat(N3, 3);
    assert.equal(codeOf(exact, last), 'changed');
  });

  it('11.6: by a write that failed: who waits is answered, and nothing is written any more', () => {
    const core = leading();
    const [proposed, asked] = [core.propose('a'), read(core)];
    core.input({ kind: 'persistFailed', reason: 'EIO' });
    assert.deepEqual(
      [codeOf(core, proposed), codeOf(core, asked), core.raft.role],
      ['unknown', 'NOT_LEADER', 'follower'],
    );
    assert.deepEqual(core.others, [{ kind: 'stop', reason: 'EIO' }]);
    assert.equal(codeOf(core, core.propose('b')), 'STOPPED');
    const follower = followingCore();
    const forwarded = read(follower);
    follower.input({ kind: 'persistFailed', reason: 'EIO' });
    assert.equal(codeOf(follower, forwarded), 'STOPPED');
  });

  it('R-2: by the word of a leader of a newer term: that term is not written any more', () => {
    const core = followingCore();
    core.hasFastDisk = false;
    core.heartbeat(N2, 3, { commit: 9 });
    assert.deepEqual([core.others.length, core.batches], [1, []]);
    const asked = followingCore();
    const forwarded = read(asked);
    asked.heartbeat(N2, 2, { commit: 9 });
    assert.equal(codeOf(asked, forwarded), 'STOPPED');
  });
});

describe('words that come too late, or from nobody', () => {
  it('the word to campaign counts from the leader alone, and from one of a newer term', () => {
    const told = (from: MemberId, term: number): string => {
      const core = followingCore();
      core.receive(from, { kind: 'timeoutNow', term: term as Term, transferSeq: 1 });
      return `${core.raft.role} ${core.raft.term}`;
    };
    assert.equal(told(N3, 2), 'follower 2');
    assert.equal(told(N2, 2), 'candidate 3');
    assert.equal(told(N3, 3), 'candidate 4');
    assert.equal(told(N3, 1), 'follower 2');
  });

  it('P-73: after a transfer that was given up only rounds that tell so give a lease, and the first of them does', () => {
    const core = leading();
    const asked = core.ask((requestId) => ({ kind: 'transferLeader', requestId, target: N2 }));
    let last = 0;
    for (let i = 0; i < 20 && codeOf(core, asked) === 'waits'; i++) {
      core.take();
      core.pass(50);
      const { message } = core.takeKind('heartbeat').at(-1) ?? assert.fail('a heartbeat');
      if (codeOf(core, asked) === 'waits') {
        last = message.readSeq;
        for (const id of [N2, N3])
          core.receive(id, { kind: 'heartbeatResp', term: 2 as Term, readSeq: last, durableLast: 2 as LogIndex });
        continue;
      }
      assert.equal(message.cancelledTransfers, 1);
      core.receive(N2, { kind: 'heartbeatResp', term: 2 as Term, readSeq: last, durableLast: 2 as LogIndex });
      assert.equal(core.raft.leaderLeaseUntil, Number.NEGATIVE_INFINITY);
      core.receive(N2, {
        kind: 'heartbeatResp',
        term: 2 as Term,
        readSeq: message.readSeq,
        durableLast: 2 as LogIndex,
      });
      assert.ok(core.raft.leaderLeaseUntil > core.now);
    }
    assert.equal(codeOf(core, asked), 'TIMED_OUT');
  });

  it('P-13: a vote that is asked for within the bond is dropped, and counted so', () => {
    const core = followingCore();
    const { messagesDropped } = core.raft.stats;
    assert.equal(core.voteReq(N3, 9, at(9, 9)), undefined);
    assert.equal(core.raft.stats.messagesDropped, messagesDropped + 1);
  });

  it('who does not lead has no commit index to offer, no lease to shorten, and refuses no proposal by refusing a read', () => {
    const core = followingCore();
    core.receive(N3, { kind: 'readIndexReq', term: 2 as Term, id: 7 });
    assert.deepEqual(
      core.takeKind('readIndexResp').map(({ message }) => message),
      [{ kind: 'readIndexResp', term: 2, id: 7, index: 0, ok: false }],
    );
    core.input({ kind: 'clockJumped', byMs: 40 });
    core.input({ kind: 'peerUnreachable', peer: N2 });
    core.input({ kind: 'snapshotStatus', peer: N2, ok: true });
    core.pass(700);
    assert.equal(codeOf(core, read(core)), 'NOT_LEADER');
    assert.equal(core.raft.stats.proposalsRefused, 0);
  });

  it('12.3: a loop that is on time shortens nobody’s patience, one that is late stretches it', () => {
    const afterDelay = (p99Ms: number): string => {
      const core = followingCore();
      core.input({ kind: 'loopDelay', p99Ms });
      core.heartbeat(N2, 2);
      core.pass(ELECTION_MS - 10);
      const early = core.raft.role;
      core.pass(ELECTION_MS + 20);
      return `${early}, ${core.raft.role}`;
    };
    assert.equal(afterDelay(0), 'follower, preCandidate');
    assert.equal(afterDelay(50), 'follower, preCandidate');
    assert.equal(afterDelay(200), 'follower, follower');
  });
});

describe('peers that are level, behind, or gone', () => {
  const learner = (): SingleCore => {
    const core = leading();
    change(core, 'addLearner', N4);
    for (const id of [N2, N3, N4]) core.acknowledge(id);
    passHeard(core, 100, [N2, N3, N4]);
    core.take();
    return core;
  };
  const caughtUp = (core: SingleCore): number => core.events.filter(({ kind }) => kind === 'learnerCaughtUp').length;

  it('a peer that lacks nothing gets heartbeats and no appends', () => {
    const core = leading();
    core.pass(51);
    const readSeq = core.takeKind('heartbeat').at(-1)?.message.readSeq ?? 0;
    for (const id of [N2, N3])
      core.receive(id, { kind: 'heartbeatResp', term: 2 as Term, readSeq, durableLast: 2 as LogIndex });
    assert.deepEqual(core.take(), []);
  });

  it('9.3: that a learner has caught up is told once', () => {
    const core = learner();
    assert.equal(caughtUp(core), 1);
    for (const text of ['a', 'b', 'c']) {
      core.propose(text);
      for (const id of [N2, N4]) core.acknowledge(id);
    }
    assert.equal(caughtUp(core), 1);
  });

  it('9.3: a learner that has caught up and then takes nothing in for an election timeout is not promoted', () => {
    const soon = learner();
    soon.propose('a');
    soon.acknowledge(N2);
    passHeard(soon, 100, [N2, N3, N4]);
    assert.equal(codeOf(soon, change(soon, 'promote', N4)), 'waits');
    const late = learner();
    late.propose('a');
    late.acknowledge(N2);
    passHeard(late, 400, [N2, N3, N4]);
    assert.equal(codeOf(late, change(late, 'promote', N4)), 'NOT_READY');
    late.acknowledge(N4);
    late.acknowledge(N4);
    passHeard(late, 100, [N2, N3, N4]);
    assert.equal(codeOf(late, change(late, 'promote', N4)), 'waits');
  });

  it('9.3: a learner that was level and is not heard any more is not promoted', () => {
    const core = learner();
    passHeard(core, 200, [N2, N3]);
    assert.equal(codeOf(core, change(core, 'promote', N4)), 'waits', 'within an election timeout');
    const silent = learner();
    passHeard(silent, 300, [N2, N3]);
    assert.equal(codeOf(silent, change(silent, 'promote', N4)), 'NOT_READY');
  });

  it('9.3: who is a learner once more has to catch up once more', () => {
    const core = learner();
    change(core, 'promote', N4);
    for (const id of [N2, N3, N4]) core.acknowledge(id);
    assert.equal(core.raft.configuration.voters.length, 4);
    change(core, 'demote', N4);
    for (const id of [N2, N3]) core.acknowledge(id);
    assert.equal(codeOf(core, change(core, 'promote', N4)), 'NOT_READY');
  });

  it('a member that was removed and says nothing is told so for four election timeouts', () => {
    const core = leading();
    change(core, 'remove', N3);
    core.acknowledge(N2);
    core.take();
    const isTold = (): boolean => {
      core.take();
      core.pass(50);
      const heartbeats = core.takeKind('heartbeat');
      const readSeq = heartbeats.at(-1)?.message.readSeq ?? 0;
      core.receive(N2, { kind: 'heartbeatResp', term: 2 as Term, readSeq, durableLast: core.raft.lastIndex });
      return heartbeats.some(({ to }) => to === N3);
    };
    let rounds = 0;
    while (isTold()) rounds += 1;
    assert.ok(rounds >= 18 && rounds <= 21, `${rounds} heartbeats`);
  });

  it('P-16: the hint of a refusal is where the next probe begins; a refusal from before the logs met means nothing', () => {
    const core = new SingleCore(logOf(THREE, [1, 1, 1, 1]));
    core.elect([N2, N3]);
    core.take();
    const refuse = (rejectedPrev: number, hint: number): void =>
      core.receive(N2, {
        kind: 'appendRejected',
        term: 2 as Term,
        rejectedPrev: rejectedPrev as LogIndex,
        hint: at(1, hint),
        readSeq: 0,
      });
    const sent = (): number[][] =>
      core
        .takeKind('appendReq')
        .filter(({ to }) => to === N2)
        .map(({ message }) => [message.prev.index, message.entries.length]);
    refuse(5, 3);
    assert.deepEqual(sent(), [[3, 3]]);
    refuse(5, 1);
    assert.deepEqual(sent(), [], 'it answers a probe of before');
    core.acknowledge(N2);
    core.take();
    refuse(3, 1);
    core.propose('a');
    core.propose('b');
    assert.deepEqual(
      sent().filter(([, entries]) => entries === 1),
      [
        [6, 1],
        [7, 1],
      ],
      'replication goes on without waiting',
    );
  });

  it('11.4: after a torn tail a node neither campaigns nor wakes for it until its caution is over, unless it is alone', () => {
    const torn = (voters: readonly string[]): SingleCore =>
      new SingleCore({ ...logOf(voters, [1]), tornTail: at(1, 5) });
    const core = torn(THREE);
    core.pass(700);
    assert.deepEqual([core.raft.role, core.take()], ['follower', []]);
    assert.ok(core.raft.nextDeadline() - core.now > 300, `${core.raft.nextDeadline() - core.now}`);
    core.pass(790);
    assert.equal(core.raft.role, 'follower');
    assert.ok(core.raft.nextDeadline() - core.now <= 10.1, `${core.raft.nextDeadline() - core.now}`);
    core.pass(20);
    assert.equal(core.raft.role, 'preCandidate');
    const alone = torn(['n1']);
    alone.pass(10);
    assert.equal(alone.raft.role, 'leader');
  });

  it('10.4: no snapshot is sent to who says nothing, and one as soon as it is heard', () => {
    const core = leading({ inflightMessagesMax: 1 });
    for (const text of ['a', 'b', 'c']) {
      core.propose(text);
      core.acknowledge(N2);
    }
    passHeard(core, 300, [N2]);
    const configuration = configurationOf(THREE);
    const meta = { clusterId: WORLD_CLUSTER, lastLog: at(2, 5), configuration, configurationIndex: 1 as LogIndex };
    core.input({ kind: 'compacted', meta, firstIndex: 6 as LogIndex });
    core.input({ kind: 'peerUnreachable', peer: N3 });
    passHeard(core, 50, [N2]);
    assert.deepEqual(core.others, []);
    passHeard(core, 50, [N2, N3]);
    assert.equal(core.others.filter(({ kind }) => kind === 'streamSnapshot').length, 1);
  });

  it('P-27: a window whose entries were compacted away ends in a snapshot, and is empty afterwards', () => {
    const core = leading({ inflightMessagesMax: 1 });
    for (const text of ['a', 'b', 'c']) {
      core.propose(text);
      core.acknowledge(N2);
    }
    const configuration = configurationOf(THREE);
    const meta = { clusterId: WORLD_CLUSTER, lastLog: at(2, 5), configuration, configurationIndex: 1 as LogIndex };
    core.input({ kind: 'compacted', meta, firstIndex: 6 as LogIndex });
    passHeard(core, 100, [N2, N3]);
    assert.deepEqual(
      core.others.map((effect) => effect.kind === 'streamSnapshot' && [effect.to, effect.minIndex]),
      [[N3, 5]],
    );
    core.acknowledge(N3, 5 as LogIndex);
    core.take();
    core.propose('d');
    assert.deepEqual(
      core
        .takeKind('appendReq')
        .flatMap(({ to, message }) => (to === N3 ? [message.entries.map(({ index }) => index)] : [])),
      [[6]],
    );
  });
});
