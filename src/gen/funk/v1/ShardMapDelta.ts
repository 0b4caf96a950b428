// Original file: proto/funk/v1/node.proto

import type { ShardOwner as _funk_v1_ShardOwner, ShardOwner__Output as _funk_v1_ShardOwner__Output } from '../../funk/v1/ShardOwner.ts';
import type { ShardChange as _funk_v1_ShardChange, ShardChange__Output as _funk_v1_ShardChange__Output } from '../../funk/v1/ShardChange.ts';
import type { Long } from '@grpc/proto-loader';

export interface ShardMapDelta {
  'sinceVersion'?: (number | string | Long);
  'version'?: (number | string | Long);
  'committedAt'?: (number | string | Long);
  'removedOwners'?: (number)[];
  'addedOwners'?: (_funk_v1_ShardOwner)[];
  'changes'?: (_funk_v1_ShardChange)[];
  'standbyChanges'?: (_funk_v1_ShardChange)[];
}

export interface ShardMapDelta__Output {
  'sinceVersion': (number);
  'version': (number);
  'committedAt': (number);
  'removedOwners': (number)[];
  'addedOwners': (_funk_v1_ShardOwner__Output)[];
  'changes': (_funk_v1_ShardChange__Output)[];
  'standbyChanges': (_funk_v1_ShardChange__Output)[];
}
