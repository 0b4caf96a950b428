// Original file: proto/funk/v1/node.proto

import type { Long } from '@grpc/proto-loader';

export interface ShardOwner {
  'nodeId'?: (string);
  'boot'?: (number | string | Long);
  'workerId'?: (number);
  'shardCount'?: (number);
}

export interface ShardOwner__Output {
  'nodeId': (string);
  'boot': (number);
  'workerId': (number);
  'shardCount': (number);
}
