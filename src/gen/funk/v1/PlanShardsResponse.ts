// Original file: proto/funk/v1/node.proto

import type { ShardSettings as _funk_v1_ShardSettings, ShardSettings__Output as _funk_v1_ShardSettings__Output } from '../../funk/v1/ShardSettings.ts';
import type { PlannedNode as _funk_v1_PlannedNode, PlannedNode__Output as _funk_v1_PlannedNode__Output } from '../../funk/v1/PlannedNode.ts';
import type { PlannedMoves as _funk_v1_PlannedMoves, PlannedMoves__Output as _funk_v1_PlannedMoves__Output } from '../../funk/v1/PlannedMoves.ts';
import type { Long } from '@grpc/proto-loader';

export interface PlanShardsResponse {
  'leaderId'?: (string);
  'mapVersion'?: (number | string | Long);
  'shardCount'?: (number);
  'nextShardCount'?: (number);
  'settings'?: (_funk_v1_ShardSettings | null);
  'nodes'?: (_funk_v1_PlannedNode)[];
  'moves'?: (_funk_v1_PlannedMoves)[];
  'moved'?: (number);
  'fewest'?: (number);
  'isFewestExact'?: (boolean);
  'standbysMoved'?: (number);
  'standbysMovedForZones'?: (number);
  'steps'?: (number);
  'notes'?: (string)[];
}

export interface PlanShardsResponse__Output {
  'leaderId': (string);
  'mapVersion': (number);
  'shardCount': (number);
  'nextShardCount': (number);
  'settings': (_funk_v1_ShardSettings__Output | null);
  'nodes': (_funk_v1_PlannedNode__Output)[];
  'moves': (_funk_v1_PlannedMoves__Output)[];
  'moved': (number);
  'fewest': (number);
  'isFewestExact': (boolean);
  'standbysMoved': (number);
  'standbysMovedForZones': (number);
  'steps': (number);
  'notes': (string)[];
}
