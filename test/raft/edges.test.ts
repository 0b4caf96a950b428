/** Edges of the rules: exact limits, equal numbers, late words, and what is counted. Step tests, one core each. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeConfiguration, entrySize } from '../../src/wire/raft/entry.ts';
import type { LogIndex, MemberId, RequestId, Term } from '../../src/model/ids.ts';
import { EMPTY_RECOVERED_LOG, type SnapshotMeta } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG, type RaftConfig, validateRaftConfig } from '../../src/raft/config.ts';
import { at, codeOf, entry, followingCore, leadingCore, logOf, N2, N3, N4, SingleCore, THREE } from './single-core.ts';
import { configurationOf, WORLD_CLUSTER } from './world.ts';

function leading(config: Partial<RaftConfig> = {}, terms: readonly number[] = []): SingleCore {
  return leadingCore({ terms, config });
}

function meta(term: number, index: number): SnapshotMeta {
  const configuration = configurationOf(THREE);
  return { clusterId: WORLD_CLUSTER, lastLog: at(term, index), configuration, configurationIndex: 1 as LogIndex };
}

function learn(core: SingleCore, member: MemberId): RequestId {
  return core.ask((requestId) => ({ kind: 'changeMembers', requestId, change: { kind: 'addLearner', member } }));
}

describe('edges of following', () => {
  it('who claims to lead a term that has a leader is not believed, by a follower or by the leader itself', () => {
    const core = followingCore();
    const dropped = core.raft.stats.messagesDropped;
    core.heartbeat(N3, 2);
    core.append(N3, 2, at(1, 1), [entry(2, 2)]);
    assert.deepEqual([core.take(), core.raft.leader, core.raft.lastIndex], [[], N2, 1]);
    assert.equal(core.raft.stats.messagesDropped, dropped + 2);
    const leader = leading();
    leader.heartbeat(N3, 2);
    assert.deepEqual([leader.take(), leader.raft.role], [[], 'leader']);
  });

  it('11.6: a full disk takes no entries, and acknowledges appends without any', () => {
    const core = followingCore();
    core.input({ kind: 'room', room: 'full' });
    core.append(N2, 2, at(1, 1), [entry(2, 2)]);
    assert.deepEqual([core.take(), core.raft.lastIndex], [[], 1]);
    core.append(N2, 2, at(1, 1), [], 1);
    assert.deepEqual(
      core.takeKind('appendOk').map(({ message }) => message.match),
      [1],
    );
  });

  it('P-73: of cancelled transfers the highest counts: one more in the same term, and no late word of an earlier one', () => {
    const told = (cancelled: readonly number[], seq: number): string => {
      const core = followingCore();
      for (const one of cancelled) core.heartbeat(N2, 2, { cancelled: one });
      core.receive(N2, { kind: 'timeoutNow', term: 2 as Term, transferSeq: seq });
      return core.raft.role;
    };
    assert.equal(told([1, 2], 2), 'follower');
    assert.equal(told([2, 1], 2), 'follower');
    assert.equal(told([2, 0], 2), 'follower');
    assert.equal(told([2, 1], 3), 'candidate');
  });

  it('O-15: a late word with an older commit index takes nothing back of what was heard', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.append(N2, 2, at(1, 1), [entry(2, 2, '', 'noop')], 2);
    core.heartbeat(N2, 2, { commit: 1 });
    core.pass(600);
    core.elect([N2, N3]);
    const event = core.events.find(({ kind }) => kind === 'becameLeader');
    assert.equal(event?.kind === 'becameLeader' && event.restedOnLease, N2);
  });

  it('O-15: an entry of the term that was compacted away still counts', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.append(N2, 2, at(1, 1), [entry(2, 2, '', 'noop')], 2);
    core.input({ kind: 'applied', index: 2 as LogIndex });
    core.input({ kind: 'compacted', meta: meta(2, 2), firstIndex: 3 as LogIndex });
    core.pass(600);
    core.elect([N2, N3]);
    const event = core.events.find(({ kind }) => kind === 'becameLeader');
    assert.equal(event?.kind === 'becameLeader' && event.restedOnLease, N2);
  });

  it('O-15: what was compacted away of an older term says nothing about the last one', () => {
    const core = new SingleCore(logOf(THREE, []));
    core.append(N2, 2, at(1, 1), [entry(2, 2)], 2);
    core.input({ kind: 'applied', index: 2 as LogIndex });
    core.input({ kind: 'compacted', meta: meta(2, 2), firstIndex: 3 as LogIndex });
    core.append(N3, 3, at(2, 2), [entry(3, 3, '', 'noop')], 2);
    core.pass(600);
    core.elect([N2, N3]);
    const event = core.events.find(({ kind }) => kind === 'becameLeader');
    assert.equal(event?.kind === 'becameLeader' && event.restedOnLease, undefined);
  });

  it('R-2: whose disk has lost something stops, and says nothing more', () => {
    const core = followingCore();
    core.heartbeat(N2, 2, { commit: 9 });
    assert.deepEqual(
      core.others.map(({ kind }) => kind),
      ['stop'],
    );
    core.take();
    core.heartbeat(N2, 2);
    core.pass(1_000);
    assert.deepEqual([core.take(), core.raft.nextDeadline()], [[], Number.POSITIVE_INFINITY]);
  });

  it('the times of the cluster count from when they are heard: the own timer is drawn anew', () => {
    const core = followingCore();
    const { clockDrift } = DEFAULT_RAFT_CONFIG;
    core.input({ kind: 'timing', timing: { leaseMs: 9_000, clockDrift, heartbeatMs: 400, electionMs: 4_000 } });
    core.pass(3_900);
    assert.equal(core.raft.role, 'follower');
    core.pass(4_200);
    assert.equal(core.raft.role, 'preCandidate');
  });

  it('two acknowledgements to one leader that wait for one write leave as the later one', () => {
    const core = new SingleCore(logOf(THREE, [], 2), { config: { batchesInFlightMax: 1 } });
    core.hasFastDisk = false;
    core.append(N2, 2, at(1, 1), [entry(2, 2)]);
    core.append(N2, 2, at(2, 2), [entry(2, 3)]);
    core.append(N2, 2, at(2, 3), [entry(2, 4)]);
    core.take();
    core.sync();
    assert.deepEqual(
      core.takeKind('appendOk').map(({ message }) => message.match),
      [2, 4],
      'the first write was under way already',
    );
  });

  it('P-9: what was taken in and not written yet is written although a conflict behind it is cut', () => {
    const core = new SingleCore(logOf(THREE, [2], 2), { config: { batchesInFlightMax: 1 } });
    core.hasFastDisk = false;
    core.append(N2, 2, at(2, 2), [entry(2, 3)]);
    core.append(N2, 2, at(2, 3), [entry(2, 4), entry(2, 5), entry(2, 6)]);
    core.append(N3, 3, at(2, 5), [entry(3, 6)]);
    core.syncOne();
    const [next] = core.batches;
    assert.deepEqual(
      next?.entries?.map(({ term, index }) => [term, index]),
      [
        [2, 4],
        [2, 5],
        [3, 6],
      ],
    );
    assert.equal(next?.truncateFrom, undefined);
  });

  it('P-9: of several truncations that one write holds the deepest counts', () => {
    const core = new SingleCore(logOf(THREE, [2, 2, 2, 2], 2), { config: { batchesInFlightMax: 1 } });
    core.hasFastDisk = false;
    core.heartbeat(N2, 3);
    core.append(N2, 3, at(2, 4), [entry(3, 5)]);
    core.append(N3, 4, at(2, 3), [entry(4, 4)]);
    core.append(N2, 5, at(2, 4), []);
    const written = [...core.batches];
    while (core.batches.length > 0) {
      core.syncOne();
      written.push(...core.batches.slice(-1));
    }
    const truncations = written.flatMap(({ truncateFrom }) => (truncateFrom === undefined ? [] : [truncateFrom]));
    assert.deepEqual(Math.min(...truncations), 4);
    assert.deepEqual(core.terms(), [1, 2, 2, 4]);
  });

  it('I-21: behind what was compacted away a conflict is cut where it is, members that it named included', () => {
    const named = { ...entry(2, 22, '', 'config'), data: encodeConfiguration(configurationOf([...THREE, 'n4'])) };
    const core = new SingleCore({
      ...EMPTY_RECOVERED_LOG,
      hardState: { term: 2 as Term, vote: null },
      snapshot: { meta: meta(1, 20), bytes: new Uint8Array(0) },
      entries: [entry(2, 21)],
    });
    core.append(N2, 2, at(2, 21), [named, entry(2, 23)]);
    assert.equal(core.raft.configuration.voters.length, 4);
    core.append(N3, 3, at(2, 21), [entry(3, 22)]);
    assert.deepEqual([core.raft.lastIndex, core.raft.configuration.voters.length], [22, 3]);
    assert.deepEqual(
      [22, 23].map((index) => core.raft.termAt(index as LogIndex)),
      [3, undefined],
    );
    core.append(N3, 3, at(3, 22), [entry(3, 23)], 23);
    assert.equal(core.committed.at(-1)?.index, 23);
  });

  it('4.2: an older term is told of the newer one, and is given no round to count', () => {
    const core = new SingleCore(logOf(THREE, [], 3));
    core.append(N2, 2, at(1, 1), []);
    core.heartbeat(N2, 2);
    assert.deepEqual(
      core.take().map(({ message }) => message),
      [
        { kind: 'appendRejected', term: 3, rejectedPrev: 1, hint: at(1, 1), readSeq: 0 },
        { kind: 'heartbeatResp', term: 3, readSeq: 0, durableLast: 1 },
      ],
    );
  });

  it('a write holds what has changed, and nothing else', () => {
    const fresh = new SingleCore(logOf(THREE, [], 2));
    fresh.hasFastDisk = false;
    fresh.append(N2, 2, at(1, 1), [entry(2, 2)]);
    assert.equal(fresh.batches[0]?.batchSeq, 1, 'a start writes nothing');
    const core = followingCore();
    core.hasFastDisk = false;
    core.append(N2, 2, at(1, 1), [entry(2, 2)]);
    const [entries] = core.batches.splice(0);
    assert.deepEqual(Object.keys(entries ?? {}), ['batchSeq', 'underTerm', 'entries', 'commitHint']);
    core.heartbeat(N3, 3);
    const [term] = core.batches.splice(0);
    assert.deepEqual(Object.keys(term ?? {}), ['batchSeq', 'underTerm', 'hardState', 'commitHint']);
  });

  it('12.4: since when the disk has been owing something is known, and that it owes nothing', () => {
    const core = followingCore();
    assert.equal(core.raft.unsyncedSince, undefined);
    core.hasFastDisk = false;
    const since = core.now;
    core.append(N2, 2, at(1, 1), [entry(2, 2)]);
    core.now += 5;
    core.append(N2, 2, at(2, 2), [entry(2, 3)]);
    assert.equal(core.raft.unsyncedSince, since);
    core.sync();
    assert.equal(core.raft.unsyncedSince, undefined);
  });
});

describe('edges of leading', () => {
  const appends = (core: SingleCore, to: MemberId): number[][] =>
    core
      .takeKind('appendReq')
      .filter((sent) => sent.to === to && sent.message.entries.length > 0)
      .map(({ message }) => message.entries.map(({ index }) => index));

  it('an append holds what its limits allow, by count and by bytes, and one entry that is larger', () => {
    const byCount = leading({ appendEntriesMax: 2 });
    byCount.propose('a', 'b', 'c');
    assert.deepEqual(appends(byCount, N2), [[3, 4], [5]]);
    const size = entrySize(entry(2, 3, 'a'));
    const exactly = leading({ appendBytesMax: 2 * size });
    exactly.propose('a', 'b', 'c');
    assert.deepEqual(appends(exactly, N2), [[3, 4], [5]]);
    const short = leading({ appendBytesMax: 2 * size - 1 });
    short.propose('a', 'b', 'c', 'much more than there may be');
    assert.deepEqual(appends(short, N2), [[3], [4], [5], [6]]);
  });

  it('the window is free again for what is acknowledged, exactly', () => {
    const core = leading({ inflightMessagesMax: 1 });
    core.propose('a');
    core.propose('b');
    assert.deepEqual(appends(core, N2), [[3]]);
    core.acknowledge(N2, 2 as LogIndex);
    assert.deepEqual(appends(core, N2), [], 'an old answer frees nothing');
    core.acknowledge(N2, 3 as LogIndex);
    assert.deepEqual(appends(core, N2), [[4]]);
  });

  it('the window closes by bytes as well', () => {
    const core = leading({ inflightBytesMax: 2 * entrySize(entry(2, 3, 'a')) });
    for (const text of ['a', 'b', 'c']) core.propose(text);
    assert.deepEqual(appends(core, N2), [[3], [4]]);
    core.acknowledge(N2, 3 as LogIndex);
    assert.deepEqual(appends(core, N2), [[5]]);
    const byOne = leading({ inflightBytesMax: entrySize(entry(2, 3, 'a')) + 1 });
    for (const text of ['a', 'b', 'c']) byOne.propose(text);
    assert.deepEqual(appends(byOne, N2), [[3], [4]], 'it closes when the limit is reached');
  });

  it('9.2 rule 2: a change that is committed and not yet on the own disk holds up the next one', () => {
    const core = leading();
    core.hasFastDisk = false;
    const first = learn(core, N4);
    core.acknowledge(N2);
    core.acknowledge(N3);
    assert.equal(core.raft.commitIndex, core.raft.lastIndex);
    const second = core.ask((requestId) => ({
      kind: 'changeMembers',
      requestId,
      change: { kind: 'remove', member: N4 },
    }));
    assert.deepEqual([codeOf(core, first), codeOf(core, second)], ['waits', 'CONFIG_PENDING']);
    core.sync();
    assert.equal(codeOf(core, first), 'changed');
  });

  it('10.4: a snapshot stream of which nothing is heard is given up, and another begun', () => {
    const core = leading({ snapshotTimeoutMs: 300 }, [1, 1, 1]);
    learn(core, N4);
    core.acknowledge(N2);
    core.input({ kind: 'compacted', meta: meta(2, 6), firstIndex: 6 as LogIndex });
    const answer = (): void => {
      const seq = core.takeKind('heartbeat').at(-1)?.message.readSeq ?? 0;
      for (const from of [N2, N3, N4])
        core.receive(from, { kind: 'heartbeatResp', term: 2 as Term, readSeq: seq, durableLast: 5 as LogIndex });
    };
    const streams = (): number => core.others.filter(({ kind }) => kind === 'streamSnapshot').length;
    core.receive(N4, {
      kind: 'appendRejected',
      term: 2 as Term,
      rejectedPrev: 6 as LogIndex,
      hint: at(0, 0),
      readSeq: 0,
    });
    for (let i = 0; i < 5; i++) {
      core.pass(50);
      answer();
    }
    assert.equal(streams(), 1);
    for (let i = 0; i < 4; i++) {
      core.pass(50);
      answer();
    }
    assert.equal(streams(), 2);
  });
});

describe('what is counted', () => {
  it('nothing at first; an election once, whether a timer or a transfer began it', () => {
    const core = followingCore();
    const fresh = new SingleCore(logOf(THREE, [])).raft.stats;
    assert.deepEqual(
      [fresh.electionsStarted, fresh.electionsWon, fresh.stepDowns, fresh.messagesSent, fresh.messagesReceived],
      [0, 0, 0, 0, 0],
    );
    assert.deepEqual([fresh.messagesDropped, fresh.proposals, fresh.proposalsRefused], [0, 0, 0]);
    const { electionsStarted } = core.raft.stats;
    core.receive(N2, { kind: 'timeoutNow', term: 2 as Term, transferSeq: 1 });
    assert.equal(core.raft.stats.electionsStarted, electionsStarted + 1);
    const timed = new SingleCore(logOf(THREE, []));
    timed.elect([N2]);
    assert.deepEqual([timed.raft.stats.electionsStarted, timed.raft.stats.electionsWon], [1, 1]);
    timed.heartbeat(N3, 3);
    assert.equal(timed.raft.stats.stepDowns, 1);
  });

  it('messages each way, proposals, and those refused, also by who does not lead', () => {
    const core = leading();
    const { messagesSent, messagesReceived, proposals } = core.raft.stats;
    core.propose('a', 'b');
    const sent = core.take().length;
    assert.ok(sent >= 2);
    core.acknowledge(N2);
    const stats = core.raft.stats;
    assert.equal(stats.messagesSent, messagesSent + sent + core.take().length);
    assert.equal(stats.messagesReceived, messagesReceived + 1);
    assert.deepEqual([stats.proposals - proposals, stats.proposalsRefused], [1, 0]);
    core.input({ kind: 'room', room: 'full' });
    core.propose('c');
    assert.equal(core.raft.stats.proposalsRefused, 1);
    const follower = followingCore();
    follower.propose('c');
    assert.equal(follower.raft.stats.proposalsRefused, 1);
  });

  it('bytes of the log, without what is compacted away', () => {
    const core = leading({}, [1, 1, 1]);
    const noop = entrySize(entry(2, 5, '', 'noop'));
    core.input({ kind: 'compacted', meta: meta(1, 4), firstIndex: 4 as LogIndex });
    assert.equal(core.raft.stats.logBytes, entrySize(entry(1, 4)) + noop);
    core.input({ kind: 'compacted', meta: meta(1, 4), firstIndex: 9 as LogIndex });
    assert.equal(core.raft.stats.logBytes, noop, 'what no snapshot covers stays');
    const cut = new SingleCore(logOf(THREE, [1, 1, 1]));
    const before = cut.raft.stats.logBytes;
    cut.append(N2, 2, at(1, 3), [entry(2, 4, 'a longer entry'), entry(2, 5)]);
    assert.equal(
      cut.raft.stats.logBytes - before,
      entrySize(entry(2, 4, 'a longer entry')) + entrySize(entry(2, 5)) - entrySize(entry(1, 4)),
    );
    const installed = new SingleCore(logOf(THREE, [1, 1]));
    installed.heartbeat(N2, 5);
    installed.input({ kind: 'snapshotReceived', from: N2, term: 5 as Term, meta: meta(4, 20) });
    installed.input({ kind: 'snapshotInstalled', meta: meta(4, 20) });
    assert.equal(installed.raft.stats.logBytes, 0);
    installed.append(N2, 5, at(4, 20), [entry(5, 21)]);
    assert.equal(installed.raft.stats.logBytes, entrySize(entry(5, 21)));
  });
});

describe('edges of settings', () => {
  const problems = (changed: Partial<RaftConfig>): number =>
    validateRaftConfig({ ...DEFAULT_RAFT_CONFIG, ...changed }).length;

  it('P-11: the least that is good is good, and the next below is not', () => {
    const least = { heartbeatMs: 20, electionMs: 150 };
    assert.equal(problems(least), 0);
    assert.equal(problems({ ...least, heartbeatMs: 19 }), 1);
    assert.equal(problems({ ...least, electionMs: 149 }), 1);
    assert.equal(problems({ heartbeatMs: 30, electionMs: 150 }), 0);
    assert.equal(problems({ heartbeatMs: 31, electionMs: 150 }), 1);
    assert.deepEqual(
      [problems({ clockDrift: 0 }), problems({ clockDrift: -0.1 }), problems({ clockDrift: 0.5 })],
      [0, 1, 1],
    );
    assert.deepEqual(
      [problems({ learnersMax: 1 }), problems({ learnersMax: 0 }), problems({ learnersMax: 1.5 })],
      [0, 1, 1],
    );
    assert.deepEqual([problems({ snapshotTimeoutMs: 0.5 }), problems({ snapshotTimeoutMs: 0 })], [0, 1]);
  });
});
