// Original file: proto/clusterfunk/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface CommitShardMapMessage {
  'shardMapLogIndex'?: (number | string | Long);
  'nodes'?: (string)[];
}

export interface CommitShardMapMessage__Output {
  'shardMapLogIndex': (number);
  'nodes': (string)[];
}
