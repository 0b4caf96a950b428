// Original file: proto/etcd/rpc.proto

import type { Long } from '@grpc/proto-loader';

export interface ResponseHeader {
  'clusterId'?: (number | string | Long);
  'revision'?: (number | string | Long);
}

export interface ResponseHeader__Output {
  'clusterId': (number);
  'revision': (number);
}
