// Original file: proto/funk/v1/node.proto

import type { ShardSettings as _funk_v1_ShardSettings, ShardSettings__Output as _funk_v1_ShardSettings__Output } from '../../funk/v1/ShardSettings.ts';

export interface ConfigureShardsResponse {
  'leaderId'?: (string);
  'settings'?: (_funk_v1_ShardSettings | null);
}

export interface ConfigureShardsResponse__Output {
  'leaderId': (string);
  'settings': (_funk_v1_ShardSettings__Output | null);
}
