// Original file: proto/funk/v1/node.proto

import type { ShardMap as _funk_v1_ShardMap, ShardMap__Output as _funk_v1_ShardMap__Output } from '../../funk/v1/ShardMap.ts';
import type { ShardSettings as _funk_v1_ShardSettings, ShardSettings__Output as _funk_v1_ShardSettings__Output } from '../../funk/v1/ShardSettings.ts';
import type { Long } from '@grpc/proto-loader';

export interface GetShardMapResponse {
  'nodeId'?: (string);
  'map'?: (_funk_v1_ShardMap | null);
  'pendingVersion'?: (number | string | Long);
  'settings'?: (_funk_v1_ShardSettings | null);
}

export interface GetShardMapResponse__Output {
  'nodeId': (string);
  'map': (_funk_v1_ShardMap__Output | null);
  'pendingVersion': (number);
  'settings': (_funk_v1_ShardSettings__Output | null);
}
