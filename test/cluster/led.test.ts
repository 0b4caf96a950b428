/**
 * A member that a leader speaks to takes its state from its log alone. An answer to what it asked while it was lost, come late, once
 * let a leader commit a map without the word of those who lost by it: it had the proposal from elsewhere, before its own log did.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import { foundingLog } from '../../src/cluster/founding-log.ts';
import type { ClusterEffect } from '../../src/cluster/messages.ts';
import { Replica } from '../../src/cluster/replica.ts';
import { DEFAULT_SNAPSHOT_POLICY } from '../../src/cluster/snapshot-schedule.ts';
import type { ClusterId, LogIndex, MemberId, NodeId, Term } from '../../src/model/ids.ts';
import { EMPTY_CONFIGURATION, type Entry } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';

const SELF = 'a@0000000000000000' as MemberId;
const OTHER = 'b@0000000000000000' as MemberId;
const CLUSTER = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;

/** The only voter of its cluster, which asked another for news before its log was open. */
class Bench {
  readonly replica: Replica;
  readonly #effects: ClusterEffect[] = [];
  applied = 0;
  images = 0;

  constructor() {
    this.replica = new Replica(
      DEFAULT_RAFT_CONFIG,
      DEFAULT_SNAPSHOT_POLICY,
      {
        send: () => {},
        onRaftEvent: () => {},
        onRaftReply: () => {},
        onCommand: () => {},
        onApplied: (index) => {
          this.applied = index;
        },
        onBelongs: () => undefined,
        onImage: () => {
          this.images += 1;
        },
        shardImage: () => new Uint8Array(),
      },
      new SeededRandom(1),
    );
    this.replica.clusterId = CLUSTER;
    this.replica.follow({ known: [OTHER], possible: [OTHER], answeredAt: 0 }, 0, this.#effects);
  }

  lead(): void {
    this.replica.open(SELF, foundingLog(SELF, { clusterName: 'home', createdMs: 1, shardCount: 4 }), 1, this.#effects);
    for (let now = 2; now < 40; now++) {
      for (const effect of this.#effects.splice(0))
        if (effect.kind === 'persist')
          this.replica.step({ kind: 'persisted', batchSeq: effect.batch.batchSeq }, now, this.#effects);
      this.replica.tick(now, this.#effects);
    }
    assert.equal(this.replica.isLeader, true);
  }

  /** What the other voter knows of the log, beyond ours. */
  answer(from: number): void {
    const index = from as LogIndex;
    const entry: Entry = { index, term: 9 as Term, kind: 'noop', data: new Uint8Array() };
    const leader = 'b' as NodeId;
    const message = { kind: 'followEntries', leader, term: 9 as Term, commitIndex: index, entries: [entry] } as const;
    this.replica.onPeerMessage(OTHER, message, 41, this.#effects);
  }

  image(through: number): void {
    const configuration = { ...EMPTY_CONFIGURATION, voters: [OTHER] };
    const lastLog = { term: 9 as Term, index: through as LogIndex };
    const meta = { clusterId: CLUSTER, lastLog, configuration, configurationIndex: 1 as LogIndex };
    const bytes = this.replica.state.image(new Uint8Array());
    const chunk = {
      kind: 'snapshotChunk',
      forRaft: false,
      term: 9 as Term,
      meta,
      offset: 0,
      size: bytes.length,
      bytes,
    } as const;
    this.replica.onPeerMessage(OTHER, chunk, 42, this.#effects);
  }
}

describe('an answer to a follower', () => {
  it('changes nothing when it reaches a leader', () => {
    const bench = new Bench();
    bench.lead();
    const before = bench.replica.state.appliedIndex;
    bench.answer(before + 1);
    bench.image(before + 7);
    assert.equal(bench.replica.state.appliedIndex, before);
    assert.equal(bench.images, 0);
  });

  it('is taken by whoever nobody leads', () => {
    const bench = new Bench();
    bench.answer(1);
    assert.equal(bench.applied, 1);
    bench.image(7);
    assert.equal(bench.replica.state.appliedIndex, 7);
    assert.equal(bench.images, 1);
  });
});
