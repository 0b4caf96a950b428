// Original file: proto/funk/v1/kv.proto

import type { Long } from '@grpc/proto-loader';

export interface KvCompare {
  'key'?: (Buffer | Uint8Array | string);
  'target'?: (string);
  'relation'?: (string);
  'number'?: (number | string | Long);
  'value'?: (Buffer | Uint8Array | string);
}

export interface KvCompare__Output {
  'key': (Buffer);
  'target': (string);
  'relation': (string);
  'number': (number);
  'value': (Buffer);
}
