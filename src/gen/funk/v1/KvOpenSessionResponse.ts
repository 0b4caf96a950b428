// Original file: proto/funk/v1/kv.proto

import type { Long } from '@grpc/proto-loader';

export interface KvOpenSessionResponse {
  'session'?: (number | string | Long);
}

export interface KvOpenSessionResponse__Output {
  'session': (number);
}
