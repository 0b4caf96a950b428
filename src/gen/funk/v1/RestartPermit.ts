// Original file: proto/funk/v1/node.proto

import type { Long } from '@grpc/proto-loader';

export interface RestartPermit {
  'holder'?: (string);
  'nodeId'?: (string);
  'leaseMs'?: (number);
  'index'?: (number | string | Long);
}

export interface RestartPermit__Output {
  'holder': (string);
  'nodeId': (string);
  'leaseMs': (number);
  'index': (number);
}
