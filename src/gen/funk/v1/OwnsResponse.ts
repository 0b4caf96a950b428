// Original file: proto/funk/v1/node.proto

import type { Long } from '@grpc/proto-loader';

export interface OwnsResponse {
  'nodeId'?: (string);
  'owned'?: (boolean);
  'epoch'?: (number | string | Long);
  'valid'?: (boolean);
}

export interface OwnsResponse__Output {
  'nodeId': (string);
  'owned': (boolean);
  'epoch': (number);
  'valid': (boolean);
}
