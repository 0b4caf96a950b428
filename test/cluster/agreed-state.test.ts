/** The state that the log makes, its image, and the way of an image from node to node: raft.md 10 and 13. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { concatBytes, utf8 } from '../../src/base/bytes.ts';
import { crc32c } from '../../src/base/crc32c.ts';
import { DecodeError } from '../../src/base/errors.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { AgreedState, foundingIn } from '../../src/cluster/agreed-state.ts';
import { continuing, FollowClient, FollowServer } from '../../src/cluster/following.ts';
import { foundingLog } from '../../src/cluster/founding-log.ts';
import {
  type SnapshotChunk,
  SnapshotReceiver,
  SnapshotSender,
  type TransferEvent,
} from '../../src/cluster/snapshot-transfer.ts';
import type { Boot, ClusterId, LogIndex, MemberId, NodeId, Term } from '../../src/model/ids.ts';
import { EMPTY_CONFIGURATION, EMPTY_RECOVERED_LOG, type Entry, type SnapshotMeta } from '../../src/model/log.ts';
import { type Command, encodeCommand, encodeKvCommand } from '../../src/wire/command/command.ts';
import { encodeKvItem } from '../../src/wire/kv/batch.ts';
import { encodeConfiguration } from '../../src/wire/raft/entry.ts';

const A = 'a@0000000000000000' as MemberId;
const B = 'b@0000000000000000' as MemberId;
const CLUSTER = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;
const TERM = 3 as Term;
const VOTERS = { ...EMPTY_CONFIGURATION, voters: [A, B] };

function entry(index: number, command?: Command): Entry {
  const data = command === undefined ? new Uint8Array() : encodeCommand(command);
  return { index: index as LogIndex, term: TERM, kind: command === undefined ? 'noop' : 'command', data };
}

function metaOf(index: number): SnapshotMeta {
  const configurationIndex = 1 as LogIndex;
  return {
    clusterId: CLUSTER,
    lastLog: { term: TERM, index: index as LogIndex },
    configuration: VOTERS,
    configurationIndex,
  };
}

describe('the agreed state', () => {
  function filled(): AgreedState {
    const state = new AgreedState();
    state.apply({ index: 1 as LogIndex, term: TERM, kind: 'config', data: encodeConfiguration(VOTERS) });
    state.apply(entry(2, { kind: 'found', clusterName: 'home', createdMs: 1_700_000_000_000, shardCount: 100 }));
    state.apply(entry(3, { kind: 'exclude', member: B }));
    return state;
  }

  it('keeps the times that the cluster was founded with, and knows those of a log that is not applied yet', () => {
    const timing = { leaseMs: 3_300, clockDrift: 0.02, heartbeatMs: 100, electionMs: 1_000 };
    const founding = { clusterName: 'home', createdMs: 1, shardCount: 4, timing };
    const state = new AgreedState();
    state.apply({ index: 1 as LogIndex, term: TERM, kind: 'config', data: encodeConfiguration(VOTERS) });
    state.apply(entry(2, { kind: 'found', ...founding }));
    const bytes = state.image(new Uint8Array());
    const after = new AgreedState();
    after.restore(metaOf(2), bytes);
    assert.deepEqual(after.founding, founding);
    assert.deepEqual(foundingIn({ ...EMPTY_RECOVERED_LOG, snapshot: { meta: metaOf(2), bytes } })?.timing, timing);
    assert.deepEqual(foundingIn(foundingLog(A, founding))?.timing, timing);
    assert.equal(foundingIn(EMPTY_RECOVERED_LOG), undefined);
  });

  it('keeps the restart permit through an image, and its first holder against others', () => {
    const before = filled();
    const plain = before.image(new Uint8Array());
    const taken = { kind: 'takePermit', node: 'a' as NodeId, boot: 7 as Boot, leaseMs: 60_000 } as const;
    assert.deepEqual(before.apply(entry(4, { ...taken, holder: 'first' })), { kind: 'permit' });
    assert.deepEqual(before.apply(entry(5, { ...taken, holder: 'second' })), { kind: 'nothing' });
    const after = new AgreedState();
    after.restore(metaOf(5), before.image(new Uint8Array()));
    assert.deepEqual(after.permit, { holder: 'first', node: 'a', boot: 7, leaseMs: 60_000, index: 4 });
    assert.equal(after.digest(new Uint8Array()), before.digest(new Uint8Array()));
    assert.deepEqual(after.apply(entry(6, { kind: 'givePermit', index: 3 as LogIndex })), { kind: 'nothing' });
    assert.deepEqual(after.apply(entry(7, { ...taken, holder: 'first', leaseMs: 5_000 })), { kind: 'permit' });
    assert.deepEqual(after.apply(entry(8, { kind: 'givePermit', index: 4 as LogIndex })), { kind: 'nothing' });
    assert.equal(after.permit?.leaseMs, 5_000, 'the end of an older term is not the end of this one');
    assert.deepEqual(after.apply(entry(9, { kind: 'givePermit', index: 7 as LogIndex })), { kind: 'permit' });
    assert.deepEqual(after.image(new Uint8Array()), plain, 'without one the image is as it always was');
  });

  it('comes back from its image as it was', () => {
    const before = filled();
    const after = new AgreedState();
    const shards = Uint8Array.of(1, 2, 3);
    assert.deepEqual(after.restore(metaOf(3), before.image(shards)), shards);
    assert.deepEqual(after.founding, before.founding);
    assert.deepEqual([after.appliedIndex, after.appliedTerm], [3, TERM]);
    assert.deepEqual(after.configuration, VOTERS);
    assert.deepEqual([after.isExcluded(A), after.isExcluded(B)], [false, true]);
    assert.deepEqual(after.image(shards), before.image(shards));
  });

  it('is written as members of older versions write it while it has no keys, and then with them', () => {
    const shards = Uint8Array.of(1, 2, 3);
    const state = filled();
    const plain = state.image(shards);
    assert.equal(plain[0], 1);
    assert.equal(state.digest(shards), crc32c(plain));
    const mutation = { kind: 'put', key: utf8('a'), value: utf8('1'), prevKv: false } as const;
    const item = encodeKvItem({ kind: 'mutate', mutation, session: undefined });
    const data = encodeKvCommand(5, [item]);
    const applied = state.apply({ index: 4 as LogIndex, term: TERM, kind: 'command', data });
    assert.equal(applied.kind === 'kv' && applied.replies[0]?.kind, 'done');
    const image = state.image(shards);
    assert.equal(image[0], 2);
    const after = new AgreedState();
    after.restore(metaOf(4), image);
    assert.equal(after.kv.revision, 2);
    assert.equal(after.digest(shards), state.digest(shards));
    after.restore(metaOf(3), plain);
    assert.equal(after.kv.revision, 1);
    assert.equal(after.digest(shards), crc32c(plain));
  });

  it('is changed by no image that cannot be read', () => {
    const state = filled();
    const image = state.image(new Uint8Array());
    for (const bad of [Uint8Array.of(9), image.subarray(0, image.length - 1), concatBytes([image, Uint8Array.of(0)])])
      assert.throws(() => state.restore(metaOf(9), bad), DecodeError);
    assert.equal(state.appliedIndex, 3);
    assert.equal(state.isExcluded(B), true);
  });

  it('keeps the first founding, whatever comes later', () => {
    const state = filled();
    state.apply(entry(4, { kind: 'found', clusterName: 'other', createdMs: 1, shardCount: 7 }));
    assert.equal(state.founding?.clusterName, 'home');
  });

  it('forgets an exclusion when the member is wanted again, and the oldest of too many', () => {
    const state = filled();
    state.apply(entry(4, { kind: 'include', member: B }));
    assert.equal(state.isExcluded(B), false);
    const name = (i: number): MemberId => `n${i}@0000000000000000` as MemberId;
    for (let i = 0; i < 1_025; i++) state.apply(entry(5 + i, { kind: 'exclude', member: name(i) }));
    assert.deepEqual(
      [state.isExcluded(name(0)), state.isExcluded(name(1)), state.isExcluded(name(1_024))],
      [false, true, true],
    );
  });

  it('applies in order and without gaps', () => {
    assert.throws(() => filled().apply(entry(5)), /without gaps/);
  });
});

describe('a snapshot on its way', () => {
  const bytes = Uint8Array.from({ length: 700_000 }, (_, i) => i % 251);

  function chunks(events: readonly TransferEvent[]): SnapshotChunk[] {
    return events.flatMap((event) =>
      event.kind === 'send' && event.message.kind === 'snapshotChunk' ? [event.message] : [],
    );
  }

  function sending(): { sender: SnapshotSender; first: SnapshotChunk } {
    const sender = new SnapshotSender();
    const events: TransferEvent[] = [];
    assert.equal(sender.begin({ to: B, forRaft: true, term: TERM, meta: metaOf(9), bytes }, 0, events), true);
    return { sender, first: chunks(events)[0] as SnapshotChunk };
  }

  it('goes piece by piece, each answered with the offset that is wanted next', () => {
    const { sender, first } = sending();
    const receiver = new SnapshotReceiver();
    let chunk: SnapshotChunk | undefined = first;
    let whole: Uint8Array | undefined;
    const ended: TransferEvent[] = [];
    for (let now = 1; chunk !== undefined; now++) {
      const answer = receiver.onChunk(A, chunk);
      whole = answer.complete ?? whole;
      const events: TransferEvent[] = [];
      sender.onAck(B, { index: 9 as LogIndex, offset: answer.wanted }, now, events);
      ended.push(...events.filter(({ kind }) => kind === 'ended'));
      chunk = chunks(events)[0];
    }
    assert.deepEqual(whole, bytes);
    assert.deepEqual(ended, [{ kind: 'ended', to: B, forRaft: true, ok: true }]);
    assert.equal(sender.isSendingTo(B), false);
  });

  it('goes on where the receiver is, after pieces and answers were lost', () => {
    const { sender, first } = sending();
    const receiver = new SnapshotReceiver();
    const { wanted } = receiver.onChunk(A, first);
    const again: TransferEvent[] = [];
    sender.tick(500, again);
    assert.equal(chunks(again)[0]?.offset, 0, 'unanswered, the piece is sent again');
    assert.equal(
      receiver.onChunk(A, chunks(again)[0] as SnapshotChunk).wanted,
      wanted,
      'a doubled piece changes nothing',
    );
    const next: TransferEvent[] = [];
    sender.onAck(B, { index: 9 as LogIndex, offset: wanted }, 600, next);
    assert.equal(chunks(next)[0]?.offset, wanted);
  });

  it('P-42: a later piece of a stream that the receiver does not know starts no stream', () => {
    const { first } = sending();
    const late: SnapshotChunk = { ...first, offset: 256 * 1024 };
    assert.deepEqual(new SnapshotReceiver().onChunk(A, late), { wanted: 0, complete: undefined });
  });

  it('gives way to a newer one, and what is left of the older one does not mix in', () => {
    const { first } = sending();
    const receiver = new SnapshotReceiver();
    receiver.onChunk(A, first);
    const newer: SnapshotChunk = { ...first, meta: metaOf(10), size: 3, bytes: Uint8Array.of(1, 2, 3) };
    assert.deepEqual(receiver.onChunk(A, newer).complete, Uint8Array.of(1, 2, 3));
    assert.equal(receiver.onChunk(A, { ...first, offset: 256 * 1024 }).wanted, 0);
  });

  it('is given up when nothing moves for ten seconds', () => {
    const { sender } = sending();
    const events: TransferEvent[] = [];
    for (let now = 500; now <= 10_000; now += 500) sender.tick(now, events);
    assert.deepEqual(events.at(-1), { kind: 'ended', to: B, forRaft: true, ok: false });
    assert.equal(sender.nextDeadline(), Number.POSITIVE_INFINITY);
  });

  it('is refused when it claims to be larger than any snapshot may be', () => {
    const { first } = sending();
    assert.equal(new SnapshotReceiver().onChunk(A, { ...first, size: 300 * 1024 * 1024 }).wanted, 0);
  });

  it('does not leave when sixteen others are on their way', () => {
    const sender = new SnapshotSender();
    const begin = (i: number): boolean =>
      sender.begin(
        { to: `n${i}@0000000000000000` as MemberId, forRaft: false, term: TERM, meta: metaOf(9), bytes },
        0,
        [],
      );
    assert.deepEqual(Array.from({ length: 17 }, (_, i) => begin(i)).lastIndexOf(true), 15);
  });
});

describe('following', () => {
  const log = Array.from({ length: 5 }, (_, i) => entry(i + 1));

  it('takes what continues without a gap, and skips what it has', () => {
    assert.deepEqual(
      continuing(log, 3 as LogIndex).map(({ index }) => index),
      [4, 5],
    );
    assert.deepEqual(continuing(log.slice(3), 1 as LogIndex), []);
    assert.deepEqual(continuing(log, 5 as LogIndex), []);
  });

  it('gives each follower what it lacks once, again when it was lost, and the image when entries are gone', () => {
    const server = new FollowServer();
    for (const one of log) server.remember(one);
    server.onFollow(B, 2 as LogIndex, 0);
    const taken = (now: number): number[] | undefined => server.take(B, 5 as LogIndex, now)?.map(({ index }) => index);
    assert.deepEqual(taken(0), [3, 4, 5]);
    assert.deepEqual(taken(10), []);
    server.onFollow(B, 2 as LogIndex, 100);
    assert.deepEqual(taken(100), []);
    server.onFollow(B, 2 as LogIndex, 200);
    assert.deepEqual(taken(200), [3, 4, 5]);
    server.forgetEntries();
    server.onFollow(B, 4 as LogIndex, 500);
    assert.deepEqual(taken(500), [], 'it goes on, and may have the rest by now');
    server.onFollow(B, 4 as LogIndex, 700);
    assert.equal(taken(700), undefined);
  });

  it('seeks one voter after the other until the first answers, and keeps to that one', () => {
    const client = new FollowClient(new SeededRandom(5));
    const possible = [A, B];
    const asked = new Set<MemberId | undefined>();
    for (let now = 0; now < 120; now += 30) asked.add(client.poll({ known: [], possible, answeredAt: -1 }, now));
    assert.deepEqual([...asked].sort(), [A, B]);
    assert.equal(client.onHeard(B, 121), true);
    assert.equal(client.onHeard(A, 122), false);
    for (let now = 200; now < 1_000; now += 100) {
      assert.equal(client.poll({ known: [], possible, answeredAt: now }, now), B);
      client.onHeard(B, now + 1);
    }
  });

  it('O-16: turns to another voter when the one it follows falls silent', () => {
    const client = new FollowClient(new SeededRandom(5));
    const choice = (now: number): { known: MemberId[]; possible: MemberId[]; answeredAt: number } => {
      return { known: [A, B], possible: [A, B], answeredAt: now };
    };
    client.poll(choice(0), 0);
    client.onHeard(A, 1);
    assert.equal(client.poll(choice(100), 100), A);
    assert.equal(client.poll(choice(200), 200), B);
  });
});
