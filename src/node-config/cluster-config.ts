/** From what a node is told to what its core is told. */
import type { ClusterConfig } from '../cluster/config.ts';
import { DEFAULT_LIVENESS_CONFIG } from '../liveness/config.ts';
import type { Dissolution } from '../model/dissolution.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { NodeConfig } from '../node-config.ts';
import { ConfigError } from './config-error.ts';
import { RAFT_PROFILES } from '../raft/config.ts';
import type { ClusterId, NodeId, Stamp } from '../model/ids.ts';
import { serfConfig } from '../serf/config.ts';
import { shardingConfig } from '../sharding/config.ts';
import { readGossipKeys } from './gossip-keys.ts';

/** @throws {ConfigError} when the keyring file has become unusable since the settings were checked. */
export function clusterConfigOf(
  config: NodeConfig,
  identity: { readonly nodeId: NodeId; readonly stamp: Stamp; readonly dissolutions?: readonly Dissolution[] },
  gossip: Endpoint,
  start: {
    readonly startedAt: number;
    readonly startedWallMs: number;
    readonly hasReleaseHook: boolean;
    readonly hasAcquireHook: boolean;
    readonly startsLoading: boolean;
    readonly followed?: ClusterId | undefined;
  },
): ClusterConfig {
  const keys = readGossipKeys(config);
  if (typeof keys === 'string') throw new ConfigError([`keyring-file: ${keys}`]);
  const { startsLoading, ...rest } = start;
  return {
    ...rest,
    nodeId: identity.nodeId,
    stamp: identity.stamp,
    dissolutions: identity.dissolutions ?? [],
    clusterName: config.clusterName,
    kind: config.kind,
    founding: { isZeroconf: config.zeroconf, isBootstrap: config.bootstrap, expect: config.bootstrapExpect ?? 0 },
    isAutoJoin: config.autoJoin,
    votersWanted: config.voters,
    leaderPriority: config.leaderPriority,
    hasLeaseReads: config.leaseReads,
    ownsShards: config.wantsShards,
    isDirectoryLocked: !config.inMemory && config.kind === 'voter',
    serf: serfConfig(
      {
        ...config.tuning.serf,
        swim: {
          ...config.tuning.swim,
          name: identity.nodeId,
          advertise: gossip,
          keys,
          verifyIncoming: config.gossipVerifyIncoming,
          verifyOutgoing: config.gossipVerifyOutgoing,
          label: config.label,
          skipInboundLabelCheck: config.skipInboundLabelCheck,
          networksAllowed: config.networksAllowed,
        },
        hasKeyringFile: config.keyringFile !== undefined,
      },
      config.tuning.profile,
    ),
    raft: { ...RAFT_PROFILES[config.raftProfile], clockDrift: config.clockDrift },
    etcd: config.etcd && { ...config.etcd, where: config.etcd.endpoints.join(', ') },
    sharding: shardingConfig({
      shardCount: config.shards,
      wantsShards: config.wantsShards,
      leaseMs: config.leaseMs,
      clockDrift: config.clockDrift,
      ackTimeoutMs: config.ackTimeoutMs,
      flapHoldMs: config.flapHoldMs,
      restartGraceMs: config.restartGraceMs,
      startsLoading,
    }),
    liveness: { ...DEFAULT_LIVENESS_CONFIG, intervalMs: config.livenessIntervalMs, retries: config.livenessRetries },
  };
}
