/** What one owner's application hands to the next one's: in pieces, within bounds, and never of an older ownership. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HandOver, type HandOverMessage } from '../../src/cluster/hand-over.ts';
import type { ClusterEffect } from '../../src/cluster/messages.ts';
import type { Boot, LogIndex, NodeId, ShardId } from '../../src/model/ids.ts';
import type { OwnerPair } from '../../src/model/shard-map.ts';
import type { PeerMessage } from '../../src/wire/peer/peer-message.ts';

const A = { node: 'a' as NodeId, boot: 1 as Boot };
const B = { node: 'b' as NodeId, boot: 2 as Boot };
const NO_EFFECTS: ClusterEffect[] = [];
const at = (value: number): LogIndex => value as LogIndex;
const shards = (...ids: number[]): ShardId[] => ids as ShardId[];
const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString();

class End {
  readonly sent: { readonly to: NodeId; readonly message: PeerMessage }[] = [];
  readonly core: HandOver;

  constructor({ node, boot }: OwnerPair, takesStates = true) {
    this.core = new HandOver({
      node,
      boot,
      takesStates,
      send: (to, message) => this.sent.push({ to, message }),
    });
  }

  /** Asks for shards that it served under epoch 5, by the proposal `version`. */
  release(version: number, ids: readonly number[], to: OwnerPair | undefined = B): this {
    const epochs = ids.map(() => at(5));
    const next = ids.map(() => to);
    this.core.onRelease({ version: at(version), deadline: 400, shards: shards(...ids), epochs, to: next });
    return this;
  }

  begin(version: number, states: Readonly<Record<number, string>>, now = 0): boolean {
    const given = Object.entries(states).map(([shard, state]) => ({
      shard: Number(shard) as ShardId,
      bytes: Buffer.from(state),
    }));
    return this.core.begin({ version: at(version), states: given }, now, NO_EFFECTS);
  }

  takeSent(): PeerMessage[] {
    return this.sent.splice(0).map(({ message }) => message);
  }

  start(version: number, ids: readonly number[], from: OwnerPair = A, epoch = 5): this {
    const former = ids.map(() => ({ ...from, epoch: at(epoch) }));
    this.core.onStart({ shards: shards(...ids), epoch: at(9), from: former, isResumed: false }, at(version));
    return this;
  }

  fetched(shard: number, epoch = 9): string | undefined {
    return text(this.core.fetch(shard as ShardId, at(epoch)));
  }
}

/** Carries everything to and fro until nothing is on the way; how many messages it took. */
function carry(from: End, to: End, now = 1): number {
  let count = 0;
  for (let messages = from.takeSent(); messages.length > 0; messages = from.takeSent()) {
    for (const message of messages) {
      assert.ok(message.kind === 'handOver');
      count += 1;
      to.core.onPieces(A.node, message, NO_EFFECTS);
    }
    for (const ack of to.takeSent()) {
      assert.ok(ack.kind === 'handOverAck');
      from.core.onAck(B.node, ack, now, NO_EFFECTS);
    }
  }
  return count;
}

describe('hand-over: the owner that gives up', () => {
  it('holds the word back until all has arrived, and says it then', () => {
    const [a, b] = [new End(A).release(7, [1, 2]), new End(B)];
    assert.equal(a.begin(7, { 1: 'one', 2: 'two' }), true);
    assert.equal(a.core.tick(1, NO_EFFECTS), undefined, 'nobody has answered');
    assert.equal(carry(a, b), 1, 'small states travel together');
    assert.equal(a.core.tick(2, NO_EFFECTS), 7);
    assert.equal(a.core.tick(3, NO_EFFECTS), undefined, 'once');
    assert.equal(a.core.nextDeadline(), Number.POSITIVE_INFINITY);
    b.start(7, [1, 2]);
    assert.deepEqual([b.fetched(1), b.fetched(2), b.fetched(1)], ['one', 'two', undefined]);
  });

  it('does not let the deadline pass: 25 ms before it the word leaves, whatever has arrived', () => {
    const a = new End(A).release(7, [1]);
    a.begin(7, { 1: 'one' });
    assert.equal(a.core.tick(374, NO_EFFECTS), undefined);
    assert.equal(a.core.tick(375, NO_EFFECTS), 7);
    assert.equal(a.core.stats.statesDropped, 1);
  });

  it('repeats what is not answered', () => {
    const [a, b] = [new End(A).release(7, [1]), new End(B)];
    a.begin(7, { 1: 'one' });
    const lost = a.takeSent();
    assert.equal(a.core.nextDeadline(), 50);
    a.core.tick(50, NO_EFFECTS);
    assert.deepEqual(
      a.sent.map(({ message }) => message),
      lost,
    );
    carry(a, b, 51);
    assert.equal(a.core.tick(52, NO_EFFECTS), 7);
  });

  it('sends one message at a time, so that heartbeats find their way', () => {
    const [a, b] = [new End(A).release(7, [1, 2]), new End(B)];
    a.begin(7, { 1: 'x'.repeat(1024 * 1024), 2: 'two' });
    assert.equal(a.sent.length, 1);
    assert.equal(carry(a, b), 5);
    b.start(7, [1, 2]);
    assert.deepEqual([b.fetched(1)?.length, b.fetched(2)], [1024 * 1024, 'two']);
  });

  it('waits for nothing when there is nothing to hand over, nobody to have it, or no time', () => {
    assert.equal(new End(A).release(7, [1]).begin(7, {}), false);
    assert.equal(new End(A).release(7, [1], A).begin(7, { 1: 'one' }), false, 'nobody else is to have it');
    assert.equal(new End(A).release(7, [1]).begin(7, { 1: 'one' }, 376), false);
    assert.equal(new End(A).release(7, [1]).begin(6, { 1: 'one' }), false, 'of an older asking');
    assert.equal(new End(A).release(7, [1]).begin(7, { 3: 'not of this release' }), false);
  });

  it('keeps to its bounds: 1 MiB for a shard, 16 MiB in all', () => {
    const a = new End(A).release(
      7,
      Array.from({ length: 20 }, (_, i) => i),
    );
    const big = 'x'.repeat(1024 * 1024);
    const states = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [i, i === 0 ? `${big}x` : big]));
    a.begin(7, states);
    // The first is too large, and counts towards the whole: fourteen fit beside it.
    assert.equal(a.core.stats.statesDropped, 20 - 14);
  });

  it('O-6: a shard that stays after all gets back what was handed over here', () => {
    const a = new End(A).release(7, [1, 2]);
    a.begin(7, { 1: 'one' });
    a.core.onReleaseOver(at(7));
    assert.equal(a.core.tick(400, NO_EFFECTS), undefined, 'a void release is not told');
    a.core.onStart({ shards: shards(1, 2), epoch: at(5), from: [undefined, undefined], isResumed: true }, at(3));
    assert.deepEqual([a.fetched(1, 5), a.fetched(2, 5)], ['one', undefined]);
  });

  it('and nothing of a shard that was another’s in between', () => {
    const a = new End(A).release(7, [1]);
    a.begin(7, { 1: 'one' });
    a.core.onMaps(at(7), () => false);
    a.core.onStart({ shards: shards(1), epoch: at(5), from: [undefined], isResumed: true }, at(3));
    assert.equal(a.fetched(1, 5), undefined);
  });
});

describe('hand-over: the owner that gets it', () => {
  function arrived(version = 7): End {
    const [a, b] = [new End(A).release(version, [1]), new End(B)];
    a.begin(version, { 1: 'one' });
    carry(a, b);
    return b;
  }

  it('never delivers what is of another proposal than the one that moved the shard', () => {
    const stale = arrived(7).start(8, [1]);
    assert.equal(stale.fetched(1), undefined);
    const early = arrived(8).start(7, [1]);
    assert.equal(early.fetched(1), undefined);
  });

  it('nor what is of another owner or epoch than the map before names', () => {
    assert.equal(
      arrived()
        .start(7, [1], { ...A, boot: 3 as Boot })
        .fetched(1),
      undefined,
    );
    assert.equal(arrived().start(7, [1], B).fetched(1), undefined);
    assert.equal(arrived().start(7, [1], A, 4).fetched(1), undefined);
    assert.equal(arrived().start(7, [1]).fetched(1, 8), undefined, 'asked for under another epoch');
  });

  it('forgets what a newer proposal has voided, and what comes late', () => {
    const b = arrived();
    b.core.onMaps(at(8), () => true);
    assert.equal(b.core.stats.statesDropped, 1);
    assert.equal(b.start(7, [1]).fetched(1), undefined);
  });

  it('a newer proposal takes the place of an older one, and not the other way round', () => {
    const [a, b] = [new End(A), new End(B)];
    a.release(7, [1]).begin(7, { 1: 'old' });
    const [old] = a.takeSent();
    a.release(8, [1]).begin(8, { 1: 'new' });
    carry(a, b);
    b.core.onPieces(A.node, old as HandOverMessage, NO_EFFECTS);
    assert.equal(b.start(8, [1]).fetched(1), 'new');
  });

  it('what is for another start of this node is not for it', () => {
    const [a, b] = [new End(A).release(7, [1]), new End({ ...B, boot: 3 as Boot })];
    a.begin(7, { 1: 'one' });
    carry(a, b);
    assert.equal(b.sent.length, 0);
    assert.equal(b.start(7, [1]).fetched(1), undefined);
  });

  it('takes half of a state for none', () => {
    const [a, b] = [new End(A).release(7, [1]), new End(B)];
    a.begin(7, { 1: 'x'.repeat(300_000) });
    const [first] = a.takeSent();
    b.core.onPieces(A.node, first as HandOverMessage, NO_EFFECTS);
    assert.equal(b.start(7, [1]).fetched(1), undefined);
  });

  it('doubled pieces change nothing', () => {
    const [a, b] = [new End(A).release(7, [1]), new End(B)];
    a.begin(7, { 1: 'one' });
    const [first] = a.takeSent();
    for (let i = 0; i < 3; i++) b.core.onPieces(A.node, first as HandOverMessage, NO_EFFECTS);
    assert.equal(b.takeSent().length, 3, 'each is answered');
    assert.equal(b.start(7, [1]).fetched(1), 'one');
  });

  it('without an application that listens nothing is kept, and nobody waits for it', () => {
    const [a, b] = [new End(A).release(7, [1]), new End(B, false)];
    a.begin(7, { 1: 'one' });
    carry(a, b);
    assert.equal(a.core.tick(2, NO_EFFECTS), 7);
    assert.equal(b.start(7, [1]).fetched(1), undefined);
  });

  it('takes no more than 32 MiB for shards that have not come', () => {
    const b = new End(B);
    for (let shard = 0; shard < 40; shard++) {
      const piece = { shard: shard as ShardId, epoch: at(5), offset: 0, size: 1024 * 1024, bytes: new Uint8Array(1) };
      const message = { kind: 'handOver', version: at(7), seq: shard, fromBoot: A.boot, toBoot: B.boot } as const;
      b.core.onPieces(A.node, { ...message, pieces: [piece] }, NO_EFFECTS);
    }
    assert.equal(b.core.stats.statesDropped, 8);
  });
});
