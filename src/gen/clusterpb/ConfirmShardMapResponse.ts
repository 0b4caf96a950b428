// Original file: proto/clusterfunk/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface ConfirmShardMapResponse {
  'success'?: (boolean);
  'currentIndex'?: (number | string | Long);
}

export interface ConfirmShardMapResponse__Output {
  'success': (boolean);
  'currentIndex': (number);
}
