// Original file: proto/funk/v1/node.proto

import type { NodeWeight as _funk_v1_NodeWeight, NodeWeight__Output as _funk_v1_NodeWeight__Output } from '../../funk/v1/NodeWeight.ts';
import type { ShardCost as _funk_v1_ShardCost, ShardCost__Output as _funk_v1_ShardCost__Output } from '../../funk/v1/ShardCost.ts';
import type { ShardRule as _funk_v1_ShardRule, ShardRule__Output as _funk_v1_ShardRule__Output } from '../../funk/v1/ShardRule.ts';
import type { ShardRange as _funk_v1_ShardRange, ShardRange__Output as _funk_v1_ShardRange__Output } from '../../funk/v1/ShardRange.ts';
import type { Long } from '@grpc/proto-loader';

export interface ShardSettingsChange {
  'replicas'?: (number);
  'moveCap'?: (number);
  'workerQuarantineMs'?: (number | string | Long);
  'nodeWeights'?: (_funk_v1_NodeWeight)[];
  'shardCosts'?: (_funk_v1_ShardCost)[];
  'pin'?: (_funk_v1_ShardRule)[];
  'unpin'?: (_funk_v1_ShardRange)[];
  'avoid'?: (_funk_v1_ShardRule)[];
  'unavoid'?: (_funk_v1_ShardRule)[];
  'exclude'?: (string)[];
  'include'?: (string)[];
  'resize'?: (string);
  'resizeTo'?: (number);
  '_replicas'?: "replicas";
  '_moveCap'?: "moveCap";
  '_workerQuarantineMs'?: "workerQuarantineMs";
}

export interface ShardSettingsChange__Output {
  'replicas'?: (number);
  'moveCap'?: (number);
  'workerQuarantineMs'?: (number);
  'nodeWeights': (_funk_v1_NodeWeight__Output)[];
  'shardCosts': (_funk_v1_ShardCost__Output)[];
  'pin': (_funk_v1_ShardRule__Output)[];
  'unpin': (_funk_v1_ShardRange__Output)[];
  'avoid': (_funk_v1_ShardRule__Output)[];
  'unavoid': (_funk_v1_ShardRule__Output)[];
  'exclude': (string)[];
  'include': (string)[];
  'resize': (string);
  'resizeTo': (number);
  '_replicas'?: "replicas";
  '_moveCap'?: "moveCap";
  '_workerQuarantineMs'?: "workerQuarantineMs";
}
