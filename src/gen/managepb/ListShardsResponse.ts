// Original file: proto/clusterfunk/management.proto

import type { Error as _managepb_Error, Error__Output as _managepb_Error__Output } from '../managepb/Error.ts';
import type { ShardInfo as _managepb_ShardInfo, ShardInfo__Output as _managepb_ShardInfo__Output } from '../managepb/ShardInfo.ts';

export interface ListShardsResponse {
  'nodeId'?: (string);
  'error'?: (_managepb_Error | null);
  'shards'?: (_managepb_ShardInfo)[];
  'totalShards'?: (number);
  'totalWeight'?: (number);
}

export interface ListShardsResponse__Output {
  'nodeId': (string);
  'error': (_managepb_Error__Output | null);
  'shards': (_managepb_ShardInfo__Output)[];
  'totalShards': (number);
  'totalWeight': (number);
}
