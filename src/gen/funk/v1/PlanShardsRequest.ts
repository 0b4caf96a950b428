// Original file: proto/funk/v1/node.proto

import type { ShardSettingsChange as _funk_v1_ShardSettingsChange, ShardSettingsChange__Output as _funk_v1_ShardSettingsChange__Output } from '../../funk/v1/ShardSettingsChange.ts';

export interface PlanShardsRequest {
  'without'?: (string)[];
  'joined'?: (string)[];
  'change'?: (_funk_v1_ShardSettingsChange | null);
}

export interface PlanShardsRequest__Output {
  'without': (string)[];
  'joined': (string)[];
  'change': (_funk_v1_ShardSettingsChange__Output | null);
}
