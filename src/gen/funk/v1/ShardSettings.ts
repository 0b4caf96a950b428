// Original file: proto/funk/v1/node.proto

import type { NodeWeight as _funk_v1_NodeWeight, NodeWeight__Output as _funk_v1_NodeWeight__Output } from '../../funk/v1/NodeWeight.ts';
import type { ShardCost as _funk_v1_ShardCost, ShardCost__Output as _funk_v1_ShardCost__Output } from '../../funk/v1/ShardCost.ts';
import type { ShardRule as _funk_v1_ShardRule, ShardRule__Output as _funk_v1_ShardRule__Output } from '../../funk/v1/ShardRule.ts';
import type { Long } from '@grpc/proto-loader';

export interface ShardSettings {
  'version'?: (number | string | Long);
  'replicas'?: (number);
  'moveCap'?: (number);
  'workerQuarantineMs'?: (number | string | Long);
  'nodeWeights'?: (_funk_v1_NodeWeight)[];
  'shardCosts'?: (_funk_v1_ShardCost)[];
  'pins'?: (_funk_v1_ShardRule)[];
  'avoided'?: (_funk_v1_ShardRule)[];
  'excluded'?: (string)[];
  'nextShardCount'?: (number);
}

export interface ShardSettings__Output {
  'version': (number);
  'replicas': (number);
  'moveCap': (number);
  'workerQuarantineMs': (number);
  'nodeWeights': (_funk_v1_NodeWeight__Output)[];
  'shardCosts': (_funk_v1_ShardCost__Output)[];
  'pins': (_funk_v1_ShardRule__Output)[];
  'avoided': (_funk_v1_ShardRule__Output)[];
  'excluded': (string)[];
  'nextShardCount': (number);
}
