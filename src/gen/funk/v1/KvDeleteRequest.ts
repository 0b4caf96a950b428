// Original file: proto/funk/v1/kv.proto

import type { KvMark as _funk_v1_KvMark, KvMark__Output as _funk_v1_KvMark__Output } from '../../funk/v1/KvMark.ts';

export interface KvDeleteRequest {
  'key'?: (Buffer | Uint8Array | string);
  'rangeEnd'?: (Buffer | Uint8Array | string);
  'prevKv'?: (boolean);
  'mark'?: (_funk_v1_KvMark | null);
}

export interface KvDeleteRequest__Output {
  'key': (Buffer);
  'rangeEnd': (Buffer);
  'prevKv': (boolean);
  'mark': (_funk_v1_KvMark__Output | null);
}
