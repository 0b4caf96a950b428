/** Those who would disrupt a cluster, and what a core refuses. Step tests, one core each; dissertation 4.2.3, 9.6, raft.md 4.4, 4.5. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, Term } from '../../src/model/ids.ts';
import type { RaftMessage } from '../../src/raft/messages.ts';
import { N1, N2, N3, SingleCore, at, granted, logOf } from './single-core.ts';

const THREE: readonly string[] = ['n1', 'n2', 'n3'];

describe('dissertation 4.2.3 and 9.6: those who would disrupt', () => {
  const bound = (): SingleCore => {
    const core = new SingleCore(logOf(THREE, []));
    core.pass(400);
    core.heartbeat(N2, 2);
    return core;
  };

  it('P-13: within E of a leader’s word neither vote nor pre-vote is given, and no term taken over', () => {
    const core = bound();
    core.pass(100);
    assert.equal(granted(core.preVoteReq(N3, 9, at(9, 9))), false);
    assert.equal(core.voteReq(N3, 9, at(9, 9)), undefined);
    assert.equal(core.raft.term, 2);
    core.pass(151);
    assert.equal(granted(core.preVoteReq(N3, 9, at(9, 9))), true);
    assert.equal(granted(core.voteReq(N3, 9, at(9, 9))), true);
  });

  it('P-74: the bond holds also when a stray refusal has raised our term', () => {
    const core = bound();
    core.pass(210);
    core.receive(N3, { kind: 'preVoteResp', term: 9 as Term, nextTerm: 3 as Term, granted: false, reason: '' });
    assert.deepEqual([core.raft.term, core.raft.leader], [9, undefined]);
    assert.equal(granted(core.voteReq(N3, 9, at(9, 9))), false);
  });

  it('a leader votes for nobody while it leads', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.elect([N2]);
    assert.equal(granted(core.preVoteReq(N3, 9, at(9, 9))), false);
    assert.equal(core.voteReq(N3, 9, at(9, 9)), undefined);
    assert.equal(core.raft.role, 'leader');
  });

  it('P-71: a voter that has just started gives no vote for E, to a transfer neither', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.pass(100);
    assert.equal(granted(core.preVoteReq(N3, 2, at(9, 9))), false);
    assert.equal(core.voteReq(N3, 2, at(9, 9), 1), undefined);
    core.pass(150);
    assert.equal(granted(core.voteReq(N3, 2, at(9, 9))), true);
  });

  it('H-51: pre-votes, refused votes and old traffic do not put off our own campaign', () => {
    const core = new SingleCore(logOf(THREE, [], 3));
    for (let i = 0; i < 60; i++) {
      core.preVoteReq(N3, 4, at(0, 0));
      core.voteReq(N3, 4, at(0, 0));
      core.heartbeat(N2, 2);
      core.pass(10);
    }
    assert.ok(core.raft.stats.electionsStarted > 0);
  });

  it('P-39: a stall alone starts no election; silence does', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.pass(400);
    core.heartbeat(N2, 2);
    core.now += 3_000;
    core.tick();
    assert.equal(core.raft.role, 'follower', 'the heartbeats of these seconds still wait in the socket');
    core.heartbeat(N2, 2);
    core.pass(240);
    assert.equal(core.raft.role, 'follower');
    core.pass(300);
    assert.equal(core.raft.role, 'preCandidate');
  });

  it('12.3: a late loop stretches its own timeout, up to eightfold', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.input({ kind: 'loopDelay', p99Ms: 100 });
    core.pass(499);
    assert.equal(core.raft.role, 'follower');
    core.input({ kind: 'loopDelay', p99Ms: 5_000 });
    core.pass(1_400);
    assert.equal(core.raft.role, 'follower');
    core.input({ kind: 'loopDelay', p99Ms: 2 });
    core.pass(30);
    assert.equal(core.raft.role, 'preCandidate');
  });

  it('a follower that hears its leader sleeps from heartbeat to heartbeat; a learner needs no timer', () => {
    const core = bound();
    assert.ok(core.raft.nextDeadline() - core.now >= 100);
    const learner = new SingleCore(logOf(['n2', 'n3'], []));
    assert.equal(learner.raft.nextDeadline(), Number.POSITIVE_INFINITY);
  });

  it('CheckQuorum: a leader that hears no quorum for E steps down in its term, and answers all who wait', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.elect([N2]);
    core.acknowledge(N2);
    const requestId = core.propose('x');
    const read = core.ask((id) => ({ kind: 'readIndex', requestId: id }));
    core.pass(240);
    assert.equal(core.raft.role, 'leader');
    core.pass(60);
    assert.deepEqual([core.raft.role, core.raft.term], ['follower', 2]);
    assert.equal(core.outcome(requestId)?.kind, 'unknown');
    const outcome = core.outcome(read);
    assert.ok(outcome?.kind === 'refused' && outcome.code === 'NOT_LEADER');
    assert.equal(core.raft.leaderLeaseUntil, Number.NEGATIVE_INFINITY);
  });
});

describe('I-2 and I-22', () => {
  it('those who ask the wrong node, or a stopped one, are told so', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.heartbeat(N2, 2);
    const outcome = core.outcome(core.propose('x'));
    assert.deepEqual(outcome?.kind === 'refused' ? [outcome.code, outcome.leader] : [], ['NOT_LEADER', N2]);
    core.input({ kind: 'persistFailed', reason: 'no space' });
    const late = core.outcome(core.propose('x'));
    assert.equal(late?.kind === 'refused' ? late.code : '', 'STOPPED');
    assert.deepEqual(
      core.others.map(({ kind }) => kind),
      ['stop'],
    );
    core.take();
    core.heartbeat(N2, 2);
    core.pass(2_000);
    assert.deepEqual(core.take(), [], 'and nothing is said any more');
    assert.equal(core.raft.nextDeadline(), Number.POSITIVE_INFINITY);
  });

  it('backpressure refuses at once: too large, too much, too many', () => {
    const core = new SingleCore(logOf(THREE, []), {
      config: { commandBytesMax: 10, uncommittedEntriesMax: 3, uncommittedBytesMax: 1_000 },
    });
    core.elect([N2]);
    const code = (requestId: ReturnType<SingleCore['propose']>): string => {
      const outcome = core.outcome(requestId);
      return outcome?.kind === 'refused' ? outcome.code : (outcome?.kind ?? 'waits');
    };
    assert.equal(code(core.propose('12345678901')), 'TOO_LARGE');
    core.acknowledge(N2);
    assert.equal(code(core.propose('a', 'b', 'c')), 'waits');
    assert.equal(code(core.propose('d')), 'BUSY');
    assert.equal(core.raft.stats.proposalsRefused, 2);
  });

  it('P-21: a heartbeat that knows more of our log than we do stops this node', () => {
    const core = new SingleCore(logOf(THREE, [1, 1]));
    const read = core.ask((requestId) => ({ kind: 'readIndex', requestId }));
    core.heartbeat(N2, 2, { commit: 9 });
    assert.ok(core.events.some((event) => event.kind === 'dataLost'));
    assert.deepEqual(
      core.others.map(({ kind }) => kind),
      ['stop'],
    );
    assert.equal(core.outcome(read)?.kind, 'refused');
  });

  it('ignores messages from itself and from a second leader of one term', () => {
    const core = new SingleCore(logOf(THREE, []));
    const heartbeat: RaftMessage = {
      kind: 'heartbeat',
      term: 2 as Term,
      commit: 0 as LogIndex,
      readSeq: 1,
      cancelledTransfers: 0,
    };
    core.receive(N1, heartbeat);
    assert.equal(core.raft.term, 1);
    core.heartbeat(N2, 2);
    core.heartbeat(N3, 2);
    assert.equal(core.raft.leader, N2);
  });
});
