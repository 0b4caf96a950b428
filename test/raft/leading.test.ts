/** What a leader offers beyond the log: reads, its lease, hand-over, members, snapshots. Step tests, one core each. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, MemberId, RequestId, Term } from '../../src/model/ids.ts';
import { DEFAULT_RAFT_CONFIG, leaderLeaseMs } from '../../src/raft/config.ts';
import type { MemberStep } from '../../src/raft/messages.ts';
import { at, codeOf, entry, granted, leadingCore, logOf, N1, N2, N3, N4, SingleCore, THREE } from './single-core.ts';

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

function newestSeq(core: SingleCore): number {
  return core.takeKind('heartbeat').at(-1)?.message.readSeq ?? 0;
}

describe('what a peer has confirmed', () => {
  it('P-15: is not taken back by an answer that comes late', () => {
    const core = leading();
    core.propose('a', 'b', 'c');
    core.acknowledge(N2);
    core.acknowledge(N2, 2 as LogIndex);
    assert.equal(core.raft.stats.lag['n2'], 0);
    assert.equal(core.raft.stats.lag['n3'], 3);
  });
});

describe('ReadIndex', () => {
  it('P-48: a read is confirmed by echoes of a round that began after it was asked', () => {
    const core = leading();
    core.pass(51);
    const older = newestSeq(core);
    const read = core.ask((requestId) => ({ kind: 'readIndex', requestId }));
    const newer = newestSeq(core);
    assert.ok(newer > older);
    echo(core, N2, older);
    assert.equal(core.outcome(read), undefined, 'P-19: an old echo confirms nothing');
    echo(core, N3, newer);
    assert.deepEqual(core.outcome(read), { kind: 'readReady', index: 2 });
  });

  it('P-49: a new leader confirms nothing before its own entry is committed', () => {
    const core = new SingleCore(logOf(THREE, [1, 1]));
    core.elect([N2]);
    const read = core.ask((requestId) => ({ kind: 'readIndex', requestId }));
    echo(core, N2, 1);
    assert.equal(core.outcome(read), undefined);
    core.acknowledge(N2);
    echo(core, N2, newestSeq(core));
    assert.deepEqual(core.outcome(read), { kind: 'readReady', index: 4 });
  });

  it('reads of one turn share a round, and further ones wait when many rounds are under way', () => {
    const core = new SingleCore(logOf(THREE, []), { config: { readRoundsMax: 1 } });
    core.elect([N2]);
    core.acknowledge(N2);
    core.take();
    const reads = [1, 2, 3].map(() => core.ask((requestId) => ({ kind: 'readIndex', requestId })));
    const first = newestSeq(core);
    echo(core, N2, first);
    assert.deepEqual(
      reads.map((read) => codeOf(core, read)),
      ['readReady', 'waits', 'waits'],
    );
    echo(core, N2, newestSeq(core));
    assert.deepEqual(
      reads.map((read) => codeOf(core, read)),
      ['readReady', 'readReady', 'readReady'],
    );
  });

  it('a follower asks its leader, under a number that no earlier life has used', () => {
    const asked = [1, 2].map((seed) => {
      const core = new SingleCore(logOf(THREE, []), { seed });
      core.heartbeat(N2, 2);
      core.take();
      const read = core.ask((requestId) => ({ kind: 'readIndex', requestId }));
      const { to, message } = core.takeKind('readIndexReq')[0] ?? assert.fail('the leader is asked');
      assert.equal(to, N2);
      const answer = { kind: 'readIndexResp', term: 2 as Term, index: 7 as LogIndex, ok: true } as const;
      core.receive(N3, { ...answer, id: message.id });
      core.receive(N2, { ...answer, id: message.id + 1 });
      assert.equal(core.outcome(read), undefined);
      core.receive(N2, { ...answer, id: message.id });
      assert.deepEqual(core.outcome(read), { kind: 'readReady', index: 7 });
      const lost = core.ask((requestId) => ({ kind: 'readIndex', requestId }));
      for (let i = 0; i < 6; i++) {
        core.heartbeat(N2, 2);
        core.pass(100);
      }
      assert.equal(codeOf(core, lost), 'TIMED_OUT');
      const orphan = core.ask((requestId) => ({ kind: 'readIndex', requestId }));
      core.heartbeat(N3, 3);
      assert.equal(codeOf(core, orphan), 'NOT_LEADER');
      return message.id;
    });
    assert.notEqual(asked[0], asked[1]);
  });

  it('a leader answers a follower’s question, and says no when it loses leadership first', () => {
    const core = leading();
    core.receive(N2, { kind: 'readIndexReq', term: 2 as Term, id: 40 });
    echo(core, N3, core.takeKind('heartbeat').at(-1)?.message.readSeq ?? 0);
    assert.deepEqual(core.takeKind('readIndexResp')[0]?.message, {
      kind: 'readIndexResp',
      term: 2,
      id: 40,
      index: 2,
      ok: true,
    });
    core.receive(N2, { kind: 'readIndexReq', term: 2 as Term, id: 41 });
    core.heartbeat(N3, 3);
    assert.equal(core.takeKind('readIndexResp')[0]?.message.ok, false);
  });
});

describe('leader lease', () => {
  it('P-72: counts from when the echoed round was sent, and only after the own entry is committed', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.elect([N2]);
    const electedAt = core.now;
    echo(core, N2, 1);
    assert.equal(core.raft.leaderLeaseUntil, Number.NEGATIVE_INFINITY);
    core.acknowledge(N2, core.raft.lastIndex, 1);
    assert.equal(core.raft.leaderLeaseUntil, electedAt + LEASE_MS);
    core.pass(60);
    const sentAt = electedAt + 50;
    core.pass(30);
    echo(core, N3, newestSeq(core));
    assert.ok(Math.abs(core.raft.leaderLeaseUntil - (sentAt + LEASE_MS)) < 1);
    core.input({ kind: 'clockJumped', byMs: 40 });
    assert.ok(Math.abs(core.raft.leaderLeaseUntil - (sentAt + LEASE_MS - 40)) < 1, '7.4 rule 4: a suspend shortens it');
  });

  it('O-4: ends in the step in which the node leaves the role', () => {
    const core = leading();
    core.acknowledge(N2, core.raft.lastIndex, 1);
    assert.ok(core.raft.leaderLeaseUntil > core.now);
    core.heartbeat(N3, 3);
    assert.equal(core.raft.leaderLeaseUntil, Number.NEGATIVE_INFINITY);
  });

  it('an echo of a round that was never begun is worth nothing', () => {
    const core = leading();
    echo(core, N2, 1_000_000);
    assert.ok(core.raft.leaderLeaseUntil < core.now + LEASE_MS);
    assert.equal(core.raft.stats.messagesDropped > 0, true);
  });

  it('O-15: a new leader knows whose node rested on its lease, when it heard of both halves', () => {
    const rested = (steps: (core: SingleCore) => void): MemberId | undefined => {
      const core = new SingleCore(logOf(THREE, []));
      steps(core);
      core.pass(600);
      core.elect([N2, N3]);
      const event = core.events.find(({ kind }) => kind === 'becameLeader');
      assert.ok(event?.kind === 'becameLeader');
      assert.equal(event.electedAt, core.now);
      return event.restedOnLease;
    };
    const noop = entry(2, 2, '', 'noop');
    assert.equal(
      rested((core) => core.append(N2, 2, at(1, 1), [noop], 2)),
      N2,
    );
    assert.equal(
      rested((core) => {
        core.append(N2, 2, at(1, 1), [noop], 1);
        core.heartbeat(N2, 2, { commit: 2 });
      }),
      N2,
      'also from a heartbeat',
    );
    assert.equal(
      rested((core) => core.append(N2, 2, at(1, 1), [noop], 1)),
      undefined,
      'C-4: not seen committed',
    );
    assert.equal(
      rested((core) => core.append(N2, 2, at(1, 1), [], 1)),
      undefined,
      'led the term of no entry of ours',
    );
    assert.equal(
      rested((core) => {
        core.append(N2, 2, at(1, 1), [noop], 2);
        core.append(N3, 3, at(2, 2), [entry(3, 3, '', 'noop')], 2);
      }),
      undefined,
      'a later leader’s entry is the last one, and was not seen committed',
    );
  });
});

describe('transfer', () => {
  const transfer = (core: SingleCore, target?: MemberId): RequestId =>
    core.ask((requestId) => ({ kind: 'transferLeader', requestId, ...(target === undefined ? {} : { target }) }));

  it('brings the target level, tells it once per E, and refuses proposals meanwhile', () => {
    const core = leading();
    core.propose('x');
    core.acknowledge(N3);
    core.take();
    const requestId = transfer(core, N2);
    assert.deepEqual(core.takeKind('timeoutNow'), [], 'H-29: it lacks an entry');
    assert.equal(codeOf(core, core.propose('y')), 'TRANSFER_IN_PROGRESS');
    core.acknowledge(N2);
    assert.deepEqual(
      core.takeKind('timeoutNow').map(({ to, message }) => [to, message.transferSeq]),
      [[N2, 1]],
    );
    assert.equal(core.raft.leaderLeaseUntil, Number.NEGATIVE_INFINITY, 'O-4: the lease ends as the word leaves');
    core.voteReq(N2, 3, at(2, 3), 1);
    assert.equal(core.raft.role, 'follower');
    core.heartbeat(N2, 3);
    assert.deepEqual(core.outcome(requestId), { kind: 'transferred', to: N2 });
  });

  it('picks the voter that lacks least; refuses itself, strangers and learners', () => {
    const core = leading();
    core.propose('x');
    core.acknowledge(N3);
    core.take();
    assert.equal(codeOf(core, transfer(core, N1)), 'INVALID_CHANGE');
    assert.equal(codeOf(core, transfer(core, N4)), 'INVALID_CHANGE');
    transfer(core);
    assert.deepEqual(
      core.takeKind('timeoutNow').map(({ to }) => to),
      [N3],
    );
    const again = transfer(core, N3);
    assert.deepEqual(core.takeKind('timeoutNow'), [], 'the same target again changes nothing');
    const other = transfer(core, N2);
    assert.equal(codeOf(core, again), 'TRANSFER_IN_PROGRESS', 'another target replaces it');
    assert.equal(codeOf(core, other), 'waits');
    assert.equal(codeOf(core, change(core, 'addLearner', N4)), 'TRANSFER_IN_PROGRESS');
  });

  it('P-73: given up after 2 E, stays given up, and the lease returns only with echoes of later messages', () => {
    const core = leading();
    const requestId = transfer(core, N2);
    let before = 0;
    for (let i = 0; i < 11; i++) {
      core.pass(50);
      const heartbeats = core.takeKind('heartbeat');
      const seq = heartbeats.at(-1)?.message.readSeq ?? 0;
      if (codeOf(core, requestId) === 'waits') before = seq;
      echo(core, N3, seq);
      if (codeOf(core, requestId) !== 'waits') break;
      assert.equal(core.raft.leaderLeaseUntil, Number.NEGATIVE_INFINITY);
    }
    assert.equal(codeOf(core, requestId), 'TIMED_OUT');
    echo(core, N2, before);
    core.pass(51);
    const { message } = core.takeKind('heartbeat').at(-1) ?? assert.fail('a heartbeat');
    assert.equal(message.cancelledTransfers, 1);
    echo(core, N3, message.readSeq);
    assert.ok(core.raft.leaderLeaseUntil > core.now);
    assert.equal(codeOf(core, core.propose('z')), 'waits');
  });

  it('a live transfer overrides the bond to the leader; a cancelled one does not', () => {
    const voter = (cancelled: number): SingleCore => {
      const core = new SingleCore(logOf(THREE, []));
      core.pass(400);
      core.heartbeat(N2, 2, { cancelled });
      return core;
    };
    assert.equal(granted(voter(0).voteReq(N3, 3, at(1, 1), 1)), true);
    assert.equal(voter(1).voteReq(N3, 3, at(1, 1), 1), undefined, 'P-73');
    assert.equal(granted(voter(1).voteReq(N3, 3, at(1, 1), 2)), true);
  });

  it('P-75: the target drops the word of a cancelled transfer; a learner and a fresh start drop any', () => {
    const told = (core: SingleCore, seq: number): string => {
      core.receive(N2, { kind: 'timeoutNow', term: 2 as Term, transferSeq: seq });
      return core.raft.role;
    };
    const core = new SingleCore(logOf(THREE, []));
    core.heartbeat(N2, 2);
    assert.equal(told(core, 1), 'follower', 'freshly started');
    core.pass(240);
    core.heartbeat(N2, 2, { cancelled: 1 });
    core.pass(20);
    assert.equal(told(core, 1), 'follower');
    core.take();
    assert.equal(told(core, 2), 'candidate');
    assert.deepEqual(
      core.takeKind('voteReq').map(({ message }) => message.transferSeq),
      [2, 2],
    );
    const learner = new SingleCore(logOf(['n2', 'n3'], []));
    learner.pass(300);
    learner.heartbeat(N2, 2);
    assert.equal(told(learner, 1), 'follower');
  });
});
