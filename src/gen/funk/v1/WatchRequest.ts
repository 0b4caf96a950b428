// Original file: proto/funk/v1/node.proto

import type { Long } from '@grpc/proto-loader';

export interface WatchRequest {
  'sinceVersion'?: (number | string | Long);
  'clusterId'?: (string);
  'deltas'?: (boolean);
  'packed'?: (boolean);
}

export interface WatchRequest__Output {
  'sinceVersion': (number);
  'clusterId': (string);
  'deltas': (boolean);
  'packed': (boolean);
}
