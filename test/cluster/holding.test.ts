/** What ownership is told of Raft, and by whom leases may be asked for. docs/ownership.md O-13, O-16, O-22. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import { Holding } from '../../src/cluster/holding.ts';
import { Replica } from '../../src/cluster/replica.ts';
import { DEFAULT_SNAPSHOT_POLICY } from '../../src/cluster/snapshot-schedule.ts';
import type { Boot, ClusterId, LogIndex, MemberId, NodeId, RequestId, Term } from '../../src/model/ids.ts';
import { EMPTY_CONFIGURATION, EMPTY_RECOVERED_LOG, type RecoveredLog } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';
import { shardingConfig } from '../../src/sharding/config.ts';
import type { ShardingEffect, ShardingInput } from '../../src/sharding/messages.ts';
import { Sharding } from '../../src/sharding/sharding.ts';
import { encodeLeaseMessage } from '../../src/wire/sharding/lease.ts';

const SELF = 'a@0123456789abcdef' as MemberId;
const BOOT = 7 as Boot;
const CLUSTER = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;

class RecordingSharding extends Sharding {
  readonly told: ShardingInput[] = [];

  override step(input: ShardingInput, now: number, effects: ShardingEffect[]): void {
    this.told.push(input);
    super.step(input, now, effects);
  }
}

function rig(): { readonly replica: Replica; readonly holding: Holding; readonly sharding: RecordingSharding } {
  const random = new SeededRandom(1);
  const identity = { node: 'a' as NodeId, boot: BOOT, dirLocked: true };
  const sharding = new RecordingSharding(shardingConfig({ shardCount: 4 }), identity, random, 0);
  const replica: Replica = new Replica(
    DEFAULT_RAFT_CONFIG,
    DEFAULT_SNAPSHOT_POLICY,
    {
      send: () => {},
      onRaftEvent: (event, now, effects) => holding.onRaftEvent(event, now, effects),
      onRaftReply: () => {},
      onCommand: (entry, applied, now, effects) => {
        if (applied.kind === 'shard') holding.onShardCommand(entry, applied.bytes, now, effects);
      },
      onApplied: (index, now, effects) => holding.onApplied(index, now, effects),
      onBelongs: () => undefined,
      onImage: (index, image, now, effects) => holding.step({ kind: 'imageInstalled', index, image }, now, effects),
      shardImage: () => sharding.image(),
    },
    random,
  );
  replica.clusterId = CLUSTER;
  let lastRequestId = 0;
  const holding: Holding = new Holding(sharding, {
    self: SELF,
    boot: BOOT,
    replica,
    send: () => {},
    memberOf: () => undefined,
    nextRequestId: () => {
      lastRequestId -= 1;
      return lastRequestId as RequestId;
    },
    hasReleaseHook: false,
    clusterName: 'test',
    ownTiming: { leaseMs: 900, clockDrift: 0.02, heartbeatMs: 50, electionMs: 250 },
    hasAcquireHook: false,
  });
  return { replica, holding, sharding };
}

/** A log whose only configuration is in its snapshot. */
function compacted(replica: Replica, sharding: Sharding): RecoveredLog {
  const configuration = { ...EMPTY_CONFIGURATION, voters: [SELF] };
  const lastLog = { term: 3 as Term, index: 40 as LogIndex };
  const meta = { clusterId: CLUSTER, lastLog, configuration, configurationIndex: 1 as LogIndex };
  const bytes = replica.state.image(sharding.image());
  return { ...EMPTY_RECOVERED_LOG, hardState: { term: 3 as Term, vote: null }, snapshot: { meta, bytes } };
}

/** Opens the log and answers the disk until this only voter leads and is ready. */
function lead({ replica, holding, sharding }: ReturnType<typeof rig>): void {
  const effects: Parameters<Replica['open']>[3] = [];
  replica.open(SELF, compacted(replica, sharding), 0, effects);
  for (let now = 0; now < 200; now += 10) {
    for (const effect of effects.splice(0))
      if (effect.kind === 'persist') replica.step({ kind: 'persisted', batchSeq: effect.batch.batchSeq }, now, effects);
    replica.tick(now, effects);
    holding.tick(now, effects);
  }
  assert.equal(replica.raft?.isReady, true);
}

describe('ownership is told', () => {
  it('O-13: who votes, also when a restart found the configuration in a snapshot', () => {
    const all = rig();
    lead(all);
    const told = all.sharding.told.filter((input) => input.kind === 'votersChanged');
    assert.deepEqual(told.at(-1)?.nodes, ['a']);
  });

  it('O-22: at the beginning of each leadership whether the log is settled, whatever it was in the one before', () => {
    const { holding, sharding } = rig();
    const effects: Parameters<Holding['tick']>[1] = [];
    holding.step({ kind: 'logSettled', settled: true }, 0, effects);
    const election = { electedAt: 1, restedOnLease: undefined, noopIndex: 1 as LogIndex };
    holding.onRaftEvent({ kind: 'becameLeader', term: 1 as Term, ...election }, 1, effects);
    holding.onRaftEvent({ kind: 'steppedDown', term: 1 as Term, reason: '' }, 2, effects);
    holding.step({ kind: 'logSettled', settled: true }, 2, effects);
    sharding.told.length = 0;
    holding.onRaftEvent({ kind: 'becameLeader', term: 2 as Term, ...election }, 3, effects);
    const told = sharding.told.filter((input) => input.kind === 'logSettled');
    assert.equal(told.length, 1);
  });
});

describe('a renewal', () => {
  const renew = encodeLeaseMessage({
    kind: 'renew',
    node: 'b' as NodeId,
    boot: 9 as Boot,
    seq: 1,
    appliedIndex: 40 as LogIndex,
    releasedVersion: 0 as LogIndex,
    dirLocked: false,
    wantsShards: true,
    answeredTerm: 0 as Term,
    answeredSeq: 0,
  });

  function received(from: string, relayFor: string | undefined): number {
    const all = rig();
    lead(all);
    all.sharding.told.length = 0;
    const message = { bytes: renew, relayFor: relayFor as NodeId | undefined };
    all.holding.onLeaseFrame(from as MemberId, message, 200, []);
    return all.sharding.told.filter((input) => input.kind === 'received').length;
  }

  it('is taken from its holder', () => {
    assert.equal(received('b@0123456789abcdef', undefined), 1);
  });

  it('O-16: is taken from a member of the group that relays it', () => {
    assert.equal(received(SELF, 'b'), 1);
  });

  it('O-16: is not taken from anybody else in the name of its holder', () => {
    assert.equal(received('c@0123456789abcdef', undefined), 0);
    assert.equal(received('c@0123456789abcdef', 'b'), 0);
    assert.equal(received(SELF, 'c'), 0);
  });
});
