// Original file: proto/funk/v1/kv.proto

import type { KvMark as _funk_v1_KvMark, KvMark__Output as _funk_v1_KvMark__Output } from '../../funk/v1/KvMark.ts';

export interface KvPutRequest {
  'key'?: (Buffer | Uint8Array | string);
  'value'?: (Buffer | Uint8Array | string);
  'prevKv'?: (boolean);
  'mark'?: (_funk_v1_KvMark | null);
}

export interface KvPutRequest__Output {
  'key': (Buffer);
  'value': (Buffer);
  'prevKv': (boolean);
  'mark': (_funk_v1_KvMark__Output | null);
}
