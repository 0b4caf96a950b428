// Original file: proto/funk/v1/kv.proto

import type { Long } from '@grpc/proto-loader';

export interface KvCloseSessionRequest {
  'session'?: (number | string | Long);
}

export interface KvCloseSessionRequest__Output {
  'session': (number);
}
