// Original file: proto/funk/v1/kv.proto

import type { Long } from '@grpc/proto-loader';

export interface KvRangeRequest {
  'key'?: (Buffer | Uint8Array | string);
  'rangeEnd'?: (Buffer | Uint8Array | string);
  'limit'?: (number | string | Long);
  'keysOnly'?: (boolean);
  'countOnly'?: (boolean);
  'stale'?: (boolean);
}

export interface KvRangeRequest__Output {
  'key': (Buffer);
  'rangeEnd': (Buffer);
  'limit': (number);
  'keysOnly': (boolean);
  'countOnly': (boolean);
  'stale': (boolean);
}
