// Original file: proto/funk/v1/kv.proto

import type { KvCompare as _funk_v1_KvCompare, KvCompare__Output as _funk_v1_KvCompare__Output } from '../../funk/v1/KvCompare.ts';
import type { KvOperation as _funk_v1_KvOperation, KvOperation__Output as _funk_v1_KvOperation__Output } from '../../funk/v1/KvOperation.ts';
import type { KvMark as _funk_v1_KvMark, KvMark__Output as _funk_v1_KvMark__Output } from '../../funk/v1/KvMark.ts';

export interface KvTxnRequest {
  'compares'?: (_funk_v1_KvCompare)[];
  'success'?: (_funk_v1_KvOperation)[];
  'failure'?: (_funk_v1_KvOperation)[];
  'mark'?: (_funk_v1_KvMark | null);
}

export interface KvTxnRequest__Output {
  'compares': (_funk_v1_KvCompare__Output)[];
  'success': (_funk_v1_KvOperation__Output)[];
  'failure': (_funk_v1_KvOperation__Output)[];
  'mark': (_funk_v1_KvMark__Output | null);
}
