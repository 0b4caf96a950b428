// Original file: proto/clusterfunk/shard.proto

import type { WireNodes as _shardpb_WireNodes, WireNodes__Output as _shardpb_WireNodes__Output } from '../shardpb/WireNodes.ts';
import type { WireShard as _shardpb_WireShard, WireShard__Output as _shardpb_WireShard__Output } from '../shardpb/WireShard.ts';

export interface ShardDistribution {
  'nodes'?: (_shardpb_WireNodes)[];
  'shards'?: (_shardpb_WireShard)[];
}

export interface ShardDistribution__Output {
  'nodes': (_shardpb_WireNodes__Output)[];
  'shards': (_shardpb_WireShard__Output)[];
}
