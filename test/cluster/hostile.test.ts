/** What strangers and broken peers may send: it is bounded, counted and changes nothing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DecodeError } from '../../src/base/errors.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { ClusterEffect } from '../../src/cluster/messages.ts';
import { Replica } from '../../src/cluster/replica.ts';
import { DEFAULT_SNAPSHOT_POLICY } from '../../src/cluster/snapshot-schedule.ts';
import { SnapshotReceiver } from '../../src/cluster/snapshot-transfer.ts';
import type { ClusterId, LogIndex, MemberId, Term } from '../../src/model/ids.ts';
import { EMPTY_CONFIGURATION, EMPTY_RECOVERED_LOG, type Entry } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';
import { decodePeerFrame, encodePeerFrame } from '../../src/wire/peer/peer-message.ts';

const SELF = 'a@0123456789abcdef' as MemberId;
const LEADER = 'b@0123456789abcdef' as MemberId;
const STRANGER = 'c@0123456789abcdef' as MemberId;
const CLUSTER = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;
const TERM = 4 as Term;

function learner(effects: ClusterEffect[]): Replica {
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
  replica.clusterId = CLUSTER;
  replica.open(SELF, EMPTY_RECOVERED_LOG, 0, effects);
  const heartbeat = {
    kind: 'heartbeat',
    term: TERM,
    commit: 0 as LogIndex,
    readSeq: 1,
    cancelledTransfers: 0,
  } as const;
  replica.step({ kind: 'message', from: LEADER, message: heartbeat }, 1, effects);
  replica.tick(1, effects);
  return replica;
}

function sendGarbage(replica: Replica, from: MemberId, effects: ClusterEffect[]): void {
  const configuration = { ...EMPTY_CONFIGURATION, voters: [LEADER] };
  const lastLog = { term: TERM, index: 50 as LogIndex };
  const meta = { clusterId: CLUSTER, lastLog, configuration, configurationIndex: 1 as LogIndex };
  const bytes = Uint8Array.of(250, 1, 2, 3);
  replica.onPeerMessage(
    from,
    { kind: 'snapshotChunk', forRaft: true, term: TERM, meta, offset: 0, size: bytes.length, bytes },
    2,
    effects,
  );
  replica.tick(2, effects);
}

describe('a snapshot that cannot be read', () => {
  it('stops the node when its leader sends it, and is not installed before', () => {
    const effects: ClusterEffect[] = [];
    const replica = learner(effects);
    sendGarbage(replica, LEADER, effects);
    assert.match(replica.stopReason ?? '', /at index 50 cannot be read/);
    assert.equal(
      effects.some((effect) => effect.kind === 'installSnapshot'),
      false,
    );
  });

  it('is dropped when anybody else sends it', () => {
    const effects: ClusterEffect[] = [];
    const replica = learner(effects);
    sendGarbage(replica, STRANGER, effects);
    assert.equal(replica.stopReason, undefined);
    assert.equal(replica.messagesDropped, 1);
  });

  it('grows by nothing when its pieces are empty', () => {
    const receiver = new SnapshotReceiver();
    const meta = {
      clusterId: CLUSTER,
      lastLog: { term: TERM, index: 50 as LogIndex },
      configuration: EMPTY_CONFIGURATION,
      configurationIndex: 1 as LogIndex,
    };
    const chunk = { kind: 'snapshotChunk', forRaft: true, term: TERM, meta, offset: 0, size: 0 } as const;
    assert.equal(receiver.onChunk(LEADER, { ...chunk, bytes: new Uint8Array() }).complete, undefined);
  });
});

describe('entries to follow', () => {
  it('are refused when they have a gap', () => {
    const entry = (index: number): Entry => ({
      index: index as LogIndex,
      term: TERM,
      kind: 'noop',
      data: new Uint8Array(),
    });
    const frame = (...indexes: number[]): Uint8Array =>
      encodePeerFrame({
        clusterId: CLUSTER,
        from: LEADER,
        to: SELF,
        message: {
          kind: 'followEntries',
          leader: undefined,
          term: TERM,
          commitIndex: 9 as LogIndex,
          entries: indexes.map(entry),
        },
      });
    assert.doesNotThrow(() => decodePeerFrame(frame(3, 4, 5)));
    assert.throws(() => decodePeerFrame(frame(3, 5)), DecodeError);
    assert.throws(() => decodePeerFrame(frame(3, 3)), DecodeError);
  });
});
