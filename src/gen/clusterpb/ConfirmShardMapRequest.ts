// Original file: proto/clusterfunk/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface ConfirmShardMapRequest {
  'logIndex'?: (number | string | Long);
  'nodeId'?: (string);
}

export interface ConfirmShardMapRequest__Output {
  'logIndex': (number);
  'nodeId': (string);
}
