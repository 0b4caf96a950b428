/** A node whose state came by following is ahead of its own log for a while, and a voter remembers whoever follows it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import { FollowServer } from '../../src/cluster/following.ts';
import type { ClusterEffect } from '../../src/cluster/messages.ts';
import { Replica } from '../../src/cluster/replica.ts';
import { DEFAULT_SNAPSHOT_POLICY } from '../../src/cluster/snapshot-schedule.ts';
import type { ClusterId, LogIndex, MemberId, NodeId, Term } from '../../src/model/ids.ts';
import { EMPTY_CONFIGURATION, EMPTY_RECOVERED_LOG, type Entry } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';
import { encodeConfiguration } from '../../src/wire/raft/entry.ts';

const SELF = 'a@0123456789abcdef' as MemberId;
const LEADER = 'b@0123456789abcdef' as MemberId;
const COUNT = 12_000;
const TERM = 1 as Term;

function entries(): Entry[] {
  const configuration = { ...EMPTY_CONFIGURATION, voters: [LEADER], learners: [SELF] };
  const first: Entry = { index: 1 as LogIndex, term: TERM, kind: 'config', data: encodeConfiguration(configuration) };
  const rest = Array.from({ length: COUNT - 1 }, (_, i): Entry => {
    return { index: (i + 2) as LogIndex, term: TERM, kind: 'noop', data: new Uint8Array() };
  });
  return [first, ...rest];
}

describe('a learner that has followed', () => {
  it('takes a snapshot of nothing that its own log does not hold durably yet', () => {
    const replica = new Replica(
      DEFAULT_RAFT_CONFIG,
      DEFAULT_SNAPSHOT_POLICY,
      {
        send: () => {},
        onRaftEvent: () => {},
        onRaftReply: () => {},
        onCommand: () => {},
        onApplied: () => {},
        onBelongs: () => undefined,
        onImage: () => {},
        shardImage: () => new Uint8Array(),
      },
      new SeededRandom(1),
    );
    replica.clusterId = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;
    const log = entries();
    const effects: ClusterEffect[] = [];
    replica.follow({ known: [LEADER], possible: [LEADER], answeredAt: 0 }, 0, effects);
    const leader = 'b' as NodeId;
    const commitIndex = COUNT as LogIndex;
    replica.onPeerMessage(LEADER, { kind: 'followEntries', leader, term: TERM, commitIndex, entries: log }, 1, effects);
    assert.equal(replica.state.appliedIndex, COUNT);

    replica.open(SELF, EMPTY_RECOVERED_LOG, 2, effects);
    const append = (from: number, to: number): void => {
      const prev = { term: (from === 1 ? 0 : TERM) as Term, index: (from - 1) as LogIndex };
      const message = {
        kind: 'appendReq',
        term: TERM,
        prev,
        entries: log.slice(from - 1, to),
        commit: to as LogIndex,
      } as const;
      replica.step(
        { kind: 'message', from: LEADER, message: { ...message, readSeq: 0, cancelledTransfers: 0 } },
        3,
        effects,
      );
      replica.tick(3, effects);
    };
    const saved: number[] = [];
    const answerDisk = (): void => {
      const taken = effects.splice(0);
      for (const effect of taken) {
        if (effect.kind === 'saveSnapshot') saved.push(effect.meta.lastLog.index);
        if (effect.kind === 'persist') replica.step({ kind: 'persisted', batchSeq: effect.batch.batchSeq }, 4, effects);
      }
    };
    append(1, 9_000);
    const first = effects.splice(0);
    // The rest has come before the first part is durable: all is committed, and a part of it may be applied.
    append(9_001, COUNT);
    const second = effects.splice(0);
    effects.push(...first);
    answerDisk();
    replica.tick(5, effects);
    assert.deepEqual(
      effects.filter((effect) => effect.kind === 'saveSnapshot'),
      [],
    );
    effects.push(...second);
    answerDisk();
    replica.tick(6, effects);
    answerDisk();
    replica.check();
    assert.deepEqual(saved, [COUNT]);
  });
});

describe('a voter that is followed', () => {
  it('has room for a new follower when those that fill its table have fallen silent', () => {
    const server = new FollowServer();
    for (let i = 0; i < 2_048; i++) server.onFollow(`n${i}@0123456789abcdef` as MemberId, 0 as LogIndex, 0);
    assert.equal(server.onFollow(SELF, 0 as LogIndex, 500), false);
    assert.equal(server.onFollow(SELF, 0 as LogIndex, 1_500), true);
  });
});

describe('a follower that missed a word', () => {
  it('is sent it again within 200 ms or so, however much is pushed to it meanwhile', () => {
    const server = new FollowServer();
    const log = entries().slice(0, 60);
    const sent: number[] = [];
    let applied = 0;
    server.onFollow(SELF, applied as LogIndex, 0);
    for (const [i, entry] of log.entries()) {
      const now = i * 20;
      server.remember(entry);
      const pushed = server.take(SELF, entry.index, now) ?? [];
      sent.push(...pushed.map(({ index }) => index));
      // The tenth push is lost, so whatever comes after it does not continue what the follower has.
      if (i !== 9 && pushed[0]?.index === applied + 1) applied = pushed.at(-1)?.index ?? applied;
      if (i % 5 === 4) server.onFollow(SELF, applied as LogIndex, now);
    }
    assert.equal(applied, 60);
    assert.equal(sent.filter((index) => index === 1).length, 1, 'what was taken in is not sent again');
    assert.equal(sent.filter((index) => index === 10).length, 2);
  });
});
