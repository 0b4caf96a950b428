/** Raft as the paper and the dissertation tell it, one core at a time. The themes are those of etcd's paper tests (raft.md appendix B). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, MemberId, Term } from '../../src/model/ids.ts';
import { N1, N2, N3, N4, N5, SingleCore, at, entry, granted, logOf } from './single-core.ts';

const THREE: readonly string[] = ['n1', 'n2', 'n3'];
const FIVE: readonly string[] = ['n1', 'n2', 'n3', 'n4', 'n5'];

describe('Raft §5.1: terms', () => {
  it('a follower, a candidate and a leader all take over a newer term from a message', () => {
    const follower = new SingleCore(logOf(THREE, []));
    follower.append(N2, 4, at(1, 1), []);
    assert.deepEqual([follower.raft.role, follower.raft.term, follower.raft.leader], ['follower', 4, N2]);

    const candidate = new SingleCore(logOf(THREE, []));
    candidate.pass(500);
    candidate.receive(N2, { kind: 'preVoteResp', term: 2 as Term, nextTerm: 2 as Term, granted: true, reason: '' });
    assert.equal(candidate.raft.role, 'candidate');
    candidate.heartbeat(N3, 5);
    assert.deepEqual([candidate.raft.role, candidate.raft.term, candidate.raft.leader], ['follower', 5, N3]);

    const leader = new SingleCore(logOf(THREE, []));
    leader.elect([N2]);
    assert.equal(leader.raft.role, 'leader');
    leader.receive(N2, { kind: 'appendOk', term: 9 as Term, match: 0 as LogIndex, readSeq: 0 });
    assert.deepEqual([leader.raft.role, leader.raft.term], ['follower', 9]);
    assert.ok(leader.events.some((event) => event.kind === 'steppedDown'));
  });

  it('an old leader is told the newer term, and other old words are dropped', () => {
    const core = new SingleCore(logOf(THREE, [], 7));
    core.append(N2, 6, at(1, 1), []);
    core.heartbeat(N2, 6);
    core.receive(N2, { kind: 'voteResp', term: 6 as Term, granted: true, reason: '' });
    assert.deepEqual(
      core.take().map(({ message }) => [message.kind, message.term]),
      [
        ['appendRejected', 7],
        ['heartbeatResp', 7],
      ],
    );
    assert.equal(core.raft.leader, undefined);
  });

  it('P-3: whatever a node was, it starts as a follower with the term and vote that it had', () => {
    const recovered = { ...logOf(THREE, [1, 2]), hardState: { term: 5 as Term, vote: N3 } };
    const core = new SingleCore(recovered);
    assert.deepEqual([core.raft.role, core.raft.term, core.raft.leader], ['follower', 5, undefined]);
    core.pass(260);
    assert.equal(granted(core.voteReq(N2, 5, at(9, 9))), false, 'the vote of term 5 is given');
    assert.equal(granted(core.voteReq(N3, 5, at(9, 9))), true, 'to this one');
  });
});

describe('Raft §5.2: elections', () => {
  it('a follower that hears nothing campaigns after a time drawn from [E, 2E)', () => {
    const times = Array.from({ length: 60 }, (_, seed) => {
      const core = new SingleCore(logOf(THREE, []), { seed });
      const from = core.now;
      while (core.raft.role === 'follower') core.pass(1);
      return core.now - from;
    });
    assert.ok(Math.min(...times) >= 249 && Math.max(...times) <= 501);
    assert.ok(new Set(times.map((time) => Math.round(time / 5))).size > 25, 'P-38: times differ');
  });

  it('a pre-candidate asks everyone, raises no term, and campaigns when a quorum would vote for it', () => {
    const core = new SingleCore(logOf(FIVE, [1, 1]));
    core.pass(500);
    const asked = core.takeKind('preVoteReq');
    assert.deepEqual([...new Set(asked.map(({ to }) => to))], [N2, N3, N4, N5]);
    assert.deepEqual([asked[0]?.message.nextTerm, asked[0]?.message.lastLog, core.raft.term], [2, at(1, 3), 1]);
    const yes = (from: MemberId): void =>
      core.receive(from, { kind: 'preVoteResp', term: 2 as Term, nextTerm: 2 as Term, granted: true, reason: '' });
    yes(N2);
    assert.equal(core.raft.role, 'preCandidate');
    yes(N3);
    assert.deepEqual([core.raft.role, core.raft.term], ['candidate', 2]);
    assert.deepEqual(core.takeKind('voteReq')[0]?.message, {
      kind: 'voteReq',
      term: 2,
      lastLog: at(1, 3),
      transferSeq: 0,
    });
  });

  it('P-1, P-4: vote request and own vote wait for the disk', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.hasFastDisk = false;
    core.pass(500);
    core.receive(N2, { kind: 'preVoteResp', term: 2 as Term, nextTerm: 2 as Term, granted: true, reason: '' });
    assert.equal(core.raft.role, 'candidate');
    assert.deepEqual(core.batches[0]?.hardState, { term: 2, vote: N1 }, 'P-2: term and vote are one record');
    assert.deepEqual(core.takeKind('voteReq'), []);
    core.receive(N2, { kind: 'voteResp', term: 2 as Term, granted: true, reason: '' });
    assert.equal(core.raft.role, 'candidate', 'the own vote does not count yet');
    core.sync();
    assert.equal(core.raft.role, 'leader');
  });

  it('P-1: a vote leaves when it is durable, and one of a term that is over not at all', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.pass(260);
    core.hasFastDisk = false;
    assert.equal(core.voteReq(N2, 2, at(1, 1)), undefined);
    core.append(N3, 3, at(1, 1), []);
    core.sync();
    const kinds = core.take().map(({ message }) => message.kind);
    assert.ok(!kinds.includes('voteResp') && kinds.includes('appendOk'));
  });

  it('P-5: an answer to an older candidacy does not count', () => {
    const core = new SingleCore(logOf(THREE, []));
    const toCandidate = (): void => {
      core.pass(600);
      const nextTerm = (core.raft.term + 1) as Term;
      core.receive(N2, { kind: 'preVoteResp', term: nextTerm, nextTerm, granted: true, reason: '' });
    };
    toCandidate();
    toCandidate();
    assert.deepEqual([core.raft.role, core.raft.term], ['candidate', 3]);
    core.receive(N3, { kind: 'voteResp', term: 2 as Term, granted: true, reason: '' });
    assert.equal(core.raft.role, 'candidate');
    core.receive(N3, { kind: 'voteResp', term: 3 as Term, granted: true, reason: '' });
    assert.equal(core.raft.role, 'leader');
  });

  it('a vote goes to the first who asks, once per term', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.pass(260);
    assert.equal(granted(core.voteReq(N2, 2, at(1, 1))), true);
    assert.equal(granted(core.voteReq(N2, 2, at(1, 1))), true, 'again, should the first answer be lost');
    assert.equal(granted(core.voteReq(N3, 2, at(1, 1))), false);
  });

  it('a candidate gives way to a leader of its own term', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.pass(500);
    core.receive(N2, { kind: 'preVoteResp', term: 2 as Term, nextTerm: 2 as Term, granted: true, reason: '' });
    core.heartbeat(N3, 2);
    assert.deepEqual([core.raft.role, core.raft.leader], ['follower', N3]);
  });

  it('a candidate that a quorum refuses goes back to following', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.pass(500);
    for (const id of [N2, N3]) {
      core.receive(id, { kind: 'preVoteResp', term: 1 as Term, nextTerm: 2 as Term, granted: false, reason: '' });
    }
    assert.deepEqual([core.raft.role, core.raft.term], ['follower', 1]);
  });

  it('after an undecided election the next try comes within [0.4 E, E)', () => {
    for (let seed = 0; seed < 20; seed++) {
      const core = new SingleCore(logOf(THREE, []), { seed });
      while (core.raft.role === 'follower') core.pass(1);
      const tries = core.raft.stats.electionsStarted;
      const from = core.now;
      while (core.raft.stats.electionsStarted === tries) core.pass(1);
      assert.ok(core.now - from >= 99 && core.now - from <= 251, `${core.now - from} ms`);
    }
  });

  it('C-15: the only voter leads within one write, again after each restart, learners or not', () => {
    const core = new SingleCore(logOf(['n1'], [1, 1]));
    assert.deepEqual([core.raft.role, core.raft.isReady, core.now], ['leader', true, 1_000]);
    assert.equal(core.raft.leaderLeaseUntil, core.now + (250 * 0.98) / 1.02);
    core.pass(1_000);
    assert.ok(core.raft.leaderLeaseUntil > core.now);
  });
});

describe('Raft §5.4.1: the log rule', () => {
  it('P-10: compares by term first, then by index', () => {
    const cases: readonly [own: readonly number[], asked: readonly [number, number], expected: boolean][] = [
      [[1, 1], [1, 3], true],
      [[1, 1], [1, 2], false],
      [[1, 1], [2, 2], true],
      [[1, 1, 1, 1], [2, 2], true],
      [[1, 2], [1, 9], false],
      [[1, 2], [2, 3], true],
      [[1, 2], [2, 4], true],
      [[1, 1], [2, 1], true],
    ];
    for (const [own, [term, index], expected] of cases) {
      const core = new SingleCore(logOf(THREE, own));
      core.pass(255);
      assert.equal(granted(core.preVoteReq(N2, 9, at(term, index))), expected);
      assert.equal(granted(core.voteReq(N2, 9, at(term, index))), expected);
    }
  });

  it('after a torn tail a voter asks for what the tail claimed, and does not campaign, for three long timeouts', () => {
    const core = new SingleCore({ ...logOf(THREE, [1, 1]), tornTail: at(1, 4) });
    core.pass(700);
    assert.equal(core.raft.role, 'follower');
    assert.equal(granted(core.preVoteReq(N2, 9, at(1, 3))), false);
    assert.equal(granted(core.preVoteReq(N2, 9, at(1, 4))), true);
    core.pass(1_400);
    assert.notEqual(core.raft.role, 'follower');
  });
});

describe('Raft §5.3: replication', () => {
  it('a leader appends an entry of its term at once, and heartbeats every interval', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.elect([N2]);
    const first = core.takeKind('appendReq');
    assert.deepEqual(
      first.map(({ to, message }) => [to, message.prev, message.entries.map(({ kind }) => kind)]),
      [N2, N3].map((id) => [id, at(1, 1), ['noop']]),
    );
    core.acknowledge(N2);
    core.take();
    core.pass(200);
    assert.equal(core.takeKind('heartbeat').filter(({ to }) => to === N2).length, 4);
  });

  it('commits what a quorum has durably, answers who proposed, and tells the followers', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.elect([N2]);
    core.acknowledge(N2);
    core.take();
    const requestId = core.propose('a', 'b');
    assert.equal(core.outcome(requestId), undefined);
    assert.deepEqual(core.takeKind('appendReq').find(({ to }) => to === N2)?.message.entries.length, 2);
    core.acknowledge(N2);
    assert.deepEqual(core.outcome(requestId), { kind: 'committed', term: 2, indexes: [3, 4] });
    assert.deepEqual(
      core.committed.map(({ index }) => index),
      [1, 2, 3, 4],
    );
    assert.equal(
      core.takeKind('appendReq').find(({ to }) => to === N2)?.message.commit,
      4,
      'not only at the next heartbeat',
    );
  });

  it('P-25, E-25: what is committed leaves only when it is durable here as well', () => {
    const alone = new SingleCore(logOf(['n1'], []));
    alone.hasFastDisk = false;
    const before = alone.committed.length;
    const requestId = alone.propose('x');
    assert.deepEqual([alone.committed.length, alone.outcome(requestId)], [before, undefined]);
    alone.sync();
    assert.deepEqual([alone.committed.length, alone.outcome(requestId)?.kind], [before + 1, 'committed']);

    const slow = new SingleCore(logOf(THREE, []));
    slow.elect([N2]);
    slow.acknowledge(N2);
    slow.hasFastDisk = false;
    slow.propose('y');
    slow.acknowledge(N2);
    slow.acknowledge(N3);
    assert.equal(slow.raft.commitIndex, 3, 'two followers are a quorum without their leader');
    assert.equal(slow.committed.at(-1)?.index, 2);
    slow.sync();
    assert.equal(slow.committed.at(-1)?.index, 3);
  });

  it('Figure 8, P-8: an entry of an older term is committed only under one of the own', () => {
    const core = new SingleCore(logOf(FIVE, [2], 3));
    core.elect([N2, N3]);
    assert.equal(core.raft.term, 4);
    core.acknowledge(N2, 2 as LogIndex);
    core.acknowledge(N3, 2 as LogIndex);
    assert.equal(core.raft.commitIndex, 0, 'a majority has the entry of term 2, and it may still be overwritten');
    core.acknowledge(N2, 3 as LogIndex);
    core.acknowledge(N3, 3 as LogIndex);
    assert.equal(core.raft.commitIndex, 3, 'the mirror of the figure: it does not stop at the older entry either');
  });

  it('P-26: one voter commits alone, however far its learners are', () => {
    const core = new SingleCore(logOf(['n1'], []));
    core.ask((requestId) => ({ kind: 'changeMembers', requestId, change: { kind: 'addLearner', member: N2 } }));
    const requestId = core.propose('x');
    assert.equal(core.outcome(requestId)?.kind, 'committed');
  });

  it('a follower checks what precedes, and acknowledges when it is durable', () => {
    const core = new SingleCore(logOf(THREE, [1, 1]));
    core.hasFastDisk = false;
    core.append(N2, 2, at(1, 3), [entry(2, 4), entry(2, 5)], 4);
    assert.deepEqual(core.takeKind('appendOk'), []);
    assert.deepEqual([core.raft.commitIndex, core.committed.length], [4, 3], 'committed, and durable only through 3');
    core.sync();
    assert.deepEqual(
      core.takeKind('appendOk').map(({ message }) => message.match),
      [5],
    );
    assert.equal(core.committed.length, 4);
    core.append(N2, 2, at(2, 9), [entry(2, 10)]);
    core.sync();
    assert.deepEqual(
      core.takeKind('appendRejected').map(({ message }) => message.hint),
      [at(2, 5)],
    );
  });

  it('P-7: a shorter append, come late, takes nothing away', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.append(N2, 2, at(1, 1), [entry(2, 2), entry(2, 3), entry(2, 4)]);
    core.append(N2, 2, at(1, 1), [entry(2, 2)]);
    core.append(N2, 2, at(1, 1), []);
    assert.deepEqual(core.terms(), [1, 2, 2, 2]);
  });

  it('a conflict takes away what follows it, and nothing before', () => {
    const core = new SingleCore(logOf(THREE, [1, 2, 2, 2]));
    core.append(N2, 3, at(1, 1), [entry(1, 2), entry(3, 3)]);
    assert.deepEqual(core.terms(), [1, 1, 3]);
  });

  it('P-6: a follower commits no further than the message has verified', () => {
    const core = new SingleCore(logOf(THREE, [1, 1, 1, 1]));
    core.append(N2, 2, at(1, 1), [entry(1, 2)], 5);
    assert.equal(core.raft.commitIndex, 2);
    core.append(N2, 2, at(1, 1), [], 1);
    assert.equal(core.raft.commitIndex, 2, 'and never back');
  });

  it('P-17: what lies below the commit index counts as matching, whatever its term is said to be', () => {
    const core = new SingleCore(logOf(THREE, [1, 1, 1]));
    core.append(N2, 1, at(1, 4), [], 4);
    core.take();
    core.append(N2, 1, at(1, 1), [entry(1, 2), entry(1, 3), entry(1, 4), entry(1, 5)], 4);
    assert.deepEqual(
      core.takeKind('appendOk').map(({ message }) => message.match),
      [5],
    );
    assert.deepEqual(core.terms(), [1, 1, 1, 1, 1]);
  });

  it('P-9: a write of an older term is no acknowledgement for what has replaced it', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.hasFastDisk = false;
    core.append(N2, 2, at(1, 1), [entry(2, 2), entry(2, 3)]);
    core.append(N3, 3, at(1, 1), [entry(3, 2)]);
    const [first, second] = core.batches.splice(0);
    assert.deepEqual(second?.truncateFrom, 2);
    core.syncOne(first);
    assert.equal(core.raft.durableIndex, 1, 'entry 2 of term 2 is on the disk, entry 2 of term 3 is not');
    assert.deepEqual(core.takeKind('appendOk'), []);
    core.syncOne(second);
    assert.equal(core.raft.durableIndex, 2);
    assert.deepEqual(
      core.takeKind('appendOk').map(({ to, message }) => [to, message.match]),
      [[N3, 2]],
    );
  });
});

describe('Raft §5.3, figure 7: bringing followers in line', () => {
  const LEADER: readonly number[] = [1, 1, 4, 4, 5, 5, 6, 6, 6];
  const FOLLOWERS: readonly (readonly number[])[] = [
    [1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 4],
    [1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 4, 4, 4, 4],
    [1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ];

  /** Lets two cores talk about appends until they agree; how often the follower had to say no. */
  function align(leaderTerms: readonly number[], followerTerms: readonly number[]): number {
    const leader = new SingleCore(logOf(THREE, leaderTerms, 8));
    const follower = new SingleCore(logOf(THREE, followerTerms), { self: N2 });
    leader.elect([N3]);
    let rejections = 0;
    for (let i = 0; i < 50; i++) {
      for (const { to, message } of leader.take()) if (to === N2) follower.receive(N1, message);
      const answers = follower.take();
      if (answers.length === 0) break;
      for (const { message } of answers) {
        if (message.kind === 'appendRejected') rejections += 1;
        leader.receive(N2, message);
      }
    }
    assert.deepEqual(follower.terms(), leader.terms());
    return rejections;
  }

  for (const [i, terms] of FOLLOWERS.entries()) {
    it(`E-23, P-16: follower ${'abcdef'[i]} is level after at most one round trip per distinct term`, () => {
      assert.ok(align(LEADER, terms) <= new Set(terms).size);
    });
  }

  it('raft.md 5.3: skips whole terms on both sides', () => {
    assert.equal(align([3, 3, 3, 5, 5, 5, 5, 5], [1, 1, 1, 2, 2]), 1);
    assert.ok(align([1, 1, 1, 5], [1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]) <= 3);
  });

  it('P-16: many random pairs of logs need no more rejections than there are terms', () => {
    let seed = 99;
    const below = (n: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    // Logs as they can really come about: each term has one leader, and others hold prefixes of what it had.
    const logs: number[][] = Array.from({ length: 4 }, () => []);
    for (let i = 0; i < 300; i++) {
      for (const log of logs) log.length = 0;
      for (let term = 1; term <= 7; term++) {
        const leader = logs[below(4)] ?? [];
        for (let count = below(4); count > 0; count--) leader.push(term);
        for (const log of logs)
          if (below(3) === 0) log.splice(0, log.length, ...leader.slice(0, below(leader.length + 1)));
      }
      const [leader = [], follower = []] = logs;
      assert.ok(align(leader, follower) <= new Set([1, ...follower]).size + 1);
    }
  });
});
