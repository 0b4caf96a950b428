// Original file: proto/funk/v1/kv.proto

import type { Long } from '@grpc/proto-loader';

export interface KvMark {
  'session'?: (number | string | Long);
  'seq'?: (number | string | Long);
  'ackedBelow'?: (number | string | Long);
}

export interface KvMark__Output {
  'session': (number);
  'seq': (number);
  'ackedBelow': (number);
}
