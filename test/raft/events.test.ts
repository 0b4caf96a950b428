/** What a core tells of itself, when, and how often; snapshots that cross; transfers that are not wanted. Step tests, one core each. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, MemberId, RequestId, Term } from '../../src/model/ids.ts';
import type { SnapshotMeta } from '../../src/model/log.ts';
import type { RaftEvent } from '../../src/raft/messages.ts';
import { at, codeOf, entry, logOf, N1, N2, N3, N4, SingleCore, THREE } from './single-core.ts';
import { configurationOf, WORLD_CLUSTER } from './world.ts';

function meta(term: number, index: number, configurationIndex = 1): SnapshotMeta {
  return {
    clusterId: WORLD_CLUSTER,
    lastLog: at(term, index),
    configuration: configurationOf(THREE),
    configurationIndex: configurationIndex as LogIndex,
  };
}

/** In short, and forgotten. */
function told(core: SingleCore): string[] {
  return core.events.splice(0).map((event: RaftEvent) => {
    switch (event.kind) {
      case 'roleChanged':
        return `${event.role} in ${event.term}`;
      case 'leaderChanged':
        return `${event.leader?.replace(/#.*/, '') ?? 'nobody'} leads in ${event.term}`;
      case 'configurationChanged':
        return `configuration ${event.index}${event.committed ? ' committed' : ''}`;
      default:
        return event.kind;
    }
  });
}

function leading(): SingleCore {
  const core = new SingleCore(logOf(THREE, []));
  core.elect([N2, N3]);
  core.acknowledge(N2);
  core.acknowledge(N3);
  core.take();
  told(core);
  return core;
}

function receive(core: SingleCore, term: number, snapshot: SnapshotMeta, from: MemberId = N2): void {
  core.input({ kind: 'snapshotReceived', from, term: term as Term, meta: snapshot });
}

describe('events', () => {
  it('of an election, its end, and the next leader: each once', () => {
    const core = new SingleCore(logOf(THREE, []));
    const me = N1.replace(/#.*/, '');
    const other = N3.replace(/#.*/, '');
    core.elect([N2]);
    assert.deepEqual(told(core), [
      'preCandidate in 1',
      'candidate in 2',
      'leader in 2',
      `${me} leads in 2`,
      'becameLeader',
    ]);
    core.acknowledge(N2);
    assert.deepEqual(told(core), ['configuration 1 committed']);
    core.heartbeat(N3, 3);
    assert.deepEqual(told(core), ['follower in 3', 'nobody leads in 3', 'steppedDown', `${other} leads in 3`]);
    core.heartbeat(N3, 3);
    assert.deepEqual(told(core), []);
    core.heartbeat(N3, 4);
    assert.deepEqual(told(core), ['nobody leads in 4', `${other} leads in 4`]);
  });

  it('of members: when an entry names them, when it is committed, and when it is taken back', () => {
    const core = leading();
    core.ask((requestId) => ({ kind: 'changeMembers', requestId, change: { kind: 'addLearner', member: N4 } }));
    assert.deepEqual(told(core), ['configuration 3']);
    core.append(N3, 3, at(2, 2), [entry(3, 3)]);
    assert.deepEqual(
      told(core).filter((text) => text.startsWith('configuration')),
      ['configuration 1 committed'],
    );
    const again = leading();
    again.ask((requestId) => ({ kind: 'changeMembers', requestId, change: { kind: 'addLearner', member: N4 } }));
    again.acknowledge(N2);
    assert.deepEqual(told(again), ['configuration 3', 'configuration 3 committed']);
  });

  it('of an install: the members of the snapshot are committed', () => {
    const core = new SingleCore(logOf(THREE, [1, 1]));
    core.heartbeat(N2, 5);
    told(core);
    receive(core, 5, meta(4, 20, 20));
    core.input({ kind: 'snapshotInstalled', meta: meta(4, 20, 20) });
    assert.deepEqual(told(core), ['configuration 20 committed']);
  });
});

describe('snapshots that cross', () => {
  it('10.4: one of a newer term brings the term; its install is acknowledged to the leader there is, and echoes no round', () => {
    const core = new SingleCore(logOf(THREE, [1, 1]));
    core.heartbeat(N2, 2);
    receive(core, 3, meta(2, 20), N3);
    assert.deepEqual([core.raft.term, core.raft.leader], [3, N3]);
    core.take();
    core.input({ kind: 'snapshotInstalled', meta: meta(2, 20) });
    assert.deepEqual(core.take(), [
      { kind: 'send', to: N3, message: { kind: 'appendOk', term: 3, match: 20, readSeq: 0 } },
    ]);
  });

  it('10.4: an install that ends when nobody leads is acknowledged to nobody', () => {
    const core = new SingleCore(logOf(THREE, [1, 1]));
    core.heartbeat(N2, 2);
    receive(core, 2, meta(2, 20));
    core.receive(N3, { kind: 'preVoteResp', term: 9 as Term, nextTerm: 9 as Term, granted: false, reason: '' });
    assert.equal(core.raft.leader, undefined);
    core.take();
    core.input({ kind: 'snapshotInstalled', meta: meta(2, 20) });
    assert.deepEqual([core.take(), core.raft.lastIndex], [[], 20]);
  });

  it('10.4: one that is being installed is not replaced; one that still waits for a write is', () => {
    const asked = new SingleCore(logOf(THREE, [1, 1]));
    asked.heartbeat(N2, 2);
    receive(asked, 2, meta(2, 20));
    receive(asked, 2, meta(2, 30));
    assert.deepEqual(
      asked.others.map((effect) => effect.kind === 'installSnapshot' && effect.meta.lastLog.index),
      [20],
    );
    const waiting = new SingleCore(logOf(THREE, [1, 1], 2), { config: { batchesInFlightMax: 1 } });
    waiting.hasFastDisk = false;
    waiting.append(N2, 2, at(1, 3), [entry(2, 4)]);
    waiting.append(N2, 2, at(2, 4), [entry(2, 5)]);
    receive(waiting, 2, meta(2, 20));
    receive(waiting, 2, meta(2, 30));
    assert.equal(waiting.others.length, 0);
    waiting.sync();
    assert.deepEqual(
      waiting.others.map((effect) => effect.kind === 'installSnapshot' && effect.meta.lastLog.index),
      [30],
    );
  });

  it('P-5: a grant of a pre-vote names the term that it is for, a refusal the own; a term that is not new is refused', () => {
    const core = new SingleCore(logOf(THREE, [], 3));
    core.pass(260);
    const answer = (nextTerm: number): unknown[] => {
      const message = core.preVoteReq(N2, nextTerm, at(9, 9));
      return message?.kind === 'preVoteResp' ? [message.granted, message.term, message.nextTerm] : [];
    };
    assert.deepEqual(answer(3), [false, 3, 3]);
    assert.deepEqual(answer(4), [true, 4, 4]);
    core.heartbeat(N3, 5);
    assert.deepEqual(answer(9), [false, 5, 9]);
  });

  it('10.2: a snapshot of our own that is ready after a newer one was installed changes nothing', () => {
    const core = new SingleCore(logOf(THREE, [1, 1]));
    core.append(N2, 2, at(1, 3), [], 3);
    receive(core, 2, meta(2, 20));
    core.input({ kind: 'snapshotInstalled', meta: meta(2, 20) });
    core.input({ kind: 'compacted', meta: meta(1, 3), firstIndex: 4 as LogIndex });
    assert.deepEqual([core.raft.stats.snapshotIndex, core.raft.lastIndex], [20, 20]);
  });
});

describe('transfers that are not wanted, or take long', () => {
  const transfer = (core: SingleCore, fields: { readonly target?: MemberId; readonly avoid?: MemberId[] }): RequestId =>
    core.ask((requestId) => ({ kind: 'transferLeader', requestId, ...fields }));
  const heard = (core: SingleCore, from: readonly MemberId[]): void => {
    const readSeq = core.takeKind('heartbeat').at(-1)?.message.readSeq ?? 0;
    const durableLast = core.raft.lastIndex;
    for (const id of from) core.receive(id, { kind: 'heartbeatResp', term: core.raft.term, readSeq, durableLast });
  };

  it('who is not ready hands nothing over', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.elect([N2]);
    assert.equal(codeOf(core, transfer(core, { target: N2 })), 'NOT_READY');
  });

  it('who is to be avoided is taken only when there is no other', () => {
    const target = (avoid: MemberId[]): MemberId | undefined => {
      const core = leading();
      transfer(core, { avoid });
      return core.takeKind('timeoutNow')[0]?.to;
    };
    assert.deepEqual([target([]), target([N2]), target([N3]), target([N2, N3])], [N2, N3, N2, N2]);
  });

  it('who was not heard for an election timeout is no target', () => {
    const core = leading();
    for (let i = 0; i < 6; i++) {
      core.pass(50);
      heard(core, [N3]);
    }
    assert.equal(codeOf(core, transfer(core, { target: N2 })), 'INVALID_CHANGE');
    transfer(core, {});
    assert.equal(core.takeKind('timeoutNow')[0]?.to, N3);
  });

  it('one that ends with another leader, or with none for long, is of unknown outcome', () => {
    const told = (end: (core: SingleCore) => void): string => {
      const core = leading();
      const asked = transfer(core, { target: N2 });
      core.voteReq(N2, 3, at(2, 2), 1);
      assert.deepEqual([core.raft.role, codeOf(core, asked)], ['follower', 'waits']);
      end(core);
      return codeOf(core, asked);
    };
    assert.equal(
      told((core) => core.heartbeat(N2, 3)),
      'transferred',
    );
    assert.equal(
      told((core) => core.heartbeat(N3, 4)),
      'unknown',
    );
    assert.equal(
      told((core) => core.pass(490)),
      'waits',
    );
    assert.equal(
      told((core) => core.pass(510)),
      'unknown',
    );
    assert.equal(
      told((core) => core.input({ kind: 'persistFailed', reason: 'EIO' })),
      'unknown',
    );
  });

  it('the word is repeated once per election timeout', () => {
    const core = leading();
    transfer(core, { target: N2 });
    let words = 0;
    for (let i = 0; i < 9; i++) {
      core.pass(50);
      words += core.sent.filter(({ message }) => message.kind === 'timeoutNow').length;
      heard(core, [N2, N3]);
    }
    assert.equal(words, 2);
  });

  it('one whose target was never told to campaign costs no lease when it is given up', () => {
    const core = leading();
    core.propose('a');
    core.acknowledge(N3);
    const asked = transfer(core, { target: N2 });
    for (let i = 0; i < 11; i++) {
      core.pass(50);
      const { message } = core.takeKind('heartbeat').at(-1) ?? assert.fail('a heartbeat');
      assert.equal(message.cancelledTransfers, 0);
      const durableLast = core.raft.lastIndex;
      for (const id of [N2, N3])
        core.receive(id, { kind: 'heartbeatResp', term: 2 as Term, readSeq: message.readSeq, durableLast });
      assert.ok(core.raft.leaderLeaseUntil > core.now);
    }
    assert.equal(codeOf(core, asked), 'TIMED_OUT');
  });
});
