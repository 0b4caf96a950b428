// Original file: proto/funk/v1/node.proto

import type { ShardOwner as _funk_v1_ShardOwner, ShardOwner__Output as _funk_v1_ShardOwner__Output } from '../../funk/v1/ShardOwner.ts';
import type { ShardStandbys as _funk_v1_ShardStandbys, ShardStandbys__Output as _funk_v1_ShardStandbys__Output } from '../../funk/v1/ShardStandbys.ts';
import type { Long } from '@grpc/proto-loader';

export interface ShardMap {
  'version'?: (number | string | Long);
  'committedAt'?: (number | string | Long);
  'shardCount'?: (number);
  'owners'?: (_funk_v1_ShardOwner)[];
  'ownerOf'?: (number)[];
  'epochs'?: (number | string | Long)[];
  'nextShardCount'?: (number);
  'standbys'?: (_funk_v1_ShardStandbys)[];
  'packed'?: (Buffer | Uint8Array | string);
}

export interface ShardMap__Output {
  'version': (number);
  'committedAt': (number);
  'shardCount': (number);
  'owners': (_funk_v1_ShardOwner__Output)[];
  'ownerOf': (number)[];
  'epochs': (number)[];
  'nextShardCount': (number);
  'standbys': (_funk_v1_ShardStandbys__Output)[];
  'packed': (Buffer);
}
